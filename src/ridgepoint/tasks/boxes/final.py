"""From a detector's rows to final boxes: the best of every place, by greedy suppression within each class."""

from typing import NamedTuple

import numpy as np
import torch

from ridgepoint.arch.suppression import Suppression
from ridgepoint.tasks.boxes.rows import BOX, SCORES

USUAL = Suppression()
"""What boxes are scored by, and what a file with suppression of its own does."""

SHOWN = 0.4
"""The least score of a box that people are shown."""


class Boxes(NamedTuple):
    """The final boxes of an image, the surest first.

    Attributes:
        places: Left, top, right, bottom in parts of the image, float32 (D, 4), within 0..1.
        labels: Classes, int64 (D,).
        scores: Probabilities, float32 (D,).
    """

    places: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


def final_boxes(rows_AC: np.ndarray, *, least_score: float = USUAL.least_score) -> Boxes:
    """The final boxes of one image.

    A row may be several classes; a fixed number of rows is looked at, so that the time does not depend on the image.

    Args:
        rows_AC: Box and scores of every anchor; see `rows`.
        least_score: What less sure boxes are left out by.
    """
    from torchvision.ops import batched_nms

    rows = torch.as_tensor(rows_AC)
    scores_AK = rows[:, SCORES]
    flat = scores_AK.flatten()
    scores, chosen = flat.topk(min(USUAL.candidates, len(flat)))
    chosen = chosen[scores >= least_score]
    scores = scores[: len(chosen)]
    anchors, labels = chosen // scores_AK.shape[1], chosen % scores_AK.shape[1]
    places = rows[anchors, BOX].clamp(0.0, 1.0)
    kept = batched_nms(places, scores, labels, USUAL.most_iou)[: USUAL.most_boxes]
    return Boxes(places[kept].numpy(), labels[kept].numpy(), scores[kept].numpy())
