"""Which anchor is to find which object.

Shapes: B images, M objects (padded), A anchors.
"""

import torch
from torch import Tensor
from torchvision.ops import box_iou

from ridgepoint.tasks.boxes.rows import CROWD, LABEL, PLACE

LEAST_IOU = 0.5
NOTHING, IGNORED = -1, -2


def match(truth_BM6: Tensor, anchors_A4: Tensor) -> Tensor:
    """For every anchor the object that it is to find, int64 (B, A); -1 where it is to find nothing.

    An anchor goes with the object that it overlaps most, if by an IoU of at least 0.5. Every object gets the anchor
    that overlaps it most, however little that is; where two objects have the same one, the one that overlaps it more
    gets it. Anchors that overlap a crowd are -2: neither right nor wrong.

    Source: SSD, arXiv:1512.02325, section 2.2.
    Differs: where two objects share their best anchor, the better one gets it, not the one that comes last.
    """
    batch, most, _ = truth_BM6.shape
    boxes = truth_BM6[..., PLACE].reshape(-1, 4)
    iou_BMA = box_iou(boxes, anchors_A4).view(batch, most, -1)
    there_BM = truth_BM6[..., LABEL] >= 0
    crowd_BM = there_BM & (truth_BM6[..., CROWD] > 0)
    of_objects = iou_BMA.masked_fill(~(there_BM & ~crowd_BM)[..., None], -1.0)
    best_BA, object_BA = of_objects.max(1)
    found_BA = torch.where(best_BA >= LEAST_IOU, object_BA, NOTHING)
    if bool(crowd_BM.any()):
        in_crowd = iou_BMA.masked_fill(~crowd_BM[..., None], -1.0).amax(1) >= LEAST_IOU
        found_BA = torch.where(in_crowd & (found_BA == NOTHING), IGNORED, found_BA)
    closeness_BM, anchor_BM = of_objects.max(2)
    rank_BM = closeness_BM.argsort(1)  # the closest comes last, and keeps what it takes
    images = torch.arange(batch, device=truth_BM6.device)
    for place in range(most):
        number_B = rank_BM[:, place]
        real_B = closeness_BM[images, number_B] > 0
        found_BA[images[real_B], anchor_BM[images, number_B][real_B]] = number_B[real_B]
    return found_BA


def unmatchable(truth_NM6: Tensor, anchors_A4: Tensor, *, chunk: int = 64) -> tuple[Tensor, Tensor]:
    """By class, how many objects no anchor overlaps by an IoU of 0.5, and how many there are, int64 (K,) each."""
    counts = int(truth_NM6[..., LABEL].max()) + 1 if truth_NM6.numel() else 0
    missed, total = torch.zeros(max(counts, 0), dtype=torch.int64), torch.zeros(max(counts, 0), dtype=torch.int64)
    for part in truth_NM6.split(chunk):
        rows = part[(part[..., LABEL] >= 0) & (part[..., CROWD] == 0)]
        if len(rows):
            labels = rows[:, LABEL].long()
            out = box_iou(rows[:, PLACE], anchors_A4).amax(1) < LEAST_IOU
            total += labels.bincount(minlength=len(total))
            missed += labels[out].bincount(minlength=len(total))
    return missed, total
