"""A folder of class folders as a data set: every file is read and decoded once, bad ones are named and skipped."""

import logging
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ridgepoint.data.deep import DeepValues, judged, stored_deep
from ridgepoint.data.found import Found
from ridgepoint.data.image import MIN_SIDE, is_grey, to_mode, upright_size
from ridgepoint.data.images import FolderSource, Split, digest_of
from ridgepoint.data.layout import read_tree
from ridgepoint.data.opening import ImageError, content_of, opened
from ridgepoint.errors import DataError, printable

MAX_BAD = 0.05
"""The largest share of bad files that is skipped; above it the folder is refused."""

_NAMED = 10  # bad files that are named in a message

_logger = logging.getLogger(__name__)


def scan_folder(root: Path, *, whole: bool = False, progress: Callable[[int, int], None] | None = None) -> Found:
    """What is in a folder of class folders, with or without folders for train, val and test around them.

    Every file is read once, hashed and decoded, by two threads. Images may lie deeper inside a class folder.

    Args:
        root: An existing folder.
        whole: As for `read_tree`.
        progress: Called with (files checked, files in all).

    Raises:
        DataError: As `read_tree`; also if over 5 % of the files are bad, or all of a class in val or test.
    """
    tree = read_tree(root, whole=whole)
    paths = [path for by_class in tree.parts.values() for paths in by_class.values() for path in paths]
    checks = _check_all(tree.root, paths, progress)
    skipped = [f"{path}: {check.reason}" for path, check in checks.items() if check.reason]
    _report_bad(root, checks)
    good = {path: check for path, check in checks.items() if not check.reason}

    source, given = FolderSource(tree.root, {path: check.digest for path, check in good.items()}), {}
    for part, by_class in tree.parts.items():
        labelled = [(path, i) for i, name in enumerate(tree.classes) for path in by_class.get(name, ()) if path in good]
        given[part] = Split(tuple(path for path, _ in labelled), np.array([i for _, i in labelled], np.int64), source)
        lost = sorted(set(range(len(tree.classes))) - {i for _, i in labelled})
        if part in ("val", "test") and lost and not whole:
            raise DataError(
                f"no image of class '{tree.classes[lost[0]]}' in '{tree.folders[part]}' can be read. Add some."
            )
    height, width = np.median([check.size for check in good.values()], axis=0)
    white, remarks = judged({path: check.values for path, check in good.items() if check.values})
    return Found(
        name=root.resolve().name or str(root),
        kind="class folders",
        classes=tree.classes,
        given=given,
        median_size=(int(height), int(width)),
        grey=all(check.grey for check in good.values()),
        white=white,
        skipped=tuple(skipped),
        notes=(*tree.left.notes(), *remarks),
    )


@dataclass(frozen=True)
class _Check:
    """What decoding a file once told.

    Attributes:
        size: Height and width in pixels.
        grey: Whether it holds no colour, as far as that was still asked.
        digest: Of the file's content.
        values: The range of values that are no bytes, if they are none.
        reason: Why the file is bad; empty when it is good.
    """

    size: tuple[int, int] = (0, 0)
    grey: bool = False
    digest: bytes = b""
    values: DeepValues | None = None
    reason: str = ""


def _check_all(root: Path, paths: list[str], progress: Callable[[int, int], None] | None) -> dict[str, _Check]:
    colour_seen = False

    def check(path: str) -> _Check:
        try:
            file = root / path
            with content_of(file) as content, opened(file, content) as image:
                deep_colour = stored_deep(image)  # asked first: even to read its EXIF block decodes a PNG
                size = upright_size(image)
                if min(size) < MIN_SIDE:
                    return _Check(reason=f"{size[0]} x {size[1]} px; each side must have at least {MIN_SIDE}")
                image.draft(None, (1, 1))  # a JPEG is still read to its end, but decoded at an eighth of its size
                image.load()
                values = DeepValues.of(image, deep_colour=deep_colour)
                if image.mode not in ("L", "RGB"):
                    image = to_mode(image, 3)  # to meet here what decoding would meet later
                grey = not colour_seen and is_grey(image)  # one colour image settles it for all
                return _Check(size, grey, digest_of(content), values)
        except ImageError as error:
            return _Check(reason=error.reason)

    checks = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        for done, (path, result) in enumerate(zip(paths, pool.map(check, paths), strict=True), start=1):
            checks[path] = result
            colour_seen = colour_seen or not (result.reason or result.grey)
            if progress:
                progress(done, len(paths))
    return checks


def _report_bad(root: Path, checks: Mapping[str, _Check]) -> None:
    """Warn about bad files, or refuse when there are too many; of every kind of reason some are named."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for path, check in checks.items():
        if check.reason:
            kinds[re.sub(r"[\d,]+", "N", check.reason)].append(path)
    if not kinds:
        return
    bad = sum(map(len, kinds.values()))
    named = [path for paths in kinds.values() for path in paths[: max(1, _NAMED // len(kinds))]][:_NAMED]
    shown = "".join(f"\n  {path}: {checks[path].reason}" for path in named)
    if bad > len(named):
        shown += f"\n  and {bad - len(named)} more"
        counted = sorted(((len(paths), kind) for kind, paths in kinds.items()), reverse=True)
        shown += "".join(f"\n  {count} x {kind}" for count, kind in counted[:5]) if len(kinds) > 1 else ""
    if bad > MAX_BAD * len(checks):
        raise DataError(
            f"{bad} of {len(checks)} image files in '{root}' cannot be used; up to {MAX_BAD:.0%} would be skipped. "
            f"Repair or remove them:{shown}"
        )
    told = printable(f"in '{root}' that cannot be used:{shown}")
    _logger.warning("skipped %d of %d image files %s", bad, len(checks), told)
