"""The kit of data formats: every shipped one passes it, and each fault is found by its law."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ridgepoint.data import Dataset, detect
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.testing.formats import CHECKS, Example, check


def draw(folder: Path, count: int, start: int = 0) -> None:
    """Small images of different content."""
    folder.mkdir(parents=True)
    for index in range(start, start + count):
        pixels = np.random.default_rng(index).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03}.png")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The forms of class folders: one a class, and these below parts."""
    root = tmp_path_factory.mktemp("formats")
    for number, name in enumerate(("cat", "dog")):
        draw(root / "plain" / name, 12, 100 * number)
        for part in ("train", "val", "test"):
            draw(root / "parts" / part / name, 6, 1000 + 100 * number + 10 * len(part))
    return {"plain": root / "plain", "parts": root / "parts"}


def read(folder: Path, seed: int) -> Dataset | None:
    return CLASSIFICATION.read(folder, seed=seed, root=folder, download=False)


@pytest.mark.parametrize("law", CHECKS)
@pytest.mark.parametrize("form", ["plain", "parts"])
def test_class_folders_pass(folders, form: str, law: str, tmp_path: Path):
    CHECKS[law](Example(read, folders[form]), tmp_path)


def leaky(folder: Path, seed: int) -> Dataset:
    data = detect(folder, seed=seed)
    return replace(data, val=data.train)


def forgetful(folder: Path, seed: int) -> Dataset:
    return detect(folder, seed=int(np.random.default_rng().integers(1 << 30)))


def untidy(folder: Path, seed: int) -> Dataset:
    (folder / "cache.bin").write_bytes(np.random.default_rng().bytes(8))
    return detect(folder, seed=seed)


def grey(folder: Path, seed: int) -> Dataset:
    return replace(detect(folder, seed=seed), grey=True)


def silent(folder: Path, seed: int) -> Dataset:
    return replace(detect(folder, seed=seed), skipped=())


FAULTS = [
    (leaky, "gives_three_parts_that_share_no_image", "is in two parts"),
    (forgetful, "reads_alike_whenever_and_wherever", "gives other parts"),
    (untidy, "leaves_the_folder_as_it_was", "changed the folder"),
    (grey, "decodes_every_image", "is told to be grey"),
    (silent, "outlives_a_damaged_image", "nothing is told"),
]


@pytest.mark.parametrize(("fault", "law", "told"), FAULTS)
def test_a_fault_is_found(folders, fault, law: str, told: str, tmp_path: Path):
    with pytest.raises(AssertionError, match=told):
        CHECKS[law](Example(fault, folders["plain"]), tmp_path)


def test_one_that_reads_whatever_it_is_given_is_found(folders, tmp_path: Path):
    greedy = Example(lambda folder, seed: detect(folders["plain"], seed=seed), folders["plain"])
    with pytest.raises(AssertionError, match="reads a data set out of a folder that is empty"):
        CHECKS["refuses_in_one_message_or_leaves_to_others"](greedy, tmp_path)


def test_check_names_the_format_and_the_law(folders):
    check(Example(read, folders["plain"]))
    with pytest.raises(
        AssertionError, match="the format of plain breaks 'gives_three_parts_that_share_no_image': the "
    ):
        check(Example(leaky, folders["plain"]))
