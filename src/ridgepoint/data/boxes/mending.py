"""Boxes held against the images that they are on: mended or left out, and said; too many bad ones are refused.

Shapes: N images, M the most objects that one of them has.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ridgepoint.data.boxes.annotations import Box, Marked, Picture, Remarks
from ridgepoint.errors import DataError

MAX_BAD = 0.05
"""The largest share of boxes that is left out; above it the data are refused."""

COLUMNS = 6
ABSENT = -1.0
_LEAST = 0.5  # px: what is thinner has no width that anything could be learnt from
_BORDER = 1.0  # px: annotations are rounded; so much beyond the border is not worth a word


def mended(
    pictures: Sequence[Picture], sizes: Mapping[str, tuple[int, int]], classes: Sequence[str], remarks: Remarks
) -> np.ndarray:
    """The objects of every image, float32 (N, M, 6): class, left, top, right, bottom, crowd.

    Places are parts of the upright image's width and height; an image with fewer than M objects goes on with rows of
    class -1. Boxes that stand the wrong way round are turned, those beyond the border are cut at it, those that are
    there twice count once; boxes without width or height, outside of the image, or of no number are left out.

    Args:
        pictures: Images that are there.
        sizes: Height and width in pixels by path.
        classes: In the order of their numbers.
        remarks: Gets what was mended and left out.

    Raises:
        DataError: If over 5 % of all boxes had to be left out, if there is none, or if annotations were made on images
            of another shape.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    rows, bad = [], 0
    total = sum(len(picture.objects) for picture in pictures)
    for picture in pictures:
        found = _rows(picture, sizes[picture.path], numbers, remarks)
        bad += sum(row is None for row in found)
        rows.append(_without_copies([row for row in found if row is not None], picture, remarks))
    if bad > MAX_BAD * total:
        told = "; ".join(remarks.notes())
        raise DataError(f"{bad:,} of {total:,} boxes cannot be used; up to {MAX_BAD:.0%} would be left out. {told}")
    if not any(rows):
        raise DataError("no image has an object: there is nothing to learn. Look at the annotations")
    truth = np.zeros((len(rows), max(map(len, rows)), COLUMNS), np.float32)
    truth[..., 0] = ABSENT
    for index, kept in enumerate(rows):
        if kept:
            truth[index, : len(kept)] = kept
    return truth


def _rows(
    picture: Picture, size: tuple[int, int], numbers: Mapping[str, int], remarks: Remarks
) -> list[tuple[float, ...] | None]:
    height, width = size
    across, down = (1.0, 1.0) if picture.fractions else frame_of(picture, size, remarks)
    found: list[tuple[float, ...] | None] = []
    for each in picture.objects:
        box = _mended(each, (across, down), (width, height), remarks)
        found.append(None if box is None else (numbers[each.label], *box, float(each.crowd)))
    return found


def frame_of(picture: Picture, size: tuple[int, int], remarks: Remarks) -> tuple[float, float]:
    """Width and height in pixels of the image that boxes were drawn on."""
    height, width = size
    if picture.size is None or picture.size == (width, height):
        return width, height
    across, down = picture.size
    if abs(across / down - width / height) <= 0.02 * width / height:
        remarks.add(
            "images have another size than their annotations say, of the same shape: boxes are scaled", picture.path
        )
        return across, down
    turned = "; the file is stored turned (EXIF): label it as it is shown" if (down, across) == (width, height) else ""
    raise DataError(
        f"{picture.path}: is {width} x {height} px, and its annotations are of {across} x {down}{turned}. Annotate the "
        "image that is there"
    )


def _mended(each: Marked, frame: tuple[float, float], size: tuple[int, int], remarks: Remarks) -> Box | None:
    """In parts of the image; None if it cannot be used."""
    box = np.asarray(each.box, np.float64)
    if not np.isfinite(box).all():
        remarks.add("boxes are no numbers, and are left out", each.place)
        return None
    scale = np.tile(np.asarray(frame), 2)
    left, top, right, bottom = (box / scale).tolist()
    least_x, least_y = _LEAST / size[0], _LEAST / size[1]
    if right < left - least_x or bottom < top - least_y:
        remarks.add(
            "boxes stand the wrong way round (right before left, or bottom above top), and are turned", each.place
        )
    left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
    if right - left < least_x or bottom - top < least_y:
        remarks.add("boxes have no width or no height, and are left out", each.place)
        return None
    cut = (max(left, 0.0), max(top, 0.0), min(right, 1.0), min(bottom, 1.0))
    if cut[2] - cut[0] < least_x or cut[3] - cut[1] < least_y:
        remarks.add("boxes lie outside of their image, and are left out", each.place)
        return None
    over = max((-left, right - 1.0)) * size[0], max((-top, bottom - 1.0)) * size[1]
    if max(over) > _BORDER:
        remarks.add("boxes reach beyond their image, and are cut at its border", each.place)
    return cut


def _without_copies(rows: list[tuple[float, ...]], picture: Picture, remarks: Remarks) -> list[tuple[float, ...]]:
    kept = list(dict.fromkeys(rows))
    for _ in range(len(rows) - len(kept)):
        remarks.add("objects are written down twice, and count once", picture.path)
    return kept
