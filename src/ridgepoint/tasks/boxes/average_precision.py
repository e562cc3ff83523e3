"""Mean average precision as COCO defines it, by faster-coco-eval.

Source: https://cocodataset.org/#detection-eval
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ridgepoint.tasks.boxes.final import Boxes
from ridgepoint.tasks.boxes.rows import CROWD, LABEL, PLACE

SIDE = 640.0
"""Places are parts of an image; counted in pixels of a square of this side, which changes no overlap.

COCO calls objects small up to 32 x 32 px, and large from 96 x 96 px on: a twentieth of the side of its images, which
have 640 px, and three of them."""

SMALL, LARGE = 32 / SIDE, 96 / SIDE


class Precisions(msgspec.Struct, frozen=True, kw_only=True):
    """Average precisions, 0 to 1.

    Attributes:
        all: Mean over classes and over the IoUs 0.5, 0.55, ..., 0.95.
        at_50: At the IoU 0.5.
        at_75: At the IoU 0.75.
        by_class: As `all`, of each class; None for a class that no image has.
        recall: The mean share of objects that up to a hundred boxes an image find.
        by_size: As `all`, of small, middling and large objects: the root of a box's area is up to `SMALL`, to `LARGE`
            or more of the image's side; None where there are none.
    """

    all: float
    at_50: float
    at_75: float
    by_class: tuple[float | None, ...]
    recall: float
    by_size: tuple[float | None, float | None, float | None]


def average_precision(found: Sequence[Boxes], truth_NM6: np.ndarray, num_classes: int) -> Precisions:
    """How well boxes are found.

    Args:
        found: Final boxes of every image.
        truth_NM6: What is there; see `rows`.
        num_classes: Classes, of which some may be on no image.
    """
    judge = _judge(found, truth_NM6, num_classes)
    if judge is None:
        present = np.unique(truth_NM6[..., LABEL][truth_NM6[..., LABEL] >= 0])
        by_class = tuple(0.0 if number in present else None for number in range(num_classes))
        return Precisions(all=0.0, at_50=0.0, at_75=0.0, by_class=by_class, recall=0.0, by_size=_nothing(truth_NM6))
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    means = [_mean(judge.eval["precision"][:, :, number, 0, 2]) for number in range(num_classes)]
    stats = [max(float(value), 0.0) for value in judge.stats[:9]]
    small, middling, large = (None if value < 0 else float(value) for value in judge.stats[3:6])
    return Precisions(
        all=stats[0],
        at_50=stats[1],
        at_75=stats[2],
        by_class=tuple(means),
        recall=stats[8],
        by_size=(small, middling, large),
    )


def mean_precisions(
    found: Sequence[Boxes], truth_NM6: np.ndarray, num_classes: int, choices: Sequence[np.ndarray]
) -> list[float]:
    """`Precisions.all` of several choices of the images, which are looked at once.

    Args:
        found: As for `average_precision`.
        truth_NM6: As for `average_precision`.
        num_classes: As for `average_precision`.
        choices: Numbers of images, each once.
    """
    judge = _judge(found, truth_NM6, num_classes)
    if judge is None:
        return [0.0] * len(choices)
    means = []
    for kept in choices:
        judge.params.imgIds = [int(number) for number in kept]
        judge.evaluate()
        judge.accumulate()
        means.append(_mean(judge.eval["precision"][..., 0, 2]) or 0.0)
    return means


def _judge(found: Sequence[Boxes], truth_NM6: np.ndarray, num_classes: int) -> Any:
    """What compares all boxes with all objects; None where there are no boxes."""
    from faster_coco_eval import COCO, COCOeval_faster

    boxes = _found_documents(found)
    if not boxes:
        return None
    truth = _loaded(COCO, _documents(truth_NM6, num_classes))
    return COCOeval_faster(truth, truth.loadRes(boxes), iouType="bbox", print_function=lambda *_: None)


def _nothing(truth_NM6: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """The precision by size where nothing is found: none where there is nothing to find, either."""
    rows = truth_NM6[(truth_NM6[..., LABEL] >= 0) & (truth_NM6[..., CROWD] == 0)]
    places = rows[:, PLACE]
    sides = np.sqrt((places[:, 2:] - places[:, :2]).prod(1))
    small, middling, large = np.bincount(np.digitize(sides, [SMALL, LARGE]), minlength=3) > 0
    return (0.0 if small else None, 0.0 if middling else None, 0.0 if large else None)


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _loaded(kind: Any, content: dict[str, Any]) -> Any:
    made = kind()
    made.dataset = content
    made.createIndex()
    return made


def _documents(truth_NM6: np.ndarray, num_classes: int) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image, number in zip(*np.nonzero(truth_NM6[..., LABEL] >= 0), strict=True):
        row = truth_NM6[image, number].astype(np.float64)
        left, top, right, bottom = (row[PLACE] * SIDE).tolist()
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": int(image),
                "category_id": int(row[LABEL]),
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": int(row[CROWD] > 0),
            }
        )
    return {
        "images": [{"id": number, "width": int(SIDE), "height": int(SIDE)} for number in range(len(truth_NM6))],
        "categories": [{"id": number, "name": str(number)} for number in range(num_classes)],
        "annotations": annotations,
    }


def _found_documents(found: Sequence[Boxes]) -> list[dict[str, Any]]:
    documents = []
    for image, boxes in enumerate(found):
        for place, label, score in zip(boxes.places, boxes.labels, boxes.scores, strict=True):
            left, top, right, bottom = (place.astype(np.float64) * SIDE).tolist()
            documents.append(
                {
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": [left, top, right - left, bottom - top],
                    "score": float(score),
                }
            )
    return documents
