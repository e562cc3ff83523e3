"""The views that a student and its teacher share: an image, cut and varied as one seed says, the same at every replay.

Shapes: B batch, C channels, H height, W width; N rows.
"""

from functools import lru_cache

import msgspec
import numpy as np
import torch
from torch import Tensor

from ridgepoint.data import ArraySplit, Augmentation, Preprocessing
from ridgepoint.data import build as build_augmentation
from ridgepoint.data.draws import sample_seeds, uniform
from ridgepoint.seeds import seed_for

_PARTNER, _MIX = np.uint64(0x5851F42D4C957F2D), np.uint64(0x14057B7EF767814F)  # what else a view draws from its seed


class Variation(msgspec.Struct, frozen=True, kw_only=True):
    """How a view is made of an image.

    Attributes:
        augmentation: Crop and what else is done to a single image.
        mixup: Whether another image, cut in its own way, is mixed in by a share that is uniform in 0..1.
    """

    augmentation: Augmentation
    mixup: bool = False


class Views:
    """All views of some images. A row is an image; where classes are balanced, a rare image has several rows.

    Args:
        images: The images' canvases.
        variation: How views are made.
        preprocessing: The student's; a view has its size and channels.
        num_classes: Of the data.
        seed: Of every view.
        rows: The image of each row, int64 (N,); each image once if left open.
    """

    def __init__(
        self,
        images: ArraySplit,
        variation: Variation,
        preprocessing: Preprocessing,
        *,
        num_classes: int,
        seed: int,
        rows: np.ndarray | None = None,
    ):
        self._images, self.variation, self.preprocessing = images, variation, preprocessing
        self.num_classes, self.seed = num_classes, seed
        self._rows = np.arange(len(images)) if rows is None else rows
        self._augment = build_augmentation(variation.augmentation, preprocessing)
        self._seeds_of = lru_cache(maxsize=4)(lambda replica: sample_seeds(seed_for(seed, "views", replica), len(self)))

    def __len__(self) -> int:
        """Number of rows, N."""
        return len(self._rows)

    def seeds(self, rows_B: np.ndarray, replicas_B: np.ndarray) -> np.ndarray:
        """The seed of each view, uint64 (B,)."""
        seeds_B = np.empty(len(rows_B), np.uint64)
        for replica in np.unique(replicas_B).tolist():
            here = replicas_B == replica
            seeds_B[here] = self._seeds_of(replica)[rows_B[here]]
        return seeds_B

    def images(self, rows_B: np.ndarray, seeds_B: np.ndarray) -> Tensor:
        """The views, uint8 (B, C, H, W); a row and a seed give the same pixels in any batch."""
        first = self._cut(rows_B, seeds_B)
        if not self.variation.mixup:
            return first
        partners_B, share_B = self._mix(seeds_B)
        second = self._cut(partners_B, seeds_B ^ _PARTNER)
        share_B111 = share_B[:, None, None, None]
        return (first * share_B111).add_(second * (1 - share_B111)).round_().to(torch.uint8)

    def labels(self, rows_B: np.ndarray, seeds_B: np.ndarray) -> Tensor:
        """What the images themselves are named, as probabilities, float32 (B, num_classes)."""
        first = self._one_hot(rows_B)
        if not self.variation.mixup:
            return first
        partners_B, share_B = self._mix(seeds_B)
        return first * share_B[:, None] + self._one_hot(partners_B) * (1 - share_B[:, None])

    def ids(self, rows_B: np.ndarray) -> list[str]:
        """The images' names."""
        return [self._images.ids[index] for index in self._rows[rows_B].tolist()]

    def _cut(self, rows_B: np.ndarray, seeds_B: np.ndarray) -> Tensor:
        return self._augment(self._images.images[torch.from_numpy(self._rows[rows_B])], seeds_B)

    def _one_hot(self, rows_B: np.ndarray) -> Tensor:
        labels = self._images.labels[torch.from_numpy(self._rows[rows_B])]
        return torch.nn.functional.one_hot(labels, self.num_classes).float()

    def _mix(self, seeds_B: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """The row that is mixed in, int64 (B,), and the share of the first image, float32 (B,)."""
        of_partner, share_B = uniform(seeds_B ^ _MIX, 2)
        return (of_partner.double().numpy() * len(self)).astype(np.int64), share_B


def balanced_rows(labels: Tensor, seed: int) -> np.ndarray:
    """Rows in which every class is as frequent as the most frequent one; images of rarer classes come repeatedly.

    Each image of a class comes equally often, but for one time where the count does not divide.

    Source: MobileNetV4, arXiv:2404.10518, section 8 (rare classes are replicated).
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels.numpy() == index) for index in range(int(labels.max()) + 1)]
    most = max(len(each) for each in members)
    rows = []
    for each in members:
        whole, rest = divmod(most, max(len(each), 1))
        rows += [np.repeat(each, whole), rng.choice(each, rest, replace=False)] if len(each) else []
    return np.concatenate(rows)
