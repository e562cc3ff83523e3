"""Whether two files find the same boxes: each of one has its like in the other."""

from collections.abc import Sequence

import numpy as np

from ridgepoint.tasks.boxes.final import Boxes

SAME = 0.01
"""Of places, in parts of the image, and of scores."""

SEEN = 0.05
"""Boxes that are less sure come to nothing."""


def difference(one: Boxes, other: Boxes) -> float:
    """The largest difference of a place or a score between boxes that are each other's like; infinite if one has none.

    A box that is hardly sure enough to be looked at needs none.
    """
    return max(_unmet(one, other), _unmet(other, one))


def _unmet(one: Boxes, other: Boxes) -> float:
    largest, free = 0.0, np.ones(len(other.scores), bool)
    for place, label, score in zip(*one, strict=True):
        if score < SEEN:
            continue
        apart = np.maximum(np.abs(other.places - place).max(1), np.abs(other.scores - score))
        apart = np.where(free & (other.labels == label), apart, np.inf)
        nearest = int(apart.argmin()) if len(apart) else -1
        if nearest >= 0 and apart[nearest] <= SAME:
            free[nearest] = False
            largest = max(largest, float(apart[nearest]))
        elif score >= SEEN + SAME:
            return float("inf")
    return largest


def differences(source: Sequence[Boxes], exported: Sequence[Boxes]) -> list[float]:
    """The same of every image."""
    return [difference(one, other) for one, other in zip(source, exported, strict=True)]
