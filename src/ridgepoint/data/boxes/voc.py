"""Pascal VOC: an XML file an image, with `object`s of a `name` and a `bndbox` in pixels.

Numbers are taken as they are written. The original VOC counts pixels from 1, programs for labelling from 0.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge, 2010, and its development kit.
"""

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
from ridgepoint.data.boxes.xml import Element, read_xml
from ridgepoint.data.names import natural_key
from ridgepoint.errors import DataError, shown
from ridgepoint.files import read_file

KIND = "Pascal VOC XML"
_LIST_BYTES = 64 << 20


def read_voc(files: Files, paths: Sequence[str]) -> Annotations | None:
    """What the XML files say; None where the first one is no annotation of VOC's.

    Parts are those of `ImageSets/Main/{train,val,test}.txt` where there are such, else those of the folders.

    Raises:
        DataError: If a file breaks the format.
    """
    remarks, pictures, names = Remarks(), [], set[str]()
    if not _is_voc(files, paths[0]):
        return None
    listed = _listed(files)
    for path in paths:
        root = read_xml(files.at(path))
        if root.name != "annotation":
            raise DataError(f"{path}: its root is {shown(root.name)}. Allowed: annotation, as VOC has it")
        stem = PurePosixPath(path).stem
        part = (listed.get(stem) or "") if listed else part_at(path)
        if not part:
            remarks.add("annotations are in no list of ImageSets/Main, and are left out", path)
            continue
        found = _image(files, path, root, part)
        if found is None:
            remarks.add(MISSING, f"{path}: {root.word('filename') or stem}")
            continue
        objects = [_object(each, path, remarks) for each in root.children if each.name == "object"]
        check_count(len(objects), MOST_ON_ONE, path)
        names |= {each.label for each in objects if each}
        pictures.append(Picture(found, part, tuple(each for each in objects if each), _size(root)))
    _refuse_twice(pictures)
    pictures += _unmarked(files, pictures, remarks) if not listed else []
    return Annotations(
        kind=KIND,
        classes=check_classes(sorted(names, key=natural_key), paths[0]),
        pictures=tuple(sorted(pictures, key=lambda each: natural_key(each.path))),
        remarks=remarks,
    )


def _is_voc(files: Files, path: str) -> bool:
    try:
        return read_xml(files.at(path)).name == "annotation"
    except DataError:
        return False


def _listed(files: Files) -> dict[str, str]:
    """The part of every image by its stem, where lists tell it."""
    found: dict[str, str] = {}
    for path in files.by_suffix.get(".txt", ()):
        pure = PurePosixPath(path)
        if pure.parent.name == "Main" and pure.stem in ("train", "val", "test"):
            content = read_file(files.at(path), limit_bytes=_LIST_BYTES, error=DataError)
            for word in content.decode(errors="replace").split():
                if found.setdefault(word, pure.stem) != pure.stem:
                    raise DataError(f"{path}: '{word}' is also in {found[word]}. An image is of one part: list it once")
    return found


def _image(files: Files, path: str, root: Element, part: str) -> str | None:
    """By the file's own name first: what stands inside is often of another machine, or of before a renaming."""
    stem = PurePosixPath(path).stem
    said = root.word("filename")
    for name in dict.fromkeys([said, *(stem + suffix for suffix in (".jpg", ".jpeg", ".png", ".bmp", ".webp"))]):
        if name and (found := files.image(name, of=path, part=part)):
            return found
    return None


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
    return Marked(name, box, place=place)


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
