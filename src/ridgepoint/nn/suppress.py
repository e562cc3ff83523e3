"""Non-maximum suppression as the last part of a network: from rows of an image to its final boxes.

Shapes: A anchors, K classes, C candidates, D most final boxes.
"""

import torch
from torch import Tensor, nn

from ridgepoint.arch.suppression import COLUMNS, NOTHING, Suppression

_APART = 2.0
"""How far boxes of one class are moved from those of the next, so that only boxes of one class meet."""


class Suppressing(nn.Module):
    """A detector whose answers are final boxes.

    Shape: (1, C, H, W) -> (1, D, 6): left, top, right, bottom in parts of the image, score, class; the surest first.
    Where there are fewer boxes, rows of zeros of class -1 follow.
    """

    def __init__(self, network: nn.Module, suppression: Suppression):
        super().__init__()
        from torchvision.ops import nms  # here, for the ONNX exporter knows it only if it was loaded before

        self.network, self.how, self.nms = network, suppression, nms

    def forward(self, x: Tensor) -> Tensor:
        """Suppress among a fixed number of candidates; what is too unsure is left out last: no shape hangs on it."""
        rows_AC = self.network(x)[0]
        scores_AK = rows_AC[:, 4:]
        scores_C, chosen_C = scores_AK.flatten().topk(min(self.how.candidates, scores_AK.numel()))
        labels_C = (chosen_C % scores_AK.shape[1]).float()
        places_C4 = rows_AC[chosen_C // scores_AK.shape[1], :4].clamp(0.0, 1.0)
        kept = self.nms(places_C4 + _APART * labels_C[:, None], scores_C, self.how.most_iou)
        found = torch.cat([places_C4, scores_C[:, None], labels_C[:, None]], 1)[kept]
        found_D6 = torch.cat([found, found.new_zeros(self.how.most_boxes, COLUMNS)])[: self.how.most_boxes]
        sure_D1 = (found_D6[:, 4:5] >= self.how.least_score).float()
        absent_6 = torch.tensor([0.0] * (COLUMNS - 1) + [NOTHING])
        return (found_D6 * sure_D1 + absent_6 * (1.0 - sure_D1))[None]
