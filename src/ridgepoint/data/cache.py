"""Decoded images kept as files that are memory-mapped, so that a folder of photographs is decoded once."""

import hashlib
import logging
import re
import stat
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import platformdirs

from ridgepoint.data.images import FolderSource, Split
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.errors import InputError, WriteError
from ridgepoint.files import check_regular, make_folder, save_atomic, writing

UNUSED_DAYS = 14
"""A kept file that was not used for so long is deleted when another one is written."""

_OURS = re.compile(r"[0-9a-f]{64}\.npy|\.[0-9a-f]{64}\.npy\.\w+\.npy")  # kept files, and what they are written to
_verified: set[tuple[Path, int]] = set()  # by path and inode: a file that is written anew is another one
_logger = logging.getLogger(__name__)


def kept_at(split: Split, preprocessing: Preprocessing, *, train: bool) -> Path | None:
    """Where the decoded images of a split are kept, in the user's cache folder; None if they come from no files.

    The name changes with the path, size or time of any file and with how images are cut.
    """
    if not isinstance(split.source, FolderSource):
        return None
    p = preprocessing
    place = f"{split.source.root.resolve()} {p.channels} {p.height} {p.width} {p.resize} {p.interpolation} {train}"
    place += "" if p.resizing == "cover" else f" {p.resizing}"
    digest = hashlib.sha256(place.encode(errors="surrogateescape"))
    for image_id in split.ids:
        digest.update(f"\n{image_id}\0{split.source.stamp(image_id)}".encode(errors="surrogateescape"))
    return Path(platformdirs.user_cache_dir("ridgepoint")) / "images" / f"{digest.hexdigest()}.npy"


def read_kept(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The images of a kept file, uint8, mapped into memory; None if it is not there, no such file, or damaged.

    The digest at its end is compared when this process maps it for the first time.
    """
    try:
        check_regular(path)
        images: np.memmap = np.load(path, mmap_mode="c")  # what is done to the array does not reach the file
        if images.shape != shape or images.dtype != np.uint8 or not _undamaged(path, images):
            return None
        path.touch()
    except (OSError, ValueError, InputError):
        return None
    return images


def keep(path: Path, shape: tuple[int, ...], images: Iterable[np.ndarray]) -> bool:
    """Write images one by one, and a digest of all behind them; whether that was possible."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            digest = hashlib.blake2b()
            for image in images:
                file.write(image.data)
                digest.update(image.data)
            file.write(digest.digest())

    try:
        make_folder(path.parent)
        _forget(path.parent)
        save_atomic(path, write)
    except WriteError as error:
        _logger.warning("decoded images are not kept for the next run: %s", error)
        return False
    return True


def _undamaged(path: Path, images: np.memmap) -> bool:
    """Whether the digest behind the images is theirs; asked once of each file in the life of a process."""
    identity = (path, path.stat().st_ino)
    if identity not in _verified:
        with path.open("rb") as file:
            file.seek(images.offset + images.nbytes)
            if file.read() != hashlib.blake2b(images.data).digest():
                return False
        _verified.add(identity)
    return True


def _forget(folder: Path) -> None:
    """Delete what was not used for long, and what a killed run left: files of our own names, no links."""
    with writing(folder):
        for file in folder.iterdir():
            about = file.lstat()
            ours = _OURS.fullmatch(file.name) and stat.S_ISREG(about.st_mode)
            if ours and time.time() - about.st_mtime > UNUSED_DAYS * 86_400:
                file.unlink(missing_ok=True)
