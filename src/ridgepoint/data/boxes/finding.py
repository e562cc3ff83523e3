"""Which format of boxes a folder holds, by what is in it."""

import codecs
from collections.abc import Callable
from pathlib import Path

import msgspec

from ridgepoint.data.boxes import coco, labelme, voc, yolo
from ridgepoint.data.boxes.annotations import Annotations
from ridgepoint.data.boxes.files import Files, list_files
from ridgepoint.errors import InputError
from ridgepoint.files import read_file


def find_annotations(root: Path, *, outlined: bool = False) -> tuple[Annotations, Files] | None:
    """What the annotations below a folder say, and the files there; None where there are none of a known format.

    Args:
        root: A folder.
        outlined: Whether only those are wanted that may hold outlines: others are not read then.

    Raises:
        DataError: If they break their format, or an image or a part is described twice.
    """
    files = list_files(root)
    if not files.images:
        return None
    json_files = {path: _kind_of_json(files, path) for path in files.by_suffix.get(".json", ())}
    of_coco = [path for path, kind in json_files.items() if kind == coco.KIND]
    of_labelme = [path for path, kind in json_files.items() if kind == labelme.KIND]
    xml_files = files.by_suffix.get(".xml", ())
    paired = yolo.pairs(files)
    of_yolo = paired if paired and yolo.is_yolo(files, list(paired.values())) else {}
    readers: dict[str, Callable[[], Annotations | None]] = {
        coco.KIND: lambda: coco.read_coco(files, of_coco) if of_coco else None,
        labelme.KIND: lambda: labelme.read_labelme(files, of_labelme) if of_labelme else None,
        voc.KIND: lambda: voc.read_voc(files, xml_files) if xml_files else None,
        yolo.KIND: lambda: yolo.read_yolo(files, of_yolo) if of_yolo else None,
    }
    there = [kind for kind, given in zip(readers, (of_coco, of_labelme, xml_files, of_yolo), strict=True) if given]
    if outlined and not {coco.KIND, labelme.KIND} & set(there) and not yolo.is_outlined(files, list(of_yolo.values())):
        return None
    for kind, read in readers.items():
        found = read()
        if found is not None:
            for other in there[there.index(kind) + 1 :]:
                found.remarks.add(f"formats more are there and left aside, beside {kind}", other)
            return found, files
    return None


def _kind_of_json(files: Files, path: str) -> str | None:
    """By the keys that it has; of what is broken by those written in it, so that one is told; None for others."""
    try:
        content = read_file(files.at(path), limit_bytes=coco.LARGEST_BYTES)
    except InputError:
        return None
    try:
        keys = set(msgspec.json.decode(content.removeprefix(codecs.BOM_UTF8), type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        keys = {key for each in (coco, labelme) for key in each.KEYS if f'"{key}"'.encode() in content}
    return next((each.KIND for each in (coco, labelme) if keys >= set(each.KEYS)), None)
