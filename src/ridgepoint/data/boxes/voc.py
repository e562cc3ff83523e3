"""Pascal VOC: an XML file an image, with `object`s of a `name` and a `bndbox` in pixels.

Objects that are `difficult` count as crowds do, for VOC's own evaluation leaves them aside. Numbers are taken as they
are written. The original VOC counts pixels from 1, programs for labelling from 0.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge, 2010, and its development kit.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from ridgepoint.data.boxes.annotations import (
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
from ridgepoint.data.boxes.xml import LARGEST_BYTES, Element, read_xml
from ridgepoint.data.names import natural_key
from ridgepoint.data.opening import suffix_of
from ridgepoint.errors import DataError, InputError, shown
from ridgepoint.files import read_file

KIND = "Pascal VOC XML"
_LIST_BYTES = 64 << 20


def read_voc(files: Files, paths: Sequence[str]) -> Annotations | None:
    """What the XML files say; None where none of them is an annotation of VOC's.

    Parts are those of `ImageSets/Main/{train,val,test}.txt` where there are such, else those of the folders. Of
    `trainval.txt`, what is in no other list is train.

    Raises:
        DataError: If a file breaks the format.
    """
    remarks, pictures, names = Remarks(), [], set[str]()
    if not any(_is_voc(files, path) for path in paths):
        return None
    listed = _listed(files, {PurePosixPath(path).stem for path in paths})
    for path in paths:
        root = read_xml(files.at(path))
        if root.name != "annotation":
            if files.image_of(path, ""):
                raise DataError(f"{path}: its root is {shown(root.name)}. Allowed: annotation, as VOC has it")
            remarks.add("XML files are no annotations of VOC's, and are left aside", path)
            continue
        stem = PurePosixPath(path).stem
        part = (listed.get(stem) or "") if listed else part_at(path)
        if not part:
            remarks.add("annotations are in no list of ImageSets/Main, and are left out", path)
            continue
        said = root.word("filename") or stem
        found = files.image_of(path, said, part=part)
        if found is None:
            remarks.add(MISSING, f"{path}: {said}")
            continue
        objects = [_object(each, path, remarks) for each in root.children if each.name == "object"]
        check_count(len(objects), MOST_ON_ONE, path)
        names |= {each.label for each in objects if each}
        pictures.append(Picture(found, part, tuple(each for each in objects if each), _size(root)))
    _refuse_twice(pictures)
    pictures += _unmarked(files, pictures, remarks) if not listed else []
    return Annotations(
        kind=KIND,
        classes=check_classes(sorted(names, key=natural_key), paths[0], remarks),
        pictures=tuple(sorted(pictures, key=lambda each: natural_key(each.path))),
        remarks=remarks,
    )


def _is_voc(files: Files, path: str) -> bool:
    """By its root, or where it is broken, by what is written in it, so that one is told."""
    try:
        return read_xml(files.at(path)).name == "annotation"
    except DataError:
        return _is_marked(files, path)


def _is_marked(files: Files, path: str) -> bool:
    try:
        return b"<annotation" in read_file(files.at(path), limit_bytes=LARGEST_BYTES)
    except InputError:
        return False


def _listed(files: Files, stems: set[str]) -> dict[str, str]:
    """The part of every image by its stem, where lists tell it: a name a line, and maybe whether a class is there."""
    found: dict[str, str] = {}
    lists = {
        PurePosixPath(path).stem: path
        for path in files.by_suffix.get(".txt", ())
        if PurePosixPath(path).parent.name == "Main"
    }
    for part in ("train", "val", "test"):
        for name in _names_in(files, lists.get(part), stems):
            if found.setdefault(name, part) != part:
                raise DataError(
                    f"{lists[part]}: '{name}' is also in {found[name]}. An image is of one part: list it once"
                )
    for name in _names_in(files, lists.get("trainval"), stems):
        found.setdefault(name, "train")
    return found


def _names_in(files: Files, path: str | None, stems: set[str]) -> list[str]:
    """The stems that a list names."""
    if path is None:
        return []
    content = read_file(files.at(path), limit_bytes=_LIST_BYTES, error=DataError).decode("utf-8-sig", "replace")
    found = []
    for line in filter(None, map(str.strip, content.splitlines())):
        whole = PurePosixPath(line.replace("\\", "/")).name
        bare = re.sub(r"\s+-?[01]$", "", whole)
        spelt = [name.removesuffix(suffix_of(name)) for name in (whole, bare)]
        found.append(next((name for name in (whole, bare, *spelt) if name in stems), bare))
    return found


def _size(root: Element) -> tuple[int, int] | None:
    size = root.child("size")
    try:
        width, height = (int(float(size.word(name))) for name in ("width", "height")) if size else (0, 0)
    except (ValueError, OverflowError):
        return None
    return (width, height) if min(width, height) > 0 else None


def _object(element: Element, path: str, remarks: Remarks) -> Marked | None:
    place = f"{path}: line {element.line}"
    name, box = element.word("name"), _box(element.child("bndbox"))
    if not name:
        raise DataError(f"{place}: an object without a name. Give it one")
    if box is None:
        remarks.add("annotations without a box of four numbers are left out", place)
        return None
    difficult = element.word("difficult") in ("1", "true")
    if difficult:
        remarks.add(
            "objects are marked as difficult: nothing is learnt from them, and finding them is no mistake", place
        )
    return Marked(name, box, difficult, place)


def _box(element: Element | None) -> Box | None:
    if element is None:
        return None
    try:
        left, top, right, bottom = (float(element.word(name)) for name in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return (left, top, right, bottom)


def _unmarked(files: Files, pictures: Sequence[Picture], remarks: Remarks) -> list[Picture]:
    """Images that no file is about, as far as they lie beside some that files are about."""
    known = {each.path for each in pictures}
    folders = {str(PurePosixPath(path).parent) for path in known}
    found = []
    for path in files.images:
        if path not in known and str(PurePosixPath(path).parent) in folders:
            remarks.add("images have no annotation: taken for images without objects", path)
            found.append(Picture(path, part_at(path), ()))
    return found


def _refuse_twice(pictures: Sequence[Picture]) -> None:
    seen: set[str] = set()
    for each in pictures:
        if each.path in seen:
            raise DataError(f"{each.path}: two annotation files are about this image. Keep one of them")
        seen.add(each.path)
