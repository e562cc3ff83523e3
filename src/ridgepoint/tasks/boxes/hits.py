"""Which objects are found, and which boxes are on none: the surest box takes first.

Shapes: N images, D boxes, M objects (padded).
"""

from collections.abc import Sequence

import numpy as np
import torch

from ridgepoint.tasks.boxes.final import Boxes
from ridgepoint.tasks.boxes.rows import CROWD, LABEL, PLACE

FOUND_IOU = 0.5
"""How far a box has to overlap an object of its class to find it."""


def judged(boxes: Boxes, rows_M6: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which objects are found, bool (M,), and which boxes are on none, bool (D,).

    A box on a crowd is on something, and finds nothing.
    """
    from torchvision.ops import box_iou

    found, wrong = np.zeros(len(rows_M6), bool), np.ones(len(boxes.labels), bool)
    if not len(boxes.labels):
        return found, wrong
    iou_DM = box_iou(torch.from_numpy(boxes.places), torch.from_numpy(rows_M6[:, PLACE])).numpy()
    iou_DM = np.where(boxes.labels[:, None] == rows_M6[None, :, LABEL], iou_DM, 0.0)
    crowd = rows_M6[:, CROWD] > 0
    for number, ious_M in enumerate(iou_DM):
        free_M = np.where(found & ~crowd, 0.0, ious_M)
        best = int(free_M.argmax())
        if free_M[best] >= FOUND_IOU:
            found[best], wrong[number] = True, False
    return found & ~crowd, wrong


def objects(rows_M6: np.ndarray) -> np.ndarray:
    """Which rows are objects that are to be found, bool (..., M)."""
    there: np.ndarray = (rows_M6[..., LABEL] >= 0) & (rows_M6[..., CROWD] == 0)
    return there


def precision_and_recall(found: Sequence[Boxes], truth_NM6: np.ndarray, least_score: float) -> tuple[float, float]:
    """Of the boxes at least so sure, the share that find an object; of the objects, the share that is found.

    Where there are no such boxes, or no objects, the share is 0.
    """
    hits = misses = 0
    for boxes, rows in zip(found, truth_NM6, strict=True):
        sure = boxes.scores >= least_score
        hit, wrong = judged(Boxes(*(values[sure] for values in boxes)), rows)
        hits, misses = hits + int(hit.sum()), misses + int(wrong.sum())
    return hits / max(hits + misses, 1), hits / max(int(objects(truth_NM6).sum()), 1)
