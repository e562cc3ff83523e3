"""Decoded images kept as files that are memory-mapped, so that a folder of photographs is decoded once."""

import hashlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import platformdirs

from ridgepoint.data.images import FolderSource, Split
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.errors import WriteError
from ridgepoint.files import make_folder, save_atomic, writing

UNUSED_DAYS = 14
"""A kept file that was not used for so long is deleted when another one is written."""

_logger = logging.getLogger(__name__)


def kept_at(split: Split, preprocessing: Preprocessing, *, train: bool) -> Path | None:
    """Where the decoded images of a split are kept, in the user's cache folder; None if they come from no files.

    The name changes with the path, size or time of any file and with how images are cut.
    """
    if not isinstance(split.source, FolderSource):
        return None
    p = preprocessing
    place = f"{split.source.root.resolve()} {p.channels} {p.height} {p.width} {p.resize} {p.interpolation} {train}"
    digest = hashlib.sha256(place.encode(errors="surrogateescape"))
    for image_id in split.ids:
        digest.update(f"\n{image_id}\0{split.source.stamp(image_id)}".encode(errors="surrogateescape"))
    return Path(platformdirs.user_cache_dir("ridgepoint")) / "images" / f"{digest.hexdigest()}.npy"


def read_kept(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The images of a kept file, uint8, mapped into memory; None if it is not there or no such file."""
    try:
        images = np.load(path, mmap_mode="c")  # what is done to the array does not reach the file
        path.touch()
    except (OSError, ValueError):
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def keep(path: Path, shape: tuple[int, ...], images: Iterable[np.ndarray]) -> bool:
    """Write images one by one; whether that was possible."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for image in images:
                file.write(image.data)

    try:
        make_folder(path.parent)
        _forget(path.parent)
        save_atomic(path, write)
    except WriteError as error:
        _logger.warning("decoded images are not kept for the next run: %s", error)
        return False
    return True


def _forget(folder: Path) -> None:
    """Delete what was not used for long, and what a killed run left."""
    with writing(folder):
        for file in folder.iterdir():
            if time.time() - file.stat().st_mtime > UNUSED_DAYS * 86_400:
                file.unlink(missing_ok=True)
