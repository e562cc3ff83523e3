"""Data sets known by name: scikit-learn's digits, and torchvision's that fit in memory."""

import contextlib
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ridgepoint.data.found import Found
from ridgepoint.data.images import ArraySource, Split
from ridgepoint.data.opening import reason_of
from ridgepoint.errors import DataError

# For each torchvision class: its folder below the data root, and the arguments that select train and test.
_BY_TRAIN = ({"train": True}, {"train": False})
_BY_SPLIT = ({"split": "train"}, {"split": "test"})
_TABLE: dict[str, tuple[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "MNIST": ("MNIST/raw", _BY_TRAIN),
    "FashionMNIST": ("FashionMNIST/raw", _BY_TRAIN),
    "KMNIST": ("KMNIST/raw", _BY_TRAIN),
    "EMNIST": ("EMNIST/raw", ({"split": "balanced", "train": True}, {"split": "balanced", "train": False})),
    "USPS": (".", _BY_TRAIN),
    "CIFAR10": ("cifar-10-batches-py", _BY_TRAIN),
    "CIFAR100": ("cifar-100-python", _BY_TRAIN),
    "SVHN": (".", _BY_SPLIT),
    "STL10": ("stl10_binary", _BY_SPLIT),
}

BUILT_IN = ("digits",)
"""Names that need no download."""

TORCHVISION = tuple(_TABLE)
"""Names of torchvision's data sets that are understood."""


def load_digits() -> Found:
    """scikit-learn's 1,797 grey 8 x 8 images of handwritten digits, scaled from 0..16 to 0..255."""
    from sklearn.datasets import load_digits as load

    bunch = load()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return _from_arrays("digits", "built-in", [str(i) for i in range(10)], {"all": (images, bunch.target)})


def load_torchvision(name: str, root: Path, *, download: bool = True) -> Found:
    """A torchvision data set with its own train and test parts, downloaded when it is not there and may be.

    Args:
        name: One of ``TORCHVISION``.
        root: The folder that torchvision keeps its files in.
        download: Whether the network may be asked.

    Raises:
        DataError: If the files are not there and cannot or must not be downloaded.
    """
    from torchvision import datasets

    folder, (train, test) = _TABLE[name]
    parts = {}
    for part, arguments in (("train", train), ("test", test)):
        parts[part] = _open(getattr(datasets, name), name, root, folder, arguments, download)
    classes = getattr(parts["train"], "classes", None) or [str(i) for i in range(10)]
    arrays = {part: _arrays(data) for part, data in parts.items()}
    if name == "EMNIST":  # its files hold every character transposed
        arrays = {part: (images.swapaxes(1, 2), labels) for part, (images, labels) in arrays.items()}
    return _from_arrays(name, "torchvision", classes, arrays)


def _open(kind: type, name: str, root: Path, folder: str, arguments: dict[str, Any], download: bool) -> Any:
    """The torchvision data set, from the files in ``root`` or else downloaded to it."""
    before = socket.getdefaulttimeout()
    # Its remarks go to stderr: stdout belongs to the command's JSON.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            return kind(str(root), download=False, **arguments)
        except Exception:  # not there yet, or incomplete: torchvision has no single error for it
            if not download:
                raise DataError(
                    f"the data set '{name}' is not in '{root}', and is not downloaded here. Put torchvision's files "
                    f"for {name} into '{root / folder}', or allow the download"
                ) from None
            try:
                root.mkdir(parents=True, exist_ok=True)
                socket.setdefaulttimeout(30)
                return kind(str(root), download=True, **arguments)
            except Exception as error:
                raise DataError(
                    f"the data set '{name}' is not in '{root}' and its download failed: {reason_of(error)}. Connect "
                    f"to the network and run again, or put torchvision's files for {name} into '{root / folder}', or "
                    f"use 'digits', which needs no network, or a folder of class folders."
                ) from error
            finally:
                socket.setdefaulttimeout(before)


def _arrays(data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (N, H, W) or (N, H, W, 3), and labels, int64 (N,)."""
    images = np.asarray(data.data)
    if images.ndim == 4 and images.shape[1] == 3 and images.shape[3] != 3:
        images = images.transpose(0, 2, 3, 1)
    labels = data.labels if hasattr(data, "labels") else data.targets
    return images, np.asarray(labels).astype(np.int64)


def _from_arrays(
    name: str, kind: str, classes: Sequence[str], arrays: dict[str, tuple[np.ndarray, np.ndarray]]
) -> Found:
    given = {}
    for part, (images, labels) in arrays.items():
        prefix = name if part == "all" else f"{name}/{part}"
        given[part] = Split(tuple(f"{prefix}/{i}" for i in range(len(labels))), labels, ArraySource(images))
    shape = next(iter(arrays.values()))[0].shape
    return Found(
        name=name,
        kind=kind,
        classes=tuple(classes),
        given=given,
        median_size=(shape[1], shape[2]),
        grey=len(shape) == 3,
    )
