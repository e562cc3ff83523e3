"""Boxes as the truth of images: rows of numbers, cut as the images are.

Shapes: M the most objects that an image has.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ridgepoint.data.boxes.mending import ABSENT, COLUMNS
from ridgepoint.data.preprocess import Preprocessing


@dataclass(frozen=True, eq=False)
class BoxTruth:
    """See `ridgepoint.data.truth.Truth`.

    Attributes:
        rows: By image: float32 (M, 6), class (-1 where there is no object), left, top, right, bottom in parts of the
            image, crowd.
        sizes: Height and width of every upright image in pixels.
        most: Rows of an image.
    """

    rows: Mapping[str, np.ndarray]
    sizes: Mapping[str, tuple[int, int]]
    most: int

    @property
    def dtype(self) -> np.dtype:
        """See `Truth`."""
        return np.dtype(np.float32)

    def shape(self, preprocessing: Preprocessing, *, train: bool) -> tuple[int, ...]:
        """See `Truth`."""
        return (self.most, COLUMNS)

    def read(self, image_id: str, preprocessing: Preprocessing, *, train: bool) -> np.ndarray:
        """In parts of the input; what is not on it, or hardly, is no object of it."""
        rows, (height, width) = self.rows[image_id], self.sizes[image_id]
        window = preprocessing.window(height, width, train=train)
        scale = np.array([width, height, width, height], np.float32)
        start = np.array([window.left, window.top] * 2, np.float32)
        places = (rows[:, 1:5] * scale - start) / np.array([window.width, window.height] * 2, np.float32)
        return cut_rows(np.concatenate([rows[:, :1], places, rows[:, 5:]], 1))

    def digest(self, image_id: str) -> bytes:
        """See `Truth`."""
        return hashlib.blake2b(np.ascontiguousarray(self.rows[image_id]).tobytes(), digest_size=16).digest()


LEAST_SEEN = 0.3
"""The part of an object's box that has to be in an input, or it counts as a crowd: neither right nor wrong."""


def cut_rows(rows: np.ndarray) -> np.ndarray:
    """Rows (..., 6) whose places may reach beyond the input, cut at its border."""
    labels, places, crowd = rows[..., 0], rows[..., 1:5], rows[..., 5]
    cut = places.clip(0.0, 1.0)
    seen, whole = ((each[..., 2] - each[..., 0]) * (each[..., 3] - each[..., 1]) for each in (cut, places))
    there = (labels >= 0) & (seen > 0)
    hidden = there & (seen < LEAST_SEEN * whole)
    found = np.concatenate(
        [
            np.where(there, labels, ABSENT)[..., None],
            cut * there[..., None],
            np.where(hidden, 1.0, crowd * there)[..., None],
        ],
        -1,
    )
    return found.astype(np.float32)
