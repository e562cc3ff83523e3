"""Which anchor is to find which object.

Shapes: B images, M objects (padded), A anchors.
"""

import torch
from torch import Tensor

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
    return torch.stack([_of_image(rows_M6, anchors_A4) for rows_M6 in truth_BM6])


def _of_image(rows_M6: Tensor, anchors_A4: Tensor) -> Tensor:
    """The same of one image, (A,)."""
    from torchvision.ops import box_iou

    there_M, crowd_M = rows_M6[:, LABEL] >= 0, rows_M6[:, CROWD] > 0
    found_A = torch.full((len(anchors_A4),), NOTHING, device=rows_M6.device)
    places, crowds = torch.nonzero(there_M & ~crowd_M)[:, 0], torch.nonzero(there_M & crowd_M)[:, 0]
    if len(crowds):
        found_A[box_iou(rows_M6[crowds, PLACE], anchors_A4).amax(0) >= LEAST_IOU] = IGNORED
    if len(places):
        iou_PA = box_iou(rows_M6[places, PLACE], anchors_A4)
        best_A, which_A = iou_PA.max(0)
        near_A = best_A >= LEAST_IOU
        found_A[near_A] = places[which_A[near_A]]
        closeness_P, anchor_P = iou_PA.max(1)
        for place in closeness_P.argsort().tolist():  # the closest comes last, and keeps what it takes
            if closeness_P[place] > 0:
                found_A[anchor_P[place]] = places[place]
    return found_A


def unmatchable(truth_NM6: Tensor, anchors_A4: Tensor, *, chunk: int = 64) -> tuple[Tensor, Tensor]:
    """By class, how many objects no anchor overlaps by an IoU of 0.5, and how many there are, int64 (K,) each."""
    from torchvision.ops import box_iou

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
