"""LabelMe: a JSON file an image, with `shapes` of a `label` and `points` in pixels; outlines become the boxes around.

Source: https://github.com/wkentaro/labelme
"""

import codecs
import math
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

from ridgepoint.data.boxes.annotations import (
    AROUND,
    MOST_ON_ONE,
    Annotations,
    Box,
    Marked,
    Picture,
    Remarks,
    check_classes,
    check_count,
)
from ridgepoint.data.boxes.coco import MISSING
from ridgepoint.data.boxes.files import Files, part_at
from ridgepoint.data.boxes.outline import Outline, rings_of, tried
from ridgepoint.data.names import natural_key
from ridgepoint.errors import DataError
from ridgepoint.files import read_file

KIND = "LabelMe JSON"
KEYS = ("shapes", "imagePath")
LARGEST_BYTES = 256 << 20  # the image may lie inside, as text
_OUTLINES = ("polygon", "linestrip", "mask")
_CORNERS = 64  # of what stands for a circle


class _Shape(msgspec.Struct, gc=False):
    label: str
    points: list[list[float]]
    shape_type: str | None = None


class _File(msgspec.Struct):
    shapes: list[_Shape]
    imagePath: str = ""
    imageHeight: int | None = None
    imageWidth: int | None = None


def read_labelme(files: Files, paths: Sequence[str]) -> Annotations:
    """What the JSON files say.

    Raises:
        DataError: If one breaks the format.
    """
    remarks, pictures, names = Remarks(), list[Picture](), set[str]()
    for path in paths:
        content = read_file(files.at(path), limit_bytes=LARGEST_BYTES, error=DataError)
        try:
            file = msgspec.json.decode(content.removeprefix(codecs.BOM_UTF8), type=_File, strict=False)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DataError(f"{path}: cannot be read as LabelMe JSON: {error}. Save it with LabelMe anew") from None
        check_count(len(file.shapes), MOST_ON_ONE, path)
        part = part_at(path)
        name = file.imagePath or PurePosixPath(path).stem
        found = files.image_of(path, name, part=part)
        if found is None:
            remarks.add(MISSING, f"{path}: {name}")
            continue
        marked = [_object(each, f"{path}: shape {index}", remarks) for index, each in enumerate(file.shapes)]
        objects = tuple(each for each in marked if each)
        names |= {each.label for each in objects}
        size = (file.imageWidth or 0, file.imageHeight or 0)
        pictures.append(Picture(found, part, objects, size if min(size) > 0 else None))
    seen: set[str] = set()
    for each in pictures:
        if each.path in seen:
            raise DataError(f"{each.path}: two files of LabelMe are about this image. Keep one of them")
        seen.add(each.path)
    return Annotations(
        kind=KIND,
        classes=check_classes(sorted(names, key=natural_key), paths[0], remarks),
        pictures=tuple(sorted([*pictures, *_unmarked(files, seen, remarks)], key=lambda each: natural_key(each.path))),
        remarks=remarks,
    )


def _unmarked(files: Files, known: set[str], remarks: Remarks) -> list[Picture]:
    """LabelMe writes no file for an image on which nothing was marked."""
    found = []
    for path in files.images:
        if path not in known:
            remarks.add("images have no annotation: taken for images without objects", path)
            found.append(Picture(path, part_at(path), ()))
    return found


def _object(shape: _Shape, place: str, remarks: Remarks) -> Marked | None:
    kind = shape.shape_type or ("rectangle" if len(shape.points) == 2 else "polygon")
    box = _box(kind, shape.points)
    if box is None:
        remarks.add(f"shapes are no boxes or outlines ({kind}), and are left out", place)
        return None
    if kind in _OUTLINES:
        remarks.add(AROUND, place)
    outline, fault = _outline(kind, shape.points, box)
    return Marked(shape.label, box, place=place, outline=outline, fault=fault)


def _outline(kind: str, points: list[list[float]], box: Box) -> tuple[Outline | None, str]:
    """What is inside of a closed shape, or what is wrong with it."""
    left, top, right, bottom = box
    if kind == "circle":
        (x, y), radius = points[0], (right - left) / 2
        turns = [2 * math.pi * step / _CORNERS for step in range(_CORNERS)]
        points = [[x + radius * math.cos(turn), y + radius * math.sin(turn)] for turn in turns]
    elif kind == "rectangle":
        points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    elif kind != "polygon":
        return None, ""
    return tried(lambda: rings_of([[value for point in points for value in point]]))


def _box(kind: str, points: list[list[float]]) -> Box | None:
    if len(points) < 2 or any(len(point) != 2 for point in points) or kind in ("point", "points", "line"):
        return None
    if kind == "circle":
        (x, y), on_edge = points[0], points[1]
        radius = math.dist((x, y), on_edge)
        return (x - radius, y - radius, x + radius, y + radius)
    columns, rows = zip(*points, strict=True)
    return (min(columns), min(rows), max(columns), max(rows))
