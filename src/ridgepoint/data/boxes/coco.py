"""COCO JSON: one file a part, with images, categories and annotations.

Source: https://cocodataset.org/#format-data
"""

import codecs
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import msgspec

from ridgepoint.data.boxes.annotations import (
    AROUND,
    MOST_OBJECTS,
    MOST_ON_ONE,
    Annotations,
    Box,
    Marked,
    Picture,
    Remarks,
    check_classes,
    check_count,
)
from ridgepoint.data.boxes.files import Files, part_at
from ridgepoint.data.boxes.outline import of_coco, tried
from ridgepoint.errors import DataError, shown
from ridgepoint.files import read_file

KIND = "COCO JSON"
KEYS = ("images", "annotations")
LARGEST_BYTES = 1 << 30
Id = int | str
_NOTHING = msgspec.Raw(b"null")


class _Image(msgspec.Struct, gc=False):
    id: Id
    file_name: str
    width: int = 0
    height: int = 0


class _Category(msgspec.Struct, gc=False):
    id: Id
    name: str


class _Annotation(msgspec.Struct, gc=False):
    image_id: Id
    category_id: Id
    id: Id | None = None
    bbox: list[float] | None = None
    iscrowd: int | bool | None = 0
    segmentation: msgspec.Raw = _NOTHING


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(files: Files, paths: Sequence[str]) -> Annotations:
    """What the JSON files say; one class is one name, whatever its number.

    Args:
        files: What lies beside them.
        paths: Those that have `KEYS`.

    Raises:
        DataError: If one breaks the format, two are about one part, or an annotation is of an image or a category that
            there is not.
    """
    remarks, pictures, names = Remarks(), list[Picture](), dict[str, None]()
    by_part: dict[str, str] = {}
    for path in paths:
        part = part_at(path)
        if part in by_part:
            raise DataError(
                f"'{by_part[part]}' and '{path}' are both COCO JSON and both mean {part}. Keep one, or name them by "
                "their parts: instances_train.json, instances_val.json"
            )
        by_part[part] = path
        file = _decode(files, path)
        categories = _categories(file, path)
        names |= dict.fromkeys(categories.values())
        pictures += _pictures(file, path, part, categories, files, remarks)
    listed: dict[str, str] = {}
    for each in pictures:
        if listed.setdefault(each.path, each.part) != each.part:
            raise DataError(
                f"'{each.path}' is listed by '{by_part[listed[each.path]]}' and by '{by_part[each.part]}'. An image is "
                "of one part, or a network is judged by what it learnt: list it once"
            )
    if "all" in by_part and len(by_part) > 1:
        raise DataError(
            f"'{by_part['all']}' names no part, and other files do: {', '.join(sorted(set(by_part) - {'all'}))}. Name "
            "it by its part, or take it out"
        )
    return Annotations(kind=KIND, classes=check_classes(names, paths[0]), pictures=tuple(pictures), remarks=remarks)


def _decode(files: Files, path: str) -> _File:
    content = read_file(files.at(path), limit_bytes=LARGEST_BYTES, error=DataError)
    try:
        return msgspec.json.decode(content.removeprefix(codecs.BOM_UTF8), type=_File, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as COCO JSON: {error}. Write it anew") from None


def _categories(file: _File, path: str) -> dict[Id, str]:
    found = {each.id: each.name for each in sorted(file.categories, key=lambda each: (str(type(each.id)), each.id))}
    if len(found) < len(file.categories):
        raise DataError(f"{path}: two categories have one id. Give every category an id of its own")
    check_classes(found.values(), path)
    return found


def _pictures(
    file: _File, path: str, part: str, categories: dict[Id, str], files: Files, remarks: Remarks
) -> list[Picture]:
    check_count(len(file.annotations), MOST_OBJECTS, path)
    objects = defaultdict(list)
    known = {image.id for image in file.images}
    if len(known) < len(file.images):
        raise DataError(
            f"{path}: two images have one id, so whose annotations are whose is not known. Number them anew"
        )
    for index, each in enumerate(file.annotations):
        place = f"{path}: annotation {each.id if each.id is not None else f'number {index}'}"
        if each.image_id not in known:
            raise DataError(f"{place} is of image {shown(each.image_id)}, which the file does not list. Mend the file")
        if each.category_id not in categories:
            listed = ", ".join(str(one) for one in list(categories)[:12])
            raise DataError(
                f"{place} has category {shown(each.category_id)}, which the file does not list. Allowed: {listed}"
            )
        (outline, fault), box = tried(partial(of_coco, bytes(each.segmentation))), _box(each.bbox)
        if box is None and outline is not None:
            box = outline.box
            remarks.add(AROUND, place)
        if box is None:
            remarks.add("annotations without a box of four numbers are left out", place)
            continue
        objects[each.image_id].append(
            Marked(categories[each.category_id], box, bool(each.iscrowd), place, outline, fault)
        )
    pictures, seen = [], dict[str, str]()
    for image in file.images:
        check_count(len(objects[image.id]), MOST_ON_ONE, f"{path}: image {image.file_name}")
        found = files.image(image.file_name, of=path, part=part)
        if found is None:
            remarks.add(MISSING, f"{path}: {image.file_name}")
            continue
        if found in seen:
            raise DataError(f"{path}: '{image.file_name}' and '{seen[found]}' are one image. List it once")
        seen[found] = image.file_name
        size = (image.width, image.height) if min(image.width, image.height) > 0 else None
        pictures.append(Picture(found, part, tuple(objects[image.id]), size))
    return pictures


MISSING = "images that the annotations list are not there, and are left out"


def _box(bbox: list[float] | None) -> Box | None:
    if bbox is None or len(bbox) != 4:
        return None
    x, y, width, height = bbox
    return (x, y, x + width, y + height)
