"""`evaluation.json` of a segmenter: how much of each class its exported file finds, and images beside their masks.

Shapes: C classes; H, W an input's size.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from PIL import Image

from ridgepoint.data import ArraySplit
from ridgepoint.files import make_folder
from ridgepoint.run.evaluation import EVALUATION
from ridgepoint.run.records import write_record
from ridgepoint.run.result import Share
from ridgepoint.tasks.boundary import boundary_ious
from ridgepoint.tasks.map_colours import colours_of, overlay
from ridgepoint.tasks.miou import confusions, intersections_over_unions, label_maps

WORST, OTHERS = 8, 8
PICTURES = "pictures"


class ClassFound(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a class is found.

    Attributes:
        label: Its name.
        colour: In pictures, red, green and blue; None where it is not coloured.
        iou: Intersection over union; None where it is nowhere.
        boundary_iou: The same near the borders of the class alone.
        share: Of the pixels that count.
        taken_for: Of its pixels, the share that is called each class, in their order.
    """

    label: str
    colour: tuple[int, int, int] | None = None
    iou: Share | None = None
    boundary_iou: Share | None = None
    share: Share
    taken_for: tuple[float, ...] = ()


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An image, its mask and its answer side by side, as a file in the run's folder; its own mean IoU."""

    id: str
    image: str
    iou: Share
    worst: bool


class Segmented(msgspec.Struct, frozen=True, kw_only=True):
    """What the exported file finds on the test images."""

    classes: tuple[ClassFound, ...]
    shown: tuple[Shown, ...]
    judged_at: tuple[int, int]


def write_segmented(run: Path, labels: Sequence[str], test: ArraySplit, logits: np.ndarray) -> None:
    """Every class, the worst images, and some that were drawn evenly from the others."""
    each = confusions(logits, test.labels)
    confusion = each.sum(0)
    with np.errstate(invalid="ignore"):
        of_images = np.nan_to_num(np.nanmean(intersections_over_unions(each), axis=1))
    order = np.argsort(of_images, kind="stable")
    worst, rest = order[:WORST], np.sort(order[WORST:])
    others = rest[np.unique(np.linspace(0, len(rest) - 1, OTHERS).astype(int))] if len(rest) else rest
    make_folder(run / PICTURES)
    shown = []
    for number, index in enumerate([*worst.tolist(), *others.tolist()]):
        path = f"{PICTURES}/{number}.png"
        beside(test, logits, index, tuple(labels)).save(run / path)
        iou = float(of_images[index])
        shown.append(Shown(id=str(test.ids[index]), image=path, iou=iou, worst=number < len(worst)))
    ious, counts = intersections_over_unions(confusion), confusion.sum(1)
    masks = torch.as_tensor(test.labels)
    answers = [answer for chunk in label_maps(logits, (int(masks.shape[1]), int(masks.shape[2]))) for answer in chunk]
    borders = boundary_ious(answers, list(masks), len(labels))
    found = [
        ClassFound(
            label=label,
            colour=colour,
            iou=float(iou) if np.isfinite(iou) else None,
            boundary_iou=float(near) if np.isfinite(near) else None,
            share=float(count / max(counts.sum(), 1)),
            taken_for=tuple((row / max(count, 1)).tolist()),
        )
        for label, colour, iou, near, count, row in zip(
            labels, colours_of(tuple(labels)), ious, borders, counts, confusion, strict=True
        )
    ]
    height, width = test.labels.shape[1:]
    content = Segmented(classes=tuple(found), shown=tuple(shown), judged_at=(int(height), int(width)))
    write_record(run / EVALUATION, content)


def beside(test: ArraySplit, logits: np.ndarray, index: int, labels: tuple[str, ...]) -> Image.Image:
    """An image, the same with its mask over it, and with the answer over it."""
    pixels_CHW = test.images[index].numpy()
    pixels_HW3 = np.moveaxis(np.broadcast_to(pixels_CHW, (3, *pixels_CHW.shape[1:])), 0, -1)
    height, width = pixels_HW3.shape[:2]
    mask = Image.fromarray(test.labels[index].numpy()).resize((width, height), Image.Resampling.NEAREST)
    (answer,) = label_maps(logits[index][None], (height, width))
    sheet = Image.new("RGB", (3 * width + 8, height), "white")
    parts = (Image.fromarray(pixels_HW3), overlay(pixels_HW3, np.asarray(mask), labels))
    for place, part in enumerate((*parts, overlay(pixels_HW3, answer[0].numpy(), labels))):
        sheet.paste(part, (place * (width + 4), 0))
    return sheet
