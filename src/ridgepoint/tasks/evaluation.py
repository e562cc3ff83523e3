"""Which images an exported file is judged on, and how good it is on them."""

from dataclasses import dataclass
from pathlib import Path

from ridgepoint.data import Dataset, Split, decode
from ridgepoint.deploy.artefact import Artefact
from ridgepoint.errors import DataError, InputError, nearest
from ridgepoint.tasks.decoding import decoding_ms
from ridgepoint.tasks.reading import find_task
from ridgepoint.train.score import Score

PARTS = ("train", "val", "test")
SPLITS = ("all", *PARTS)


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """Images to judge a file on.

    Attributes:
        images: What is evaluated.
        split: ``all``, ``train``, ``val`` or ``test``.
        known: Whether these are the data that the file was trained on; None where the file does not tell those.
        note: One sentence on what was chosen and why.
    """

    images: Split
    split: str
    known: bool | None
    note: str


def choose_part(
    artefact: Artefact, data: str, *, split: str | None = None, seed: int | None = None, data_root: Path | None = None
) -> Part:
    """The test part of the data that a file was trained on, exactly as the training left it out; other data whole.

    Args:
        artefact: The exported file.
        data: As the user types it.
        split: ``all``, ``train``, ``val`` or ``test``, where another choice is wanted.
        seed: Of the parts; needed only where the file does not tell it.
        data_root: Where named data sets are kept.

    Raises:
        InputError: If the split is unknown, or the seed is not the one that the training drew its parts by.
        DataError: If the data cannot be read, or have classes that the file does not know.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"--split is '{split}'; {nearest(split, SPLITS)}")
    origin, task = artefact.trained_on, find_task(artefact.task)
    try:
        drawn = task.read(data, seed=(seed or 0) if origin is None else origin.seed, root=data_root)
    except DataError:
        if split in PARTS:
            raise
        drawn = None  # too few images to draw parts from are enough to be evaluated
    else:
        if drawn is None:
            raise DataError(f"{data}: is nothing that {task.name} reads, which the file is for. Give such data")
    if origin is None:
        return _of_unknown(artefact, drawn, data, split, seed or 0, data_root)
    if drawn is not None and drawn.fingerprint == origin.fingerprint:
        if seed not in (None, origin.seed):
            raise InputError(
                f"--seed is {seed}, but the training drew its parts of {data} by seed {origin.seed}: by another one, "
                "images of the training would be tested on. Leave --seed out"
            )
        return _of_training(artefact, drawn, data, split or "test", data_root)
    if split in PARTS and drawn is not None:
        _check_classes(artefact, drawn, data)
        return Part(images=getattr(drawn, split), split=split, known=False, note=f"The {split} part of other data.")
    whole = _whole(artefact, data, data_root)
    if seed is not None:
        raise InputError(f"--seed is {seed}, but {data} is evaluated whole: nothing is drawn. Leave --seed out")
    doubt = _same_name(origin.name) if drawn is not None and drawn.name == origin.name else ""
    note = f"Not the images it was trained on: all {len(whole):,} are evaluated.{doubt}"
    return Part(images=whole, split="all", known=False, note=note)


def _same_name(name: str) -> str:
    return (
        f" The training's data were called '{name}' too: if they were changed since, images of the training are among "
        "these, and the score is too high."
    )


def _of_training(artefact: Artefact, drawn: Dataset, data: str, split: str, data_root: Path | None) -> Part:
    if split == "all":
        images = _whole(artefact, data, data_root)
        note = "All of the data it was trained on: the score is too high."
    else:
        images = getattr(drawn, split)
        note = {
            "test": "The test part of the data it was trained on, which the training never saw.",
            "val": "The val part of the data it was trained on, by which choices were made.",
            "train": "The train part, which it learnt from: the score is too high.",
        }[split]
    return Part(images=images, split=split, known=True, note=note)


def _of_unknown(
    artefact: Artefact, drawn: Dataset | None, data: str, split: str | None, seed: int, data_root: Path | None
) -> Part:
    """The file is older than the record of its data, or not exported from a training."""
    if split == "all" or drawn is None or (split is None and drawn.classes != artefact.labels):
        images = _whole(artefact, data, data_root)
        return Part(images=images, split="all", known=None, note="The file does not say what it was trained on.")
    _check_classes(artefact, drawn, data)
    note = f"The file does not say what it was trained on; if it was this, with another seed than {seed}, the score "
    note += "is too high. All of a folder that it never saw: --split all."
    return Part(images=getattr(drawn, split or "test"), split=split or "test", known=None, note=note)


def _check_classes(artefact: Artefact, drawn: Dataset, data: str) -> None:
    if drawn.classes != artefact.labels:
        raise DataError(
            f"{data}: its classes ({', '.join(drawn.classes[:8])}, ...) are not the file's "
            f"({', '.join(artefact.labels[:8])}, ...). Give the data set that the model was trained for"
        )


def _whole(artefact: Artefact, data: str, data_root: Path | None) -> Split:
    return find_task(artefact.task).whole(data, artefact.labels, root=data_root)


def score_on(artefact: Artefact, part: Part) -> tuple[Score, float]:
    """How good the file is on the images, and what making an answer of its outputs takes, in milliseconds.

    Raises:
        DataError: If an image cannot be decoded any more.
        InputError: If the runtime cannot run the file, or an answer is no number.
    """
    images = decode(part.images, artefact.preprocessing, train=False)
    outputs, task = artefact.logits(images.images.numpy()), find_task(artefact.task)
    return task.score(outputs, images.labels), decoding_ms(task, outputs, artefact.labels)
