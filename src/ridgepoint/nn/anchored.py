"""Anchors at every position of maps, and the boxes that a network makes of them.

Shapes: B batch, A anchors, K classes.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ridgepoint.arch.layer import Scores
from ridgepoint.errors import InputError

CENTRE, SIDE = 10.0, 5.0
"""What offsets of centres and of sides are multiplied by, so that a network has numbers of about 1 to learn."""

LARGEST = math.log(1000 / 16)
"""Of a side's logarithm: a box is at most so many times as wide as its anchor."""


class AnchoredRows(nn.Module):
    """Offsets (B, A, 4), logits (B, A, 1 + K) and maps to boxes and probabilities (B, A, 4 + K).

    Boxes are left, top, right, bottom in parts of the image. In train mode the rows are offsets, anchors and logits,
    (B, A, 4 + 4 + 1 + K): what a loss needs.
    """

    def __init__(self, anchors: Sequence[Sequence[tuple[float, float]]], scores: Scores = "softmax"):
        super().__init__()
        self.anchors = tuple(tuple(each) for each in anchors)
        self.scores = scores

    def forward(self, offsets_BA4: Tensor, logits_BAC: Tensor, *maps: Tensor) -> Tensor:
        """Decode, or hand on."""
        if offsets_BA4.dtype != torch.float32:  # bfloat16 is too coarse for places
            offsets_BA4, logits_BAC = offsets_BA4.float(), logits_BAC.float()
        if self.training:
            anchors_A4 = self.anchors_of(maps).to(offsets_BA4.device)
            if self.scores != "softmax":
                raise InputError(
                    "the head says scores: sigmoid, which is of published weights; the loss of boxes is that of a "
                    "softmax. Leave scores out to train"
                )
            return torch.cat([offsets_BA4, anchors_A4.expand(len(offsets_BA4), -1, -1), logits_BAC], -1)
        told = logits_BAC.softmax(-1) if self.scores == "softmax" else logits_BAC.sigmoid()
        return torch.cat([self.decoded(offsets_BA4, maps), told[..., 1:]], -1)

    def decoded(self, offsets_BA4: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Boxes (B, A, 4)."""
        return decode(offsets_BA4, self.anchors_of(maps).to(offsets_BA4.device))

    def anchors_of(self, maps: Sequence[Tensor]) -> Tensor:
        """The anchors of maps of these sizes, (A, 4)."""
        return anchor_boxes(self.anchors, [(int(each.shape[-2]), int(each.shape[-1])) for each in maps])


def anchor_boxes(anchors: Sequence[Sequence[tuple[float, float]]], sizes: Sequence[tuple[int, int]]) -> Tensor:
    """All anchors, map by map, position by position, (A, 4): left, top, right, bottom in parts of the image."""
    found = []
    for shapes, (height, width) in zip(anchors, sizes, strict=True):
        half_N2 = torch.tensor(shapes, dtype=torch.float32) / 2
        rows = (torch.arange(height, dtype=torch.float32) + 0.5) / height
        columns = (torch.arange(width, dtype=torch.float32) + 0.5) / width
        down, across = torch.meshgrid(rows, columns, indexing="ij")
        centres_P12 = torch.stack([across, down], -1).reshape(-1, 1, 2)
        found.append(torch.cat([centres_P12 - half_N2, centres_P12 + half_N2], -1).reshape(-1, 4))
    return torch.cat(found)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Offsets (..., 4) of boxes to anchors.

    Source: Faster R-CNN, arXiv:1506.01497, equation 2; the factors are those of SSD's published code.
    """
    centres, sides = centres_and_sides(boxes)
    own_centres, own_sides = centres_and_sides(anchors)
    moved = CENTRE * (centres - own_centres) / own_sides
    return torch.cat([moved, SIDE * (sides / own_sides).clamp(min=1e-6).log()], -1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (..., 4) that have these offsets to anchors."""
    return placed(offsets, *centres_and_sides(anchors))


def placed(offsets: Tensor, own_centres: Tensor, own_sides: Tensor) -> Tensor:
    """Boxes (..., 4) that have these offsets to anchors of these centres and sides."""
    centres = own_centres + offsets[..., :2] / CENTRE * own_sides
    half = (offsets[..., 2:] / SIDE).clamp(max=LARGEST).exp() * own_sides * 0.5
    return torch.cat([centres - half, centres + half], -1)


def centres_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Both (..., 2), of boxes (..., 4)."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low
