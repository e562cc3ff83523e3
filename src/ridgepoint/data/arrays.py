"""A split decoded once, so that training never waits for a file.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ridgepoint.data import cache
from ridgepoint.data.images import Split
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.errors import DataError
from ridgepoint.system import physical_memory_bytes

if TYPE_CHECKING:
    import torch

MAX_MEMORY = 0.7
"""The largest share of this machine's memory that decoded images may take."""


@dataclass(frozen=True, eq=False)
class ArraySplit:
    """Decoded images with labels.

    Attributes:
        images: uint8 (N, C, H, W): the network's input size for evaluation, the larger canvas for training.
        labels: Of classes, int64 (N,); numbers, float32 (N, ...); where the split has a truth, that, (N, ...).
        ids: One name an image.
    """

    images: torch.Tensor
    labels: torch.Tensor
    ids: tuple[str, ...]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)


def decode(
    split: Split,
    preprocessing: Preprocessing,
    *,
    train: bool,
    keep: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ArraySplit:
    """Decode every image of a split, with two threads.

    Args:
        split: What to decode.
        preprocessing: Sizes, channels and filter.
        train: Keep the whole canvas, which random crops are drawn from, instead of the centre crop.
        keep: Whether the decoded images of a folder are kept in the user's cache folder, and mapped from there: the
            next run does not decode, and they may be larger than the memory.
        progress: Called with (images decoded, images in all).

    Raises:
        DataError: If an image cannot be decoded any more, or all together do not fit in memory.
    """
    import torch

    height, width = preprocessing.canvas if train else (preprocessing.height, preprocessing.width)
    shape = (len(split), preprocessing.channels, height, width)
    cut = preprocessing.crop_canvas if train else preprocessing.crop
    decoded = partial(_decoded, split, preprocessing, cut, progress)
    path = cache.kept_at(split, preprocessing, train=train) if keep else None
    images = None
    if path is not None:
        images = cache.read_kept(path, shape)
        if images is None and cache.keep(path, shape, decoded()):
            images = cache.read_kept(path, shape)
    if images is None:
        _check_memory(shape, f"images of {height} x {width} px")
        images = np.empty(shape, np.uint8)
        for index, image in enumerate(decoded()):
            images[index] = image
    if split.truth is not None:
        return ArraySplit(torch.from_numpy(images), torch.from_numpy(_truths(split, preprocessing, train)), split.ids)
    whole = np.issubdtype(split.labels.dtype, np.integer)
    labels = torch.tensor(split.labels, dtype=torch.int64 if whole else torch.float32)
    return ArraySplit(torch.from_numpy(images), labels, split.ids)


def _truths(split: Split, preprocessing: Preprocessing, train: bool) -> np.ndarray:
    """What is known of every image, (N, ...)."""
    assert split.truth is not None
    shape = (len(split), *split.truth.shape(preprocessing, train=train))
    _check_memory(shape, f"truths of {' x '.join(map(str, shape[1:]))} values", itemsize=split.truth.dtype.itemsize)
    truths = np.empty(shape, split.truth.dtype)
    read = partial(split.truth.read, preprocessing=preprocessing, train=train)
    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        for index, truth in enumerate(pool.map(read, split.ids)):
            truths[index] = truth
    return truths


def _decoded(
    split: Split,
    preprocessing: Preprocessing,
    cut: Callable[[Image.Image], np.ndarray],
    progress: Callable[[int, int], None] | None,
) -> Iterator[np.ndarray]:
    """The images in order, uint8 (C, H, W)."""

    def one(index: int) -> np.ndarray:
        with split.decoded(index) as image:
            return cut(preprocessing.open(image))

    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        images = pool.map(one, range(len(split)))
        for done, image in enumerate(images, start=1):
            yield image
            if progress:
                progress(done, len(split))


def _check_memory(shape: tuple[int, ...], what: str, *, itemsize: int = 1) -> None:
    memory, needed = physical_memory_bytes(), itemsize * int(np.prod(shape, dtype=np.int64))
    if memory is not None and needed > MAX_MEMORY * memory:
        raise DataError(
            f"{shape[0]:,} {what} need {needed / 2**30:.1f} GiB in memory; this machine has {memory / 2**30:.1f} GiB, "
            f"of which {MAX_MEMORY:.0%} may be used. Choose a smaller input size or fewer images."
        )
