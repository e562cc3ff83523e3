"""YOLO: a text file beside every image, a line an object: class, centre, width and height, in parts of the image.

Images lie in `images`, their texts in `labels` beside it, or both together. Names of classes stand in `data.yaml`
(`names`), `classes.txt` or `obj.names`.

Source: darknet's and Ultralytics' documentation.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

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
from ridgepoint.data.boxes.files import Files, parts_in
from ridgepoint.data.boxes.outline import Outline, rings_of, tried
from ridgepoint.documents import read_document
from ridgepoint.errors import DataError, InputError, shown
from ridgepoint.files import read_file

KIND = "YOLO texts"
LARGEST_BYTES = 10 << 20
_NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels")
_OTHER_TEXTS = {"classes.txt", "readme.txt", "readme.roboflow.txt", "readme.dataset.txt", "license.txt", "notes.txt"}
_SAMPLE = 20
_OF_BOX = 6  # numbers in a line, a detector's confidence with them


def pairs(files: Files) -> dict[str, str]:
    """The text that would belong to each image, by the image's path, where there is one."""
    texts = {path for path in files.by_suffix.get(".txt", ()) if PurePosixPath(path).name.lower() not in _OTHER_TEXTS}
    found = {}
    for image in files.images:
        stem = image[: image.rindex(".")]
        places = [stem + ".txt"]
        parts = stem.split("/")
        for index in range(len(parts) - 2, -1, -1):
            if parts[index].lower() == "images":
                places.append("/".join([*parts[:index], "labels", *parts[index + 1 :]]) + ".txt")
        for place in places:
            if place in texts:
                found[image] = place
                break
    return found


def is_yolo(files: Files, texts: Sequence[str]) -> bool:
    """Whether texts beside images hold objects: the first line there is, of a few files, begins as one.

    In folders called labels texts are meant to, so that one who wrote them in another way is told.
    """
    if texts and all("labels" in path.lower().split("/")[:-1] for path in texts):
        return True
    for path in texts[:_SAMPLE]:
        try:
            words = next((line.split() for line in _lines(files, path) if line.strip()), None)
        except DataError:
            return False
        if words is not None:
            return len(words) >= 5 and all(map(_is_number, words))
    return False


def is_outlined(files: Files, texts: Sequence[str]) -> bool:
    """Whether a line of a few files has more numbers than a box needs, and a box with its keypoints."""
    counts = {len(line.split()) for path in texts[:_SAMPLE] for line in _lines(files, path)}
    more = {count for count in counts if count > _OF_BOX}
    return bool(more) and more != {_OF_BOX - 1 + _keypoints(_tables(files, Remarks()))}


def read_yolo(files: Files, paired: dict[str, str]) -> Annotations:
    """What the texts say; an image without one holds no objects.

    Args:
        files: What lies there.
        paired: The text of each image, as `pairs` has it.

    Raises:
        DataError: If a line cannot be read, or a class has no name.
    """
    remarks = Remarks()
    tables = _tables(files, remarks)
    (names, source), keypoints = _names(files, tables, remarks), _keypoints(tables)
    marked, most = {}, -1
    for image, text in paired.items():
        found = list(_objects(files, text, keypoints, remarks))
        check_count(len(found), MOST_ON_ONE, text)
        marked[image] = found
        for number, _, place, *_ in found:
            if names and number >= len(names):
                raise DataError(
                    f"{place}: the class is {number}, and {source} names {len(names)}. Allowed: 0 to {len(names) - 1}"
                )
            most = max(most, number)
    if not names:
        names = tuple(str(number) for number in range(most + 1))
        remarks.add("classes have no names, only numbers: write them into data.yaml as names", ", ".join(names[:3]))
    pictures, told = [], _told_parts(files, tables, remarks)
    for image in files.images:
        if told and image not in told:
            continue
        if image not in marked:
            remarks.add("images have no text beside them: taken for images without objects", image)
        objects = [
            Marked(names[number], box, place=place, outline=outline, fault=fault)
            for number, box, place, outline, fault in marked.get(image, ())
        ]
        part = told.get(image) or _part_of(image)
        pictures.append(Picture(image, part, tuple(objects), fractions=True))
    for lone in sorted(_texts(files) - set(paired.values())):
        remarks.add("texts belong to no image, and are left out", lone)
    return Annotations(
        kind=KIND, classes=check_classes(names, source or "data.yaml"), pictures=tuple(pictures), remarks=remarks
    )


def _part_of(image: str) -> str:
    """By the names of its folders."""
    return min(parts_in(PurePosixPath(image).parts[:-1]), default="all")


def _told_parts(files: Files, tables: dict[str, dict[str, Any]], remarks: Remarks) -> dict[str, str]:
    """The part of each image as a data.yaml tells it, by folders or lists; none where folders' names do already.

    Raises:
        DataError: If a list names an image that may be several.
    """
    if any(_part_of(image) != "all" for image in files.images):
        return {}
    for path, table in tables.items():
        found: dict[str, str] = {}
        named = {part: table[part] for part in ("train", "val", "test") if table.get(part)}
        for part, places in named.items():
            for place in places if isinstance(places, list) else [places]:
                images = _images_at(files, str(place))
                if any(found.setdefault(image, part) != part for image in images):
                    remarks.add("data.yaml's parts have images in common: they are left aside", path)
                    return {}
        if len(set(found.values())) > 1 and "train" in found.values():
            return found
    return {}


def _images_at(files: Files, place: str) -> list[str]:
    """The images of a folder, or of a list of them, that a data.yaml names by a path of its own machine."""
    parts = tuple(part for part in place.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    lists = [path for path in files.by_suffix.get(".txt", ()) if PurePosixPath(path).parts[-len(parts) :] == parts]
    if lists:
        named = (files.image(line.strip(), of=lists[0]) for line in _lines(files, lists[0]) if line.strip())
        return [image for image in named if image]
    inside = {image: PurePosixPath(image).parts[:-1] for image in files.images}
    return [image for image, above in inside.items() if parts and parts == above[: len(parts)]]


def _texts(files: Files) -> set[str]:
    """Texts in folders called labels."""
    found = files.by_suffix.get(".txt", ())
    return {path for path in found if "labels" in [name.lower() for name in PurePosixPath(path).parts[:-1]]}


def _tables(files: Files, remarks: Remarks) -> dict[str, dict[str, Any]]:
    """The YAML files that tell names of classes, and what they hold; others are none of ours.

    Raises:
        DataError: If none does, and one cannot be read.
    """
    found, unread = {}, dict[str, InputError]()
    for path in (*files.by_suffix.get(".yaml", ()), *files.by_suffix.get(".yml", ())):
        try:
            content = read_document(files.at(path), error=DataError, numbered=True)
        except InputError as error:
            unread[path] = error
            continue
        if isinstance(content, dict) and content.get("names") is not None:
            found[path] = content
    for path, why in unread.items():
        if not found:
            raise DataError(str(why)) from None
        remarks.add("YAML files cannot be read, and are left aside", path)
    return found


def _names(files: Files, tables: dict[str, dict[str, Any]], remarks: Remarks) -> tuple[tuple[str, ...], str]:
    """Names of classes in the order of their numbers, and where they stand; none where no file tells them.

    Raises:
        DataError: If two files tell different ones: which labels are meant by which is not known.
    """
    by_table = {path: tuple(_in_order(table["names"], path)) for path, table in tables.items()}
    by_text = {
        path: tuple(line.strip() for line in _lines(files, path) if line.strip())
        for suffix in (".txt", ".names", ".labels")
        for path in files.by_suffix.get(suffix, ())
        if PurePosixPath(path).name.lower() in _NAME_FILES
    }
    found = by_table or by_text
    if not found:
        return (), ""
    source, names = next(iter(found.items()))
    for path, others in found.items():
        if others != names:
            raise DataError(
                f"'{source}' and '{path}' name different classes: {_short(names)}; and {_short(others)}. Keep the one "
                "that the labels were made by"
            )
    for path, others in by_text.items():
        if others != names:
            remarks.add(f"files name other classes than {source}, and are left aside", path)
    return check_classes(names, source), source


def _short(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names[:4])) + (", ..." if len(names) > 4 else "")


def _keypoints(tables: dict[str, dict[str, Any]]) -> int:
    """How many numbers of a line are keypoints behind its box, as `kpt_shape` of a data.yaml says; usually none."""
    for table in tables.values():
        shape = table.get("kpt_shape")
        if isinstance(shape, list) and len(shape) == 2 and all(type(each) is int and each > 0 for each in shape):
            return int(shape[0] * shape[1])
    return 0


def _in_order(named: object, path: str) -> list[str]:
    """`names` of a data.yaml: a list, or a mapping from numbers, which our documents read as texts."""
    if isinstance(named, dict):
        places = sorted(named, key=lambda key: (len(key), key))
        if places != [str(number) for number in range(len(places))]:
            raise DataError(f"{path}: names has the keys {shown(places)}. Allowed: 0, 1, 2, ...")
        named = [named[place] for place in places]
    if not isinstance(named, list):
        raise DataError(f"{path}: names is {shown(named)}. Allowed: a list of names, or 0: name, 1: name, ...")
    return [str(name) for name in named]


def _objects(
    files: Files, path: str, keypoints: int, remarks: Remarks
) -> Iterator[tuple[int, Box, str, Outline | None, str]]:
    for number, line in enumerate(_lines(files, path), 1):
        if not (words := line.split()):
            continue
        place = f"{path}: line {number}"
        if len(words) < 5 or not all(map(_is_number, words)) or not float(words[0]).is_integer() or words[0][0] == "-":
            raise DataError(
                f"{place} is {shown(line.strip())}. Allowed: a class's number, then the box's centre, width and height "
                "in parts of the image, such as 0 0.5 0.5 0.2 0.3"
            )
        values = [float(word) for word in words[1:]]
        if keypoints and len(values) == _OF_BOX - 2 + keypoints:
            values = values[:4]
            remarks.add("lines have keypoints behind their boxes, which are left aside", place)
        outline, fault = None, ""
        if len(values) == 4:
            x, y, width, height = values
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        elif len(values) == 5:
            x, y, width, height, _ = values
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            remarks.add("lines have a sixth number, a detector's confidence: are these labels?", place)
        elif len(values) % 2 == 0:
            outline, fault = tried(partial(rings_of, [values]))
            box = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
            remarks.add(AROUND, place)
        else:
            raise DataError(
                f"{place} has {len(words)} numbers. Allowed: 5, or an outline's class and pairs x y, or as many more "
                "as kpt_shape in data.yaml tells of keypoints"
            )
        yield int(float(words[0])), box, place, outline, fault


def _lines(files: Files, path: str) -> list[str]:
    content = read_file(files.at(path), limit_bytes=LARGEST_BYTES, error=DataError)
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not written in UTF-8 (byte {error.start:,}). Save it as UTF-8") from None


def _is_number(word: str) -> bool:
    try:
        return len(word) < 40 and abs(float(word)) < 1e9
    except ValueError:
        return False
