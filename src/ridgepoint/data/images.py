"""Images that are decoded on demand, with their labels: where they lie, and one part of a data set."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from ridgepoint.data.names import normalized
from ridgepoint.data.opening import decoded
from ridgepoint.data.truth import JoinedTruth, Truth


def digest_of(content: bytes | memoryview) -> bytes:
    """What two images share only when every byte is the same: BLAKE2b, 16 bytes."""
    return hashlib.blake2b(content, digest_size=16).digest()


class ImageSource(Protocol):
    """Where the images of a split lie."""

    def decoded(self, image_id: str) -> AbstractContextManager[Image.Image]:
        """The decoded image; a DataError that names it when that fails. Of large images one at a time is held."""
        ...

    def digest(self, image_id: str) -> bytes:
        """The digest of the stored image's content."""
        ...


@dataclass(frozen=True, eq=False)
class FolderSource:
    """Images in files below a folder.

    Attributes:
        root: The folder; an id is the path relative to it, with forward slashes.
        digests: Of every file's content, by id, as it was when the folder was read.
    """

    root: Path
    digests: Mapping[str, bytes]

    def decoded(self, image_id: str) -> AbstractContextManager[Image.Image]:
        """The decoded image file."""
        return decoded(self.root / image_id)

    def digest(self, image_id: str) -> bytes:
        """The digest of the file's content when the folder was read."""
        return self.digests[image_id]

    def stamp(self, image_id: str) -> str:
        """Size and time of the file, which tell whether it was changed since."""
        about = (self.root / image_id).stat()
        return f"{about.st_size} {about.st_mtime_ns}"


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Images in memory, uint8 (N, H, W) or (N, H, W, 3); an id is ``name/index``."""

    images: np.ndarray

    @contextmanager
    def decoded(self, image_id: str) -> Iterator[Image.Image]:
        """The image of that index."""
        yield Image.fromarray(self._pixels(image_id))

    def digest(self, image_id: str) -> bytes:
        """The digest of its pixels."""
        return digest_of(np.ascontiguousarray(self._pixels(image_id)).data)

    def _pixels(self, image_id: str) -> np.ndarray:
        pixels: np.ndarray = self.images[int(image_id.rpartition("/")[2])]
        return pixels


@dataclass(frozen=True, eq=False)
class JoinedSource:
    """Images of several sources; no two have an id in common."""

    by_id: Mapping[str, ImageSource]

    def decoded(self, image_id: str) -> AbstractContextManager[Image.Image]:
        """The decoded image from where it lies."""
        return self.by_id[image_id].decoded(image_id)

    def digest(self, image_id: str) -> bytes:
        """The digest from where it lies."""
        return self.by_id[image_id].digest(image_id)


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set.

    Attributes:
        ids: One name an image, such as ``cat/01.jpg`` or ``digits/17``.
        labels: int64 (N,), indices into the data set's classes; read-only. Zeros where there is a truth.
        source: Where the images lie.
        truth: What is known of each image, where that is more than its label.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    source: ImageSource
    truth: Truth | None = None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)

    def decoded(self, index: int) -> AbstractContextManager[Image.Image]:
        """The decoded image, in the mode and orientation it is stored in; of large images one at a time is held.

        Raises:
            DataError: If the file was removed or damaged since the folder was scanned.
        """
        return self.source.decoded(self.ids[index])

    def load(self, index: int) -> Image.Image:
        """The decoded image, to keep.

        Raises:
            DataError: As `decoded`.
        """
        with self.decoded(index) as image:
            return image

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """The digest of every image's content."""
        return tuple(map(self.source.digest, self.ids))

    @property
    def originals(self) -> np.ndarray:
        """For each image the index of the first one of the same content and class, int (N,)."""
        first: dict[tuple[bytes, int], int] = {}
        pairs = zip(self.digests, self.labels.tolist(), strict=True)
        return np.array([first.setdefault(pair, index) for index, pair in enumerate(pairs)], np.int64)

    def at(self, indices: np.ndarray) -> "Split":
        """The images of these indices."""
        labels = self.labels[indices]
        if np.issubdtype(labels.dtype, np.integer):
            labels = labels.astype(np.int64)
        labels.setflags(write=False)
        return Split(tuple(self.ids[i] for i in indices), labels, self.source, self.truth)


def joined(parts: Sequence[Split]) -> Split:
    """The images of several parts as one."""
    ids = tuple(image_id for part in parts for image_id in part.ids)
    source: ImageSource = parts[0].source
    if any(part.source is not source for part in parts):
        source = JoinedSource({image_id: part.source for part in parts for image_id in part.ids})
    truth = parts[0].truth
    if any(part.truth is not truth for part in parts):
        truth = JoinedTruth({image_id: part.truth for part in parts if part.truth for image_id in part.ids})
    return Split(ids, np.concatenate([part.labels for part in parts]), source, truth)


def fingerprint(classes: Iterable[str], parts: Iterable[Split]) -> str:
    """BLAKE2b, 64 hexadecimal digits, over classes, parts, and every image's id, truth and content.

    It does not change with the place of the folder, nor with the form (NFC, NFD) that a system gives to file names.
    """
    total = hashlib.blake2b("\0".join(classes).encode(errors="surrogateescape"), digest_size=32)
    for part in parts:
        total.update(b"\1")
        for image_id, label, digest in zip(part.ids, part.labels.tolist(), part.digests, strict=True):
            total.update(f"{normalized(image_id)}\0{label}\0".encode(errors="surrogateescape") + digest)
            if part.truth is not None:
                total.update(part.truth.digest(image_id))
    return total.hexdigest()
