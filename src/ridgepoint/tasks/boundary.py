"""How well borders are found: intersection over union of what lies near the borders of classes alone.

Large objects have much inside and little border: of them the IoU hardly tells whether borders are right.

Shapes: H x W a mask's size.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from ridgepoint.data.masks.classes import IGNORED

REACH = 0.02
"""How far from a border counts, in parts of the image's diagonal."""


def border(where_HW: Tensor, reach: int) -> Tensor:
    """Of the pixels of a class those within so many of another class, or of the image's edge, bool (H, W)."""
    outside = torch.nn.functional.pad(1.0 - where_HW.float()[None], (reach,) * 4, value=1.0)
    near = max_pool2d(max_pool2d(outside, (2 * reach + 1, 1), stride=1), (1, 2 * reach + 1), stride=1)[0]
    return where_HW & (near > 0)


def boundary_ious(answers: Sequence[Tensor], masks: Sequence[Tensor], count: int) -> np.ndarray:
    """Boundary IoU of every class, all images together, (count,); NaN where a class is in neither.

    Source: Boundary IoU, arXiv:2103.16562, section 5; for semantic segmentation summed over images as IoU is.

    Args:
        answers: Classes of pixels, uint8 (H, W) each.
        masks: The truth; 255 counts for nothing.
        count: Of classes.
    """
    both, either = np.zeros(count), np.zeros(count)
    for answer, mask in zip(answers, masks, strict=True):
        reach, counted = max(round(REACH * math.hypot(*mask.shape)), 1), mask != IGNORED
        for number in torch.cat([answer[counted], mask[counted]]).unique().tolist():
            found, there = (border((each == number) & counted, reach) for each in (answer, mask))
            both[number] += int((found & there).sum())
            either[number] += int((found | there).sum())
    with np.errstate(invalid="ignore"):
        ious: np.ndarray = both / either
    return ious
