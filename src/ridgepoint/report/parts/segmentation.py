"""Segmentation: how much of each class is found, what it is taken for, and images beside their masks and answers."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from markupsafe import Markup

from ridgepoint.report.parts.part import Part, Section
from ridgepoint.report.picture import picture_uri
from ridgepoint.report.template import template
from ridgepoint.run.evaluation import EVALUATION
from ridgepoint.run.records import read_record
from ridgepoint.run.result import Accuracy, FitResult, TrainResult
from ridgepoint.tasks.segmented import ClassFound, Segmented, Shown

OTHERWISE = "Run the command that wrote it again"
SHEET_PX = 720
"""The width of three pictures side by side."""

NAMED = 5


class Sheet(msgspec.Struct, frozen=True):
    """An image with its mask and its answer, as a data URI, and its own mean IoU."""

    source: str
    name: str
    iou: float


class SegmentationPart(Part):
    """See `Part`."""

    scores = "mean IoUs"
    labels = "classes"
    agrees = "same label map as the trained network"
    own_data = "images and masks of your own"

    def read(self, folder: Path, result: FitResult) -> Segmented | None:
        """`evaluation.json`."""
        path = folder / EVALUATION
        return read_record(path, Segmented, otherwise=OTHERWISE) if path.is_file() else None

    def guess(self, accuracy: Accuracy) -> str:
        """Every pixel called the most frequent class."""
        if accuracy.majority is None:
            return ""
        return f"Calling every pixel the most frequent class: {_percent(accuracy.majority)}."

    def section(self, folder: Path, result: FitResult, evaluation: Segmented | None) -> Section:
        """Every class, the worst images, and some others."""
        sheets, lost = _sheets(folder, evaluation)
        html = template("parts/segmentation.html.jinja", percent=_percent).render(
            classes=[] if evaluation is None else sorted(evaluation.classes, key=_least_first),
            judged_at=None if evaluation is None else evaluation.judged_at,
            taken_for={}
            if evaluation is None
            else {each.label: _mistaken(each, evaluation) for each in evaluation.classes},
            worst=[sheet for shown, sheet in sheets if shown.worst],
            others=[sheet for shown, sheet in sheets if not shown.worst],
            lost=lost,
            evaluation=evaluation,
        )
        return Section(Markup(html))

    def training(self, result: TrainResult) -> Section:
        """How much of every class is found, the least first."""
        known = {} if result.score is None else result.score.by_label
        rows = sorted((iou, name) for name, iou in known.items() if iou is not None)
        return Section(Markup(template("parts/recalls.html.jinja", percent=_percent).render(recalls=rows)))

    def lines(self, evaluation: Segmented | None) -> list[str]:
        """The classes that are found least."""
        return [] if evaluation is None else _told({each.label: each.iou for each in evaluation.classes})

    def training_lines(self, result: TrainResult) -> list[str]:
        """The same of a training."""
        return [] if result.score is None else _told(result.score.by_label)


PART = SegmentationPart()


def _sheets(folder: Path, evaluation: Segmented | None) -> tuple[list[tuple[Shown, Sheet]], int]:
    """The pictures that are inside the run folder, and how many were not there."""
    shown = [] if evaluation is None else list(evaluation.shown)
    found = []
    for each in shown:
        path = (folder / each.image).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            continue
        source = picture_uri(path.read_bytes(), side=SHEET_PX)
        if source is not None:
            found.append((each, Sheet(source, each.id, each.iou)))
    return found, len(shown) - len(found)


def _least_first(each: ClassFound) -> tuple[bool, float]:
    return each.iou is None, each.iou or 0.0


def _mistaken(each: ClassFound, evaluation: Segmented) -> str:
    """The class that most of its other pixels are called; empty where that is next to none."""
    others = [
        (share, other.label)
        for share, other in zip(each.taken_for, evaluation.classes, strict=False)
        if other.label != each.label
    ]
    share, name = max(others, default=(0.0, ""))
    return f"{name} {_percent(share)}" if share >= 0.005 else ""


def _told(ious: Mapping[str, float | None]) -> list[str]:
    known = sorted((iou, name) for name, iou in ious.items() if iou is not None)
    if not known:
        return []
    told = ", ".join(f"{name} {100 * iou:.1f} %" for iou, name in known[:NAMED])
    return [f"IoU by class, the least first: {told}{', ...' if len(known) > NAMED else ''}."]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
