"""What every data source becomes: named classes and three splits of images that are decoded on demand."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from ridgepoint.data.image import read_image
from ridgepoint.data.split import plan_split


class ImageSource(Protocol):
    """Where the images of a split lie."""

    def read(self, image_id: str) -> Image.Image:
        """The decoded image; a DataError that names it when that fails."""
        ...

    def byte_size(self, image_id: str) -> int:
        """Bytes of the stored image, for the fingerprint."""
        ...


@dataclass(frozen=True, eq=False)
class FolderSource:
    """Images in files below a folder; an id is the path relative to it, with forward slashes."""

    root: Path

    def read(self, image_id: str) -> Image.Image:
        """The decoded image file."""
        return read_image(self.root / image_id)

    def byte_size(self, image_id: str) -> int:
        """Size of the file."""
        return (self.root / image_id).stat().st_size

    def stamp(self, image_id: str) -> str:
        """Size and time of the file, which tell whether it was changed."""
        about = (self.root / image_id).stat()
        return f"{about.st_size} {about.st_mtime_ns}"


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Images in memory, uint8 (N, H, W) or (N, H, W, 3); an id is ``name/index``."""

    images: np.ndarray

    def read(self, image_id: str) -> Image.Image:
        """The image of that index."""
        return Image.fromarray(self.images[int(image_id.rpartition("/")[2])])

    def byte_size(self, image_id: str) -> int:
        """Bytes of one image; all are alike."""
        return self.images[0].nbytes


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Attributes:
        ids: One name an image, such as ``cat/01.jpg`` or ``digits/17``.
        labels: int64 (N,), indices into the data set's classes; read-only.
        source: Where the images lie.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    source: ImageSource

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)

    def load(self, index: int) -> Image.Image:
        """The decoded image, in the mode and orientation it is stored in.

        Raises:
            DataError: If the file was removed or damaged since the folder was scanned.
        """
        return self.source.read(self.ids[index])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with classes, split in three.

    Attributes:
        name: The folder's or data set's name.
        kind: ``class folders``, ``built-in`` or ``torchvision``.
        classes: Class names; a label is an index into them.
        train: What weights are learned from.
        val: What choices are made by.
        test: What the final accuracy is reported on, and nothing else.
        skipped: One message for every file that could not be read.
        split_note: One sentence on how the split was made.
        median_size: Median (height, width) of all images in pixels.
        grey: Whether every image is single-channel or has three equal channels.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    skipped: tuple[str, ...]
    split_note: str
    median_size: tuple[int, int]
    grey: bool

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over classes, ids, labels, image byte sizes and the split: changes when any of these does."""
        digest = hashlib.sha256("\0".join(self.classes).encode(errors="surrogateescape"))
        for part in (self.train, self.val, self.test):
            digest.update(b"\1")
            for image_id, label in zip(part.ids, part.labels, strict=True):
                line = f"{image_id}\0{label}\0{part.source.byte_size(image_id)}\n"
                digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()

    def summary(self) -> str:
        """Three or four lines for people: what was found, its classes, its split, what was skipped."""
        parts = (self.train, self.val, self.test)
        counts = sum(np.bincount(part.labels, minlength=len(self.classes)) for part in parts)
        height, width = self.median_size
        named = [f"{name} {count:,}" for name, count in zip(self.classes, counts, strict=True)]
        shown = ", ".join(named if len(named) <= 12 else [*named[:12], f"and {len(named) - 12} more"])
        ratio = counts.max() / counts.min()
        balance = "balanced" if ratio < 1.5 else f"the largest has {ratio:.1f} times the images of the smallest"
        lines = [
            f"{self.name}: {self.kind}, {counts.sum():,} {'grey' if self.grey else 'colour'} images, "
            f"{len(self.classes)} classes, median {height} x {width} px (height x width)",
            f"classes: {shown} ({balance})",
            f"split: {len(self.train):,} train, {len(self.val):,} val, {len(self.test):,} test; {self.split_note}",
        ]
        if self.skipped:
            lines.append(f"skipped: {len(self.skipped)} unreadable file(s), first: {self.skipped[0]}")
        return "\n".join(lines)


def assemble(
    *,
    name: str,
    kind: str,
    classes: Sequence[str],
    given: Mapping[str, Split],
    seed: int,
    median_size: tuple[int, int],
    grey: bool,
    skipped: Sequence[str] = (),
) -> Dataset:
    """A data set with train, val and test from the parts that its source came with.

    Args:
        name: The folder's or data set's name.
        kind: ``class folders``, ``built-in`` or ``torchvision``.
        classes: Class names in label order.
        given: ``all``, or ``train`` with or without ``val`` and ``test``.
        seed: Of the parts that have to be drawn.
        median_size: (height, width) in pixels.
        grey: Whether all images are grey.
        skipped: Messages of unreadable files.

    Raises:
        DataError: If a class has too few images for the parts that must be drawn.
    """
    plan, note = plan_split({part: split.labels for part, split in given.items()}, tuple(classes), seed)
    parts = {}
    for part, (origin, indices) in plan.items():
        split = given[origin]
        labels = split.labels[indices].astype(np.int64)
        labels.setflags(write=False)
        parts[part] = Split(tuple(split.ids[i] for i in indices), labels, split.source)
    return Dataset(
        name=name,
        kind=kind,
        classes=tuple(classes),
        **parts,
        skipped=tuple(skipped),
        split_note=note,
        median_size=median_size,
        grey=grey,
    )
