"""Detection: precision of every class, what is found and missed of it, and the images with most mistakes."""

from pathlib import Path
from typing import Any

import msgspec
from markupsafe import Markup

from ridgepoint.files import read_file
from ridgepoint.report.parts.part import Part, Section
from ridgepoint.report.picture import picture_uri
from ridgepoint.report.template import template
from ridgepoint.run.records import read_record
from ridgepoint.run.result import FitResult
from ridgepoint.tasks.boxes.evaluation import DETECTED, Detected

WIDE, LARGEST_PICTURE = 640, 16 << 20
OTHERWISE = "Run the command that wrote it again"


class Picture(msgspec.Struct, frozen=True):
    """An image with what is there and what was found, as a data URI."""

    source: str
    id: str
    missed: int
    wrong: int


class DetectionPart(Part):
    """See `Part`."""

    scores = "mean average precisions"
    labels = "classes"
    agrees = "same boxes as the trained network"
    own_data = "images of your own with boxes, as COCO, YOLO, Pascal VOC or LabelMe write them"

    def read(self, folder: Path, result: FitResult) -> Detected | None:
        """`detection.json`."""
        path = folder / DETECTED
        return read_record(path, Detected, otherwise=OTHERWISE) if path.is_file() else None

    def section(self, folder: Path, result: FitResult, evaluation: Any) -> Section:
        """A table of the classes, and pictures of the images with most mistakes."""
        pictures = [] if evaluation is None else _pictures(folder, evaluation)
        every = [] if evaluation is None else sorted(evaluation.classes, key=lambda each: (each.ap is None, each.ap))
        classes = [each for each in every if each.objects or each.wrong]
        html = template("parts/detection.html.jinja").render(
            evaluation=evaluation, classes=classes, absent=len(every) - len(classes), pictures=pictures
        )
        return Section(Markup(html))

    def lines(self, evaluation: Any) -> list[str]:
        """What is found of every class, the worst first."""
        known = [] if evaluation is None else [each for each in evaluation.classes if each.ap is not None]
        worst = sorted(known, key=lambda each: each.ap)[:5]
        told = ", ".join(f"{each.label} {each.found} of {each.objects} (AP {each.ap:.2f})" for each in worst)
        return [f"Found, the worst classes first: {told}."] if told else []


def _pictures(folder: Path, evaluation: Detected) -> list[Picture]:
    """Those whose file is inside the run folder."""
    found = []
    for each in evaluation.worst:
        path = (folder / each.image).resolve()
        if path.is_relative_to(folder.resolve()) and path.is_file():
            source = picture_uri(read_file(path, limit_bytes=LARGEST_PICTURE), side=WIDE)
            if source is not None:
                found.append(Picture(source, each.id, each.missed, each.wrong))
    return found


PART = DetectionPart()
