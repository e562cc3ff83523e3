"""Image files looked at once, before anything is made of them: what each holds, and which cannot be used."""

import logging
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ridgepoint.data.deep import DeepValues, stored_deep
from ridgepoint.data.image import MIN_SIDE, is_grey, to_mode, upright_size
from ridgepoint.data.images import digest_of
from ridgepoint.data.opening import ImageError, content_of, opened
from ridgepoint.errors import DataError, printable

MAX_BAD = 0.05
"""The largest share of bad files that is skipped; above it the folder is refused."""

_NAMED = 10  # bad files that are named in a message

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
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


def check_files(
    root: Path, paths: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> dict[str, Check]:
    """Read, hash and decode every image file once, with two threads.

    Args:
        root: A folder.
        paths: Files below it.
        progress: Called with (files checked, files in all).
    """
    colour_seen = False

    def check(path: str) -> Check:
        try:
            file = root / path
            with content_of(file) as content, opened(file, content) as image:
                deep_colour = stored_deep(image)  # asked first: even to read its EXIF block decodes a PNG
                size = upright_size(image)
                if min(size) < MIN_SIDE:
                    return Check(reason=f"{size[0]} x {size[1]} px; each side must have at least {MIN_SIDE}")
                image.draft(None, (1, 1))  # a JPEG is still read to its end, but decoded at an eighth of its size
                image.load()
                values = DeepValues.of(image, deep_colour=deep_colour)
                if image.mode not in ("L", "RGB"):
                    image = to_mode(image, 3)  # to meet here what decoding would meet later
                grey = not colour_seen and is_grey(image)  # one colour image settles it for all
                return Check(size, grey, digest_of(content), values)
        except ImageError as error:
            return Check(reason=error.reason)

    checks = {}
    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        for done, (path, result) in enumerate(zip(paths, pool.map(check, paths), strict=True), start=1):
            checks[path] = result
            colour_seen = colour_seen or not (result.reason or result.grey)
            if progress:
                progress(done, len(paths))
    return checks


def report_bad(root: Path, checks: Mapping[str, Check]) -> None:
    """Warn about bad files, or refuse when there are too many; of every kind of reason some are named.

    Raises:
        DataError: If over 5 % are bad.
    """
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
