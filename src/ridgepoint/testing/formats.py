"""What every data format must do; `check` tries all of it, `CHECKS` one by one.

    from ridgepoint.testing.formats import Example, check

    def test_my_format():
        check(Example(read=lambda spec, seed: TASK.read(spec, seed=seed, root=None), folder=Path("tests/small")))

The example is a small folder of the format, of at least twenty images.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ridgepoint.data import Dataset
from ridgepoint.errors import DataError
from ridgepoint.testing.laws import hold, laws_of

Read = Callable[[Path, int], Dataset | None]


class Example(NamedTuple):
    """A format with some data: what reads a folder with a seed, and a folder that it can read."""

    read: Read
    folder: Path

    def data(self, seed: int = 0, folder: Path | None = None) -> Dataset:
        """The data set of the folder, or of another."""
        found = self.read(folder or self.folder, seed)
        assert found is not None, f"it does not know {folder or self.folder} for its own"
        return found


def check(example: Example) -> None:
    """Try everything that a format must do.

    Raises:
        AssertionError: Naming what it does not do.
    """
    hold(example, CHECKS, called=f"the format of {example.folder.name}")


def gives_three_parts_that_share_no_image(example: Example, folder: Path) -> None:
    """None is empty, no name and no content is in two of them, each image has a truth."""
    data = example.data()
    parts = {"train": data.train, "val": data.val, "test": data.test}
    for name, part in parts.items():
        assert len(part), f"its part {name} is empty"
        assert len(part.ids) == len(part.labels) == len(set(part.ids)), f"{name}: names and truths do not go together"
    names = [set(part.ids) for part in parts.values()]
    contents = [set(part.digests) for part in parts.values()]
    for kind, seen in (("name", names), ("content", contents)):
        assert len(set().union(*seen)) == sum(map(len, seen)), f"the {kind} of an image is in two parts"


def reads_alike_whenever_and_wherever(example: Example, folder: Path) -> None:
    """The same seed gives the same parts, of a copy elsewhere too; a name, a kind and a median size are told."""
    first = example.data(3)
    copy = folder / example.folder.name
    shutil.copytree(example.folder, copy)
    for again in (example.data(3), example.data(3, copy)):
        assert again.fingerprint == first.fingerprint, "the same seed gives other parts, or another place does"
    assert first.name and first.kind and first.split_note and min(first.median_size) > 0 and first.summary()


def notices_what_was_changed(example: Example, folder: Path) -> None:
    """An image of other content is another data set."""
    copy = folder / example.folder.name
    shutil.copytree(example.folder, copy)
    path = copy / example.data(3, copy).train.ids[0]
    if path.is_file():
        before = example.data(3, copy).fingerprint
        with example.data(3, copy).train.decoded(0) as image:
            turned = image.convert("RGB").rotate(180).point(lambda value: 255 - value)
        turned.save(path, format=None if path.suffix else "PNG")
        assert example.data(3, copy).fingerprint != before, f"{path.name} was changed, and the fingerprint is the same"


def decodes_every_image(example: Example, folder: Path) -> None:
    """Of some pixels each, the same again; what is grey is told so."""
    data = example.data()
    for part in (data.train, data.val, data.test):
        for index in range(min(len(part), 4)):
            with part.decoded(index) as image:
                pixels = np.asarray(image.convert("RGB"))
            assert min(pixels.shape) > 0 and np.array_equal(pixels, np.asarray(part.load(index).convert("RGB")))
            assert not data.grey or (pixels == pixels[..., :1]).all(), f"{part.ids[index]} is told to be grey"


def leaves_the_folder_as_it_was(example: Example, folder: Path) -> None:
    """Reading writes nothing beside the images."""
    before = _content(example.folder)
    example.data().summary()
    assert _content(example.folder) == before, "it changed the folder"


def refuses_in_one_message_or_leaves_to_others(example: Example, folder: Path) -> None:
    """An empty folder and one of foreign files are not its own, or a DataError."""
    (folder / "empty").mkdir()
    (folder / "foreign").mkdir()
    (folder / "foreign" / "notes.txt").write_text("nothing")
    for name in ("empty", "foreign", "missing"):
        try:
            found = example.read(folder / name, 0)
        except DataError as error:
            assert str(error), "the message is empty"
        else:
            assert found is None, f"it reads a data set out of a folder that is {name}"


def outlives_a_damaged_image(example: Example, folder: Path) -> None:
    """It is left out and told, or refused in one message."""
    copy = folder / example.folder.name
    shutil.copytree(example.folder, copy)
    name = example.data(0, copy).train.ids[0]
    if (copy / name).is_file():
        (copy / name).write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
        try:
            data = example.data(0, copy)
            kept = name in {*data.train.ids, *data.val.ids, *data.test.ids}
            assert not kept, f"{name} is damaged, and still in the data"
            assert any(Path(name).name in told for told in data.skipped), f"{name} is damaged, and nothing is told"
        except DataError as error:
            assert Path(name).name in str(error), "the message does not name the damaged image"


CHECKS = laws_of(
    gives_three_parts_that_share_no_image,
    reads_alike_whenever_and_wherever,
    notices_what_was_changed,
    decodes_every_image,
    leaves_the_folder_as_it_was,
    refuses_in_one_message_or_leaves_to_others,
    outlives_a_damaged_image,
)
"""By names that say what they ask for."""


def _content(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
