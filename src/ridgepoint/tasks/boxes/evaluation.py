"""`detection.json` of a detector: what its exported file finds and misses, and its worst images with their boxes."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from ridgepoint.data import ArraySplit
from ridgepoint.files import make_folder, write_atomic
from ridgepoint.run.records import write_record
from ridgepoint.tasks.boxes.average_precision import average_precision
from ridgepoint.tasks.boxes.final import SHOWN, Boxes, final_boxes
from ridgepoint.tasks.boxes.hits import judged, objects
from ridgepoint.tasks.boxes.rows import LABEL, PLACE, SCORES
from ridgepoint.train.samples import png

DETECTED = "detection.json"
PICTURES = "detections"
WORST = 12
_COLOURS = (
    "#d62728",
    "#1f77b4",
    "#2ca02c",
    "#9467bd",
    "#ff7f0e",
    "#17becf",
    "#e377c2",
    "#8c564b",
    "#bcbd22",
    "#555555",
)
_PX = 320


class ClassFound(msgspec.Struct, frozen=True, kw_only=True):
    """A class on the test images, at the scores that are shown.

    Attributes:
        ap: Average precision over IoUs from 0.5 to 0.95; None without objects.
        objects: How many there are.
        found: How many of them a box of their class overlaps by an IoU of 0.5.
        wrong: Boxes of that class on no object of it.
    """

    label: str
    ap: float | None
    objects: int
    found: int
    wrong: int


class WorstImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image with what is there and what was found, side by side in one picture.

    Attributes:
        missed: Objects that were not found.
        wrong: Boxes on no object of their class.
        image: The picture, below the run folder.
    """

    id: str
    missed: int
    wrong: int
    image: str


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """What the report shows of a detector.

    Attributes:
        worst: The images with most mistakes.
        shown_score: From what score on a box is shown.
        images: Test images.
        suppression_ms: What it takes here to make final boxes of the rows of an image, the median of the test images.
    """

    classes: list[ClassFound]
    worst: list[WorstImage]
    shown_score: float
    images: int
    suppression_ms: float


def write_detected(folder: Path, labels: Sequence[str], test: ArraySplit, outputs: np.ndarray) -> None:
    """`detection.json`: every class, and the images with most mistakes beside what is there."""
    truth_NM6 = test.labels.numpy()
    told = average_precision([final_boxes(rows) for rows in outputs], truth_NM6, outputs.shape[-1] - SCORES.start)
    shown, suppression_ms = _timed(outputs)
    each = [judged(boxes, rows) for boxes, rows in zip(shown, truth_NM6, strict=True)]
    there_NM = objects(truth_NM6)
    classes = []
    for number, label in enumerate(labels):
        is_there = there_NM & (truth_NM6[..., LABEL] == number)
        hits = sum(
            int((found & (rows[:, LABEL] == number)).sum()) for (found, _), rows in zip(each, truth_NM6, strict=True)
        )
        on_none = sum(int((bad & (boxes.labels == number)).sum()) for (_, bad), boxes in zip(each, shown, strict=True))
        row = ClassFound(label=label, ap=told.by_class[number], objects=int(is_there.sum()), found=hits, wrong=on_none)
        classes.append(row)
    missed = [int((there & ~found).sum()) for (found, _), there in zip(each, there_NM, strict=True)]
    wrong = [int(bad.sum()) for _, bad in each]
    order = sorted(range(len(missed)), key=lambda index: (-(missed[index] + wrong[index]), index))[:WORST]
    make_folder(folder / PICTURES)
    worst = []
    for place, index in enumerate(order):
        name = f"{PICTURES}/{place}.png"
        write_atomic(folder / name, beside(test.images[index], truth_NM6[index], shown[index], labels))
        worst.append(WorstImage(id=str(test.ids[index]), missed=missed[index], wrong=wrong[index], image=name))
    record = Detected(
        classes=classes, worst=worst, shown_score=SHOWN, images=len(truth_NM6), suppression_ms=suppression_ms
    )
    write_record(folder / DETECTED, record)


def _timed(outputs: np.ndarray) -> tuple[list[Boxes], float]:
    """Final boxes as they are shown, and what an image takes."""
    found, taken_ms = [], []
    for rows in outputs:
        start = time.perf_counter()
        found.append(final_boxes(rows, least_score=SHOWN))
        taken_ms.append(1000 * (time.perf_counter() - start))
    return found, float(np.median(taken_ms))


def beside(image_CHW: torch.Tensor, rows_M6: np.ndarray, boxes: Boxes, labels: Sequence[str]) -> bytes:
    """A picture, PNG: the image with what is there, and beside it with what was found."""
    there = rows_M6[rows_M6[:, LABEL] >= 0]
    numbers = there[:, LABEL].astype(int)
    left = drawn(_enlarged(image_CHW), there[:, PLACE], numbers, [labels[number] for number in numbers])
    right = drawn(_enlarged(image_CHW), boxes.places, boxes.labels, captions(boxes, labels))
    return png(torch.cat([left, torch.full((3, left.shape[1], 4), 255, dtype=torch.uint8), right], 2))


def drawn(image_CHW: torch.Tensor, places: np.ndarray, numbers: np.ndarray, words: Sequence[str]) -> torch.Tensor:
    """An image with boxes on it, each class in a colour of its own, uint8 (3, H, W)."""
    image = image_CHW.expand(3, -1, -1)
    from torchvision.utils import draw_bounding_boxes

    if not len(places):
        return image
    sides = torch.tensor([image.shape[2], image.shape[1]] * 2)
    boxes = torch.from_numpy(np.ascontiguousarray(places)) * sides
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    colours = [_COLOURS[number % len(_COLOURS)] for number in numbers]
    found: torch.Tensor = draw_bounding_boxes(
        image,
        boxes,
        labels=list(words),
        colors=colours,
        width=2,
        label_colors="white",
        label_background_colors=colours,
        fill_labels=True,
    )
    return found


def captions(boxes: Boxes, labels: Sequence[str]) -> list[str]:
    """The class of every box and its score."""
    return [f"{labels[label]} {score:.2f}" for label, score in zip(boxes.labels, boxes.scores, strict=True)]


def _enlarged(image_CHW: torch.Tensor) -> torch.Tensor:
    """So that boxes and words have room."""
    scale = max(1, _PX // max(image_CHW.shape[1:]))
    return image_CHW.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
