"""The outline of an object: rings of points, or runs of pixels, as annotations write them down.

Shapes: P points of a ring, H x W an image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from ridgepoint.errors import DataError

MOST_POINTS = 200_000
MOST_PIXELS = 50_000_000
_LONGEST = 100  # times around the image: no outline is as long, and what is takes time and memory to fill
_BEYOND = 1.0  # widths and heights that points may lie beyond the image


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Closed lines of points; what is inside of any of them belongs to the object.

    Attributes:
        points: (x, y) of each ring, float64 (P, 2), in the units of the object's box.
    """

    points: tuple[np.ndarray, ...]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Around all rings."""
        points = np.concatenate(self.points)
        left, top = points.min(0).tolist()
        right, bottom = points.max(0).tolist()
        return (left, top, right, bottom)

    @property
    def says_more(self) -> bool:
        """Whether it is more than a box written as an outline."""
        if len(self.points) > 1 or len(self.points[0]) > 5:
            return True
        corners = np.unique(self.points[0], axis=0)
        return not (len(corners) == 4 and all(len(np.unique(column)) == 2 for column in corners.T))

    def filled(self, frame: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
        """The pixels of an image that are inside, bool (H, W); as COCO's own programs fill polygons.

        Args:
            frame: Width and height of the image in the units of the points.
            size: Height and width of the image in pixels.

        Raises:
            DataError: If points are no numbers or lie far away, or the line is too long.
        """
        from faster_coco_eval import mask

        scale = np.array([size[1] / frame[0], size[0] / frame[1]])
        extent = np.array(size[::-1], np.float64)
        rings, length = [], 0.0
        for ring in self.points:
            points = ring * scale
            if not np.isfinite(points).all():
                raise DataError("outlines hold points that are no numbers")
            if (points < -_BEYOND * extent).any() or (points > (1 + _BEYOND) * extent).any():
                raise DataError("outlines reach far beyond their image")
            length += float(np.abs(np.diff(points, axis=0, append=points[:1])).sum())
            rings.append(points.ravel().tolist())
        if length > _LONGEST * 2 * sum(size):
            raise DataError("outlines are far longer than any")
        found: np.ndarray = mask.decode(mask.merge(mask.frPyObjects(rings, *size))).astype(bool)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Pixels down one column after the other, by turns outside and inside of the object.

    Attributes:
        counts: How many pixels each run has, the first one outside, int64.
        size: Height and width of the image in pixels.
    """

    counts: np.ndarray
    size: tuple[int, int]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Around all pixels; of none, nothing."""
        inside_HW = self._pixels()
        rows, columns = np.flatnonzero(inside_HW.any(1)), np.flatnonzero(inside_HW.any(0))
        if not len(rows):
            return (0.0, 0.0, 0.0, 0.0)
        return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))

    @property
    def says_more(self) -> bool:
        """Whether it is more than a box."""
        left, top, right, bottom = self.box
        return float(self.counts[1::2].sum()) < (right - left) * (bottom - top)

    def filled(self, frame: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
        """As of `Rings`; of an image of another size the nearest pixels.

        Raises:
            DataError: If the runs are of another image.
        """
        if self.size != (round(frame[1]), round(frame[0])):
            raise DataError("outlines are runs of pixels of an image of another size")
        inside_HW = self._pixels()
        if self.size == size:
            return inside_HW
        rows, columns = (
            np.minimum((np.arange(to) + 0.5) * of / to, of - 1).astype(int)
            for of, to in zip(self.size, size, strict=True)
        )
        found: np.ndarray = inside_HW[rows[:, None], columns]
        return found

    def _pixels(self) -> np.ndarray:
        inside = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        return inside.reshape(self.size[::-1]).T


Outline = Rings | Runs


def tried(make: Callable[[], Outline | None]) -> tuple[Outline | None, str]:
    """What is made of what is written, and what is wrong with that: the data may be wanted for boxes alone."""
    try:
        return make(), ""
    except DataError as error:
        return None, str(error)


class _Coded(msgspec.Struct):
    """Of COCO's JSON: counts as numbers, or written in letters."""

    size: tuple[int, int]
    counts: list[int] | str


def rings_of(flat: list[list[float]]) -> Rings:
    """Rings from lists of x, y, x, y, ...

    Raises:
        DataError: If one has less than three points, or half of one.
    """
    if not flat or any(len(ring) < 6 for ring in flat):
        raise DataError("outlines have less than three points")
    if any(len(ring) % 2 for ring in flat):
        raise DataError("outlines end in half a point")
    if sum(map(len, flat)) > 2 * MOST_POINTS:
        raise DataError(f"outlines have more than {MOST_POINTS:,} points")
    return Rings(tuple(np.array(ring, np.float64).reshape(-1, 2) for ring in flat))


def of_coco(raw: bytes) -> Outline | None:
    """The `segmentation` of an annotation of COCO JSON; None where nothing is written there.

    Source: https://cocodataset.org/#format-data

    Raises:
        DataError: If it is neither rings nor runs, or they are broken; the message continues a number.
    """
    try:
        written = msgspec.json.decode(raw, type=list[list[float]] | _Coded | None)
    except (msgspec.MsgspecError, RecursionError):
        raise DataError("outlines are neither lists of x, y, x, y, ... nor runs of pixels") from None
    if not written:
        return None
    if isinstance(written, list):
        return rings_of(written)
    counts = _spelt(written.counts) if isinstance(written.counts, str) else written.counts
    height, width = written.size
    if min(height, width) < 1 or height * width > MOST_PIXELS:
        raise DataError(f"outlines are runs of pixels of an image of no or of more than {MOST_PIXELS:,} pixels")
    if any(count < 0 for count in counts) or sum(counts) != height * width:
        raise DataError("outlines are runs of pixels that do not add up to their image")
    return Runs(np.array(counts, np.int64), (height, width))


def _spelt(text: str) -> list[int]:
    """Runs from COCO's letters: five bits each, the lowest first; from the fourth run on, less the one before the last.

    Source: the Mask API of COCO.
    """
    counts: list[int] = []
    value = shift = 0
    for code in (ord(letter) - 48 for letter in text):
        if not 0 <= code < 64 or shift > 40:
            raise DataError("outlines are runs of pixels in letters that stand for none")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        value -= (code >> 4 & 1) << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise DataError("outlines are runs of pixels that break off")
    return counts
