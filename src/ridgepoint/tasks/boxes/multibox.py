"""The loss of a detector: where objects are, and what they are.

Shapes: B images, M objects (padded), A anchors, K classes.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

from ridgepoint.nn.anchored import encode
from ridgepoint.tasks.boxes.matching import IGNORED, match
from ridgepoint.tasks.boxes.rows import ANCHOR, LABEL, LOGITS, OFFSETS, PLACE

NEGATIVES = 3
"""Background anchors for every anchor that has an object: those that look most like something."""


def multibox(rows_BAC: Tensor, truth_BM6: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Smooth L1 of offsets and cross-entropy of classes, over anchors that have objects and the hardest that do not.

    Source: SSD, arXiv:1512.02325, section 2.2.
    Differs: an image without objects counts as one with a single matched anchor, so that something is learnt from it;
    all objects of a batch weigh alike, where SSD's weigh as many times as much as they have anchors.

    Args:
        rows_BAC: What a network in training gives; see `rows`.
        truth_BM6: What is there.
        label_smoothing: Of the cross-entropy.
    """
    rows_BAC = rows_BAC.float()
    anchors_A4 = rows_BAC[0, :, ANCHOR].detach()
    with torch.no_grad():
        object_BA = match(truth_BM6, anchors_A4)
        positive_BA = object_BA >= 0
        own_BA6 = truth_BM6.gather(1, object_BA.clamp(min=0)[..., None].expand(-1, -1, truth_BM6.shape[-1]))
        wanted_BA = torch.where(positive_BA, own_BA6[..., LABEL].long() + 1, 0)
        offsets_P4 = encode(own_BA6[..., PLACE][positive_BA], anchors_A4.expand(len(rows_BAC), -1, -1)[positive_BA])
        weights_P = _weights(object_BA, truth_BM6.shape[1])
    places_P = smooth_l1_loss(rows_BAC[..., OFFSETS][positive_BA], offsets_P4, reduction="none").sum(1)
    losses_BA = cross_entropy(
        rows_BAC[..., LOGITS].movedim(-1, 1).contiguous(), wanted_BA, reduction="none", label_smoothing=label_smoothing
    )
    with torch.no_grad():
        may_BA = ~positive_BA & (object_BA != IGNORED)
        hard_BA = _hardest(losses_BA.masked_fill(~may_BA, -1.0), NEGATIVES * positive_BA.sum(1).clamp(min=1)) & may_BA
    found = (weights_P * (places_P + losses_BA[positive_BA])).sum()
    return (found + losses_BA[hard_BA].sum()) / positive_BA.sum().clamp(min=1)


def _weights(object_BA: Tensor, most: int) -> Tensor:
    """Of the anchors that have objects, (P,), 1 on average: as much for each object, shared by the anchors it has."""
    images_B1 = torch.arange(len(object_BA), device=object_BA.device)[:, None]
    objects_P = (object_BA + most * images_B1)[object_BA >= 0]
    weights_P = 1.0 / objects_P.bincount()[objects_P]
    return weights_P / weights_P.mean()


def _hardest(losses_BA: Tensor, counts_B: Tensor) -> Tensor:
    """The `counts` largest of each row, bool (B, A)."""
    order_BA = losses_BA.argsort(1, descending=True)
    ranks_BA = torch.empty_like(order_BA)
    places_BA = torch.arange(losses_BA.shape[1], device=losses_BA.device).expand_as(order_BA)
    ranks_BA.scatter_(1, order_BA, places_BA)
    return ranks_BA < counts_B[:, None]
