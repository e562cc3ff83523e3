"""What a step minimises where every pixel has a class: cross-entropy of pixels, and Dice of classes.

Shapes: B images, C classes, h x w an answer's size, H x W a mask's.
"""

import torch
from torch import Tensor
from torch.nn import functional

from ridgepoint.data.masks.classes import IGNORED
from ridgepoint.train.batches import Batch, Loss

DICE = 1.0
"""Weight of the Dice loss beside cross-entropy."""


def map_loss(label_smoothing: float) -> Loss:
    """Cross-entropy of the pixels that count, and `DICE` times the Dice loss.

    Cross-entropy counts pixels, so a class of few pixels weighs little; Dice counts classes alike, and is near to what
    is scored.

    Source: V-Net, arXiv:1606.04797, section 3 (Dice).
    Differs: the mean over the classes that a batch holds, and sums of probabilities, not of their squares.
    """

    def loss(model: "torch.nn.Module", batch: Batch) -> Tensor:
        masks_BHW = batch.targets.long()
        logits = functional.interpolate(
            model(batch.images).float(), size=masks_BHW.shape[-2:], mode="bilinear", align_corners=False
        )
        counted_BHW = masks_BHW != IGNORED
        if not bool(counted_BHW.any()):
            return logits.sum() * 0.0
        pixels = functional.cross_entropy(logits, masks_BHW, ignore_index=IGNORED, label_smoothing=label_smoothing)
        return pixels + DICE * _dice(logits, masks_BHW, counted_BHW)

    return loss  # type: ignore[return-value]


def _dice(logits_BCHW: Tensor, masks_BHW: Tensor, counted_BHW: Tensor) -> Tensor:
    """1 - the mean over classes of twice the overlap over the sum of both."""
    shares_BCHW = logits_BCHW.softmax(1) * counted_BHW[:, None]
    truth_BCHW = functional.one_hot(masks_BHW.where(counted_BHW, 0), logits_BCHW.shape[1]).movedim(-1, 1)
    truth_BCHW = truth_BCHW * counted_BHW[:, None]
    overlap_C = (shares_BCHW * truth_BCHW).sum((0, 2, 3))
    marked_C = truth_BCHW.sum((0, 2, 3))
    both_C = shares_BCHW.sum((0, 2, 3)) + marked_C
    return 1 - (2 * overlap_C / both_C.clamp(min=1e-6))[marked_C > 0].mean()
