"""A folder of class folders as a data set: every image is decoded once, bad files are named and skipped."""

import logging
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ridgepoint.data.dataset import Dataset, FolderSource, Split, assemble
from ridgepoint.data.image import MIN_SIDE, is_grey, reason_of, to_mode, upright_size
from ridgepoint.data.layout import check_classes, class_files, find_parts
from ridgepoint.errors import DataError

MAX_BAD = 0.05
"""The largest share of bad files that is skipped; above it the folder is refused."""

_logger = logging.getLogger(__name__)


def scan_folder(root: Path, *, seed: int, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """The data set in a folder of class folders, with or without train/, val/ (valid, validation) and test/.

    Every image is decoded once, by two threads. Images may lie deeper inside a class folder. Hidden files and files
    that are no images by their name are ignored.

    Args:
        root: An existing folder.
        seed: Of the parts that have to be drawn.
        progress: Called with (files checked, files in all).

    Raises:
        DataError: If the folder is empty, has one class, differing classes, too few images or over 5 % bad files.
    """
    parts = find_parts(root)
    files = {part: class_files(root, folder) for part, folder in parts.items()}
    classes = check_classes(root, parts, files)
    checks = _check_all(
        root, [path for by_class in files.values() for paths in by_class.values() for path in paths], progress
    )
    skipped = [f"{path}: {check.reason}" for path, check in checks.items() if check.reason]
    _report_bad(root, skipped, len(checks))

    source, given = FolderSource(root), {}
    for part, by_class in files.items():
        good = [(path, i) for i, name in enumerate(classes) for path in by_class[name] if not checks[path].reason]
        given[part] = Split(tuple(path for path, _ in good), np.array([i for _, i in good], np.int64), source)
        lost = sorted(set(range(len(classes))) - {i for _, i in good})
        if part in ("val", "test") and lost:
            raise DataError(f"no image of class '{classes[lost[0]]}' in '{parts[part]}' can be read. Add some.")
    height, width = np.median([check.size for check in checks.values() if not check.reason], axis=0)
    return assemble(
        name=root.resolve().name or str(root),
        kind="class folders",
        classes=classes,
        given=given,
        seed=seed,
        median_size=(int(height), int(width)),
        grey=all(check.grey for check in checks.values() if not check.reason),
        skipped=skipped,
    )


@dataclass(frozen=True)
class _Check:
    size: tuple[int, int] = (0, 0)  # height, width
    grey: bool = False
    reason: str = ""  # why the file is bad, empty when it is good


def _check_all(root: Path, paths: list[str], progress: Callable[[int, int], None] | None) -> dict[str, _Check]:
    colour_seen = False

    def check(path: str) -> _Check:
        try:
            with Image.open(root / path) as image:
                size = upright_size(image)
                if min(size) < MIN_SIDE:
                    return _Check(reason=f"{size[0]} x {size[1]} px; each side must have at least {MIN_SIDE}")
                image.draft(None, (1, 1))  # a JPEG is still read to its end, but decoded at an eighth of its size
                image.load()
                if image.mode not in ("L", "RGB"):
                    image = to_mode(image, 3)  # to meet here what decoding would meet later
                return _Check(size, grey=not colour_seen and is_grey(image))  # one colour image settles it for all
        except Exception as error:
            return _Check(reason=reason_of(error))

    checks = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        for done, (path, result) in enumerate(zip(paths, pool.map(check, paths), strict=True), start=1):
            checks[path] = result
            colour_seen = colour_seen or not (result.reason or result.grey)
            if progress:
                progress(done, len(paths))
    return checks


def _report_bad(root: Path, skipped: list[str], total: int) -> None:
    """Warn about skipped files, or refuse when there are too many."""
    if not skipped:
        return
    shown = "".join(f"\n  {message}" for message in skipped[:10])
    shown += f"\n  and {len(skipped) - 10} more" if len(skipped) > 10 else ""
    if len(skipped) > MAX_BAD * total:
        raise DataError(
            f"{len(skipped)} of {total} image files in '{root}' cannot be used; up to {MAX_BAD:.0%} would be skipped. "
            f"Repair or remove them:{shown}"
        )
    _logger.warning("skipped %d of %d image files in '%s' that cannot be used:%s", len(skipped), total, root, shown)
