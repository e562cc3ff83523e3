"""Anchors: the shapes of boxes that a detector starts from, (width, height) each in parts of the image's sides."""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

Side = Annotated[float, msgspec.Meta(gt=0, le=4)]
Anchor = tuple[Side, Side]

SMALLEST, LARGEST = 0.2, 0.95
"""Scales of the first and the last map; those between lie at equal distances."""

RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
"""Width over height, in the order and with the digits of the published configuration."""


def ssd_anchors(maps: int) -> tuple[tuple[Anchor, ...], ...]:
    """SSDLite's anchors of every map: three on the first one, six on each of the others.

    Source: TensorFlow's configuration of SSDLite on MobileNetV2 and V3 (multiple_grid_anchor_generator.py), for square
    inputs; SSD, arXiv:1512.02325, section 2.2, for scales and ratios.

    Args:
        maps: How many there are, at least 2.
    """
    scales = [SMALLEST + (LARGEST - SMALLEST) * index / (maps - 1) for index in range(maps)]
    found: list[tuple[Anchor, ...]] = [(_of(0.1, 1.0), _of(SMALLEST, 2.0), _of(SMALLEST, 0.5))]
    for scale, larger in zip(scales[1:], [*scales[2:], 1.0], strict=True):
        between = math.sqrt(scale * larger)
        found.append((*(_of(scale, ratio) for ratio in RATIOS), (between, between)))
    return tuple(found)


def _of(scale: float, ratio: float) -> Anchor:
    root = math.sqrt(ratio)
    return scale * root, scale / root


def retinanet_anchors(sizes: Sequence[tuple[int, int]], scale: float = 3.0) -> tuple[tuple[Anchor, ...], ...]:
    """RetinaNet's nine anchors of every map: three sizes from one octave to the next, three shapes.

    Source: RetinaNet, arXiv:1708.02002, section 4; for mobile networks the smallest is 3 positions wide (TensorFlow's
    official configuration).

    Args:
        sizes: Height and width of every map in positions.
        scale: Positions that a side of the smallest square has.
    """
    return tuple(
        tuple(
            (scale * 2 ** (step / 3) * math.sqrt(ratio) / width, scale * 2 ** (step / 3) / math.sqrt(ratio) / height)
            for step in range(3)
            for ratio in (1.0, 2.0, 0.5)
        )
        for height, width in sizes
    )
