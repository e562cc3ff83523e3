"""Masks as the truth of images: classes pixel by pixel, cut as the image is, read when that is decoded.

Shapes: H height, W width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from ridgepoint.data.images import digest_of
from ridgepoint.data.masks.classes import UNKNOWN
from ridgepoint.data.masks.values import mask_values
from ridgepoint.data.opening import decoded
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.errors import DataError

JUDGED_PIXELS = 320 * 320
"""The most pixels of a mask that answers are judged by: more cost time and memory, and tell little more."""


def size_judged_at(height: int, width: int) -> tuple[int, int]:
    """The size at which answers are judged, whatever the network's input: the images' own, or what has fewer pixels."""
    share = min((JUDGED_PIXELS / (height * width)) ** 0.5, 1.0)
    return max(round(share * height), 1), max(round(share * width), 1)


class Maps(Protocol):
    """Where classes pixel by pixel come from, by the ids of images."""

    def classes(self, image_id: str) -> np.ndarray:
        """The class of every pixel of the upright image, 255 where nothing counts, uint8 (H, W).

        Raises:
            DataError: If it cannot be told any more.
        """
        ...

    def digest(self, image_id: str) -> bytes:
        """Of what is known of an image; it changes with that."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskFiles:
    """See `Maps`: a mask file an image.

    Attributes:
        root: What paths are relative to.
        files: By image: its mask.
        digests: By image: of its mask's content, as it was when the folder was read.
        table: From values to classes, uint8 (65,536,).
    """

    root: Path
    files: Mapping[str, str]
    digests: Mapping[str, bytes]
    table: np.ndarray

    def classes(self, image_id: str) -> np.ndarray:
        """See `Maps`.

        Raises:
            DataError: If the mask cannot be read any more, or holds what it did not hold.
        """
        path = self.root / self.files[image_id]
        with decoded(path) as image:
            classes_HW: np.ndarray = self.table[mask_values(image)]
        if (classes_HW == UNKNOWN).any():
            raise DataError(f"'{path}': was changed since the folder was read. Start again")
        return classes_HW

    def digest(self, image_id: str) -> bytes:
        """Of the mask's file and of what its values mean."""
        return digest_of(self.digests[image_id] + self._meaning)

    @cached_property
    def _meaning(self) -> bytes:
        return digest_of(self.table.tobytes())


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskTruth:
    """See `ridgepoint.data.truth.Truth`: uint8 (H, W), a class a pixel, 255 where nothing counts.

    For training it has the canvas's size, else `judged_at`, so that networks with other inputs are judged alike.

    Attributes:
        maps: Where classes come from.
        pixels: By image: how many are of each class.
        judged_at: Height and width of the masks that answers are judged by.
    """

    maps: Maps
    pixels: Mapping[str, tuple[int, ...]]
    judged_at: tuple[int, int]

    @property
    def dtype(self) -> np.dtype:
        """Bytes."""
        return np.dtype(np.uint8)

    def shape(self, preprocessing: Preprocessing, *, train: bool) -> tuple[int, ...]:
        """Height and width."""
        return preprocessing.canvas if train else self.judged_at

    def read(self, image_id: str, preprocessing: Preprocessing, *, train: bool) -> np.ndarray:
        """The mask of an image, by nearest neighbours.

        Raises:
            DataError: If it cannot be read any more, or holds what it did not hold.
        """
        height, width = self.shape(preprocessing, train=train)
        return preprocessing.cut_map(self.maps.classes(image_id), (height, width), train=train)

    def digest(self, image_id: str) -> bytes:
        """See `Truth`."""
        return self.maps.digest(image_id)
