"""Names beside marks such that no name lies on another one or on a mark."""

import math
from collections.abc import Iterator, Sequence

import msgspec

RINGS = (15.0, 26.0, 40.0, 56.0, 74.0, 94.0, 116.0)
"""Distances from the mark's centre to the name, in pixels; from the second on a line leads to it."""
DIRECTIONS = tuple(math.radians(each) for each in (-90, 0, 180, 90, -45, -135, 45, 135, -70, -110, 70, 110))
"""Above, right, left, below, and between them; y grows downwards."""


class Box(msgspec.Struct, frozen=True):
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether the two have a point in common that is on no border."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, other: "Box") -> bool:
        """Whether the other one lies inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )


class Label(msgspec.Struct, frozen=True):
    """Where a name goes; `far` says that a line should lead to it."""

    box: Box
    far: bool


def place_labels(
    marks: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], frame: Box, *, radius: float = 8.0
) -> list[Label | None]:
    """A place for every name, the first marks' first; None for one that has no room.

    Args:
        marks: (x, y) of their centres, in pixels.
        sizes: (width, height) of the names.
        frame: What a name must lie in.
        radius: Half the size of a mark.
    """
    taken = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in marks]
    placed: list[Label | None] = []
    for (x, y), (width, height) in zip(marks, sizes, strict=True):
        free = (
            label
            for label in _around(x, y, width, height)
            if frame.holds(label.box) and not any(label.box.meets(other) for other in taken)
        )
        label = next(free, None)
        placed.append(label)
        if label is not None:
            taken.append(label.box)
    return placed


def _around(x: float, y: float, width: float, height: float) -> Iterator[Label]:
    """Places around a mark, the nearest first."""
    for ring in RINGS:
        for angle in DIRECTIONS:
            across, down = math.cos(angle), math.sin(angle)
            # The name's nearest edge or corner is a ring away; straight above and below it is centred.
            left = x + ring * across - width * (1 - _sign(across)) / 2
            top = y + ring * down - height * (1 - _sign(down)) / 2
            yield Label(Box(left, top, left + width, top + height), far=ring > RINGS[0])


def _sign(value: float) -> float:
    return 0.0 if abs(value) < 1e-9 else math.copysign(1.0, value)
