"""Truth that is more than a number an image, such as a mask or boxes: read with its image, and cut as that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ridgepoint.data.preprocess import Preprocessing


class Truth(Protocol):
    """What is known of the images of a split, by their ids.

    All images of a split have truths of one shape, so that they are one array: what differs in length, such as the
    boxes of an image, is padded to the most there are, with values that say so.
    """

    @property
    def dtype(self) -> np.dtype:
        """Of all truths."""
        ...

    def shape(self, preprocessing: Preprocessing, *, train: bool) -> tuple[int, ...]:
        """Of one image's truth."""
        ...

    def read(self, image_id: str, preprocessing: Preprocessing, *, train: bool) -> np.ndarray:
        """An image's truth in the frame of the network's input; for training, of the canvas that crops are drawn from.

        Raises:
            DataError: If it cannot be read any more.
        """
        ...

    def digest(self, image_id: str) -> bytes:
        """Of what is known of an image; it changes with that."""
        ...


@dataclass(frozen=True, eq=False)
class JoinedTruth:
    """Truths of several sources, of one shape; no two have an id in common."""

    by_id: Mapping[str, Truth]

    @property
    def dtype(self) -> np.dtype:
        """See `Truth`."""
        return self._any.dtype

    @property
    def _any(self) -> Truth:
        return next(iter(self.by_id.values()))

    def shape(self, preprocessing: Preprocessing, *, train: bool) -> tuple[int, ...]:
        """See `Truth`."""
        return self._any.shape(preprocessing, train=train)

    def read(self, image_id: str, preprocessing: Preprocessing, *, train: bool) -> np.ndarray:
        """See `Truth`."""
        return self.by_id[image_id].read(image_id, preprocessing, train=train)

    def digest(self, image_id: str) -> bytes:
        """See `Truth`."""
        return self.by_id[image_id].digest(image_id)
