"""Outlines of objects as masks: what COCO, LabelMe and YOLO draw around objects, filled when an image is decoded.

Shapes: H height, W width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ridgepoint.data.boxes.annotations import AROUND, Annotations, Box, Marked, Picture, Remarks
from ridgepoint.data.boxes.finding import find_annotations
from ridgepoint.data.boxes.mending import MAX_BAD, frame_of
from ridgepoint.data.boxes.outline import Outline, Rings
from ridgepoint.data.boxes.reading import PARTS, matched, parts_of, present, split_of, tell_unused
from ridgepoint.data.checks import check_files, report_bad
from ridgepoint.data.deep import judged
from ridgepoint.data.found import Found
from ridgepoint.data.images import FolderSource, digest_of
from ridgepoint.data.masks.classes import BINARY, IGNORED, MOST_CLASSES
from ridgepoint.data.masks.folders import on_empty
from ridgepoint.data.masks.truth import MaskTruth, size_judged_at
from ridgepoint.errors import DataError, printable

BACKGROUND = BINARY[0]
_IN_BOX = "what is in their boxes counts for nothing"


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """The objects of an image as they are drawn over each other.

    Attributes:
        size: Height and width of the image in pixels.
        frame: Its width and height in the units of the outlines.
        objects: Class and outline, the first drawn first.
        background: The class where nothing is drawn.
    """

    size: tuple[int, int]
    frame: tuple[float, float]
    objects: tuple[tuple[int, Outline], ...]
    background: int

    def classes(self) -> np.ndarray:
        """The class of every pixel, uint8 (H, W)."""
        classes_HW = np.full(self.size, self.background, np.uint8)
        for number, outline in self.objects:
            classes_HW[outline.filled(self.frame, self.size)] = number
        return classes_HW


@dataclass(frozen=True, eq=False)
class DrawnMaps:
    """See `ridgepoint.data.masks.truth.Maps`.

    Attributes:
        drawings: By image.
        digests: By image: of its map.
    """

    drawings: Mapping[str, Drawing]
    digests: Mapping[str, bytes]

    def classes(self, image_id: str) -> np.ndarray:
        """See `Maps`."""
        return self.drawings[image_id].classes()

    def digest(self, image_id: str) -> bytes:
        """See `Maps`."""
        return self.digests[image_id]


def scan_outlines(
    root: Path,
    *,
    named: bool = False,
    labels: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Found | None:
    """What is in a folder of images whose objects have outlines; None if it is no such folder.

    By itself it is one where nearly all objects have an outline, and most of these say more than a box does: whoever
    draws outlines wants to know of pixels. Every pixel is of the smallest object that it is in, else of the background,
    which is a class of its own; in crowds, and in the boxes of objects without an outline, pixels count for nothing.

    Args:
        root: An existing folder.
        named: Whether the user said that it is for masks: then any outline is enough.
        labels: The classes of a model, where the outlines are for that; their own when empty.
        progress: Called with (images checked, images in all).

    Raises:
        DataError: If the annotations break their format, or over 5 % of the outlines or images cannot be used.
    """
    found = find_annotations(root, outlined=True)
    if found is None:
        return None
    annotations, files = found
    objects = [each for picture in annotations.pictures for each in picture.objects if not each.crowd]
    outlined = [each.outline for each in objects if each.outline is not None]
    if not (outlined if named or labels else is_for_masks(objects)):
        return None
    remarks = annotations.remarks
    remarks.forget(AROUND)
    classes = matched(_classes(annotations, root), labels, root)
    pictures = present(annotations, root)
    tell_unused(annotations, files)
    checks = check_files(root, [each.path for each in pictures], progress)
    good = [each for each in pictures if not checks[each.path].reason]
    drawn = _drawn(good, {each.path: checks[each.path].size for each in good}, classes, remarks)
    pixels, digests = {}, {}
    for path, drawing in drawn.items():
        classes_HW = drawing.classes()
        counts = np.bincount(classes_HW.reshape(-1), minlength=IGNORED + 1)
        pixels[path], digests[path] = tuple(counts[: len(classes)].tolist()), digest_of(classes_HW.tobytes())
        if counts[IGNORED] == classes_HW.size:
            checks[path] = replace(checks[path], reason="all of it counts for nothing")
    report_bad(root, checks)
    pictures = [each for each in good if not checks[each.path].reason]
    height, width = (int(side) for side in np.median([checks[each.path].size for each in pictures], axis=0))
    source = FolderSource(root, {each.path: checks[each.path].digest for each in pictures})
    truth = MaskTruth(maps=DrawnMaps(drawn, digests), pixels=pixels, judged_at=size_judged_at(height, width))
    given = {part: split_of(pictures, part, source, truth) for part in PARTS}
    values = {each.path: value for each in pictures if (value := checks[each.path].values)}
    white, deep = judged(values)
    kept = {each.path: pixels[each.path] for each in pictures}
    notes = (_said(len(outlined), root), *remarks.notes(), *on_empty(kept, classes), *deep)
    return Found(
        name=root.resolve().name or str(root),
        kind=f"{annotations.kind} with outlines",
        classes=classes,
        given=parts_of(given, root, taught=not labels),
        median_size=(height, width),
        grey=all(checks[each.path].grey for each in pictures),
        white=white,
        skipped=tuple(f"{path}: {check.reason}" for path, check in checks.items() if check.reason),
        notes=tuple(map(printable, notes)),
    )


def is_for_masks(objects: Sequence[Marked]) -> bool:
    """Whether nearly all of the objects have outlines, and most of those say more than boxes do."""
    written = sum(each.outline is not None or bool(each.fault) for each in objects)
    telling = sum(each.outline is not None and each.outline.says_more for each in objects)
    return bool(objects) and written >= (1 - MAX_BAD) * len(objects) and telling > len(objects) / 2


def _said(count: int, root: Path) -> str:
    return (
        f"{count:,} objects have outlines, so the network is to tell the class of every pixel. For boxes around "
        f"objects give detection:{root}."
    )


def _classes(annotations: Annotations, root: Path) -> tuple[str, ...]:
    """The background first, unless a class is called so."""
    names = annotations.classes
    found = names if BACKGROUND in map(str.casefold, names) else (BACKGROUND, *names)
    if len(found) > MOST_CLASSES:
        raise DataError(f"'{root}': has {len(found):,} classes with the background. Allowed for masks: {MOST_CLASSES}")
    return found


def _drawn(
    pictures: Sequence[Picture], sizes: Mapping[str, tuple[int, int]], classes: Sequence[str], remarks: Remarks
) -> dict[str, Drawing]:
    """By image: what is drawn; too many outlines that cannot be used are refused."""
    numbers = {name: number for number, name in enumerate(classes)}
    background = next(number for name, number in numbers.items() if name.casefold() == BACKGROUND)
    drawn, bad, total = {}, 0, 0
    for picture in pictures:
        size = sizes[picture.path]
        frame = (1.0, 1.0) if picture.fractions else frame_of(picture, size, remarks)
        void, filled = list[tuple[int, Outline]](), list[tuple[int, int, Outline]]()
        for each in picture.objects:
            area, reason = _area(each, frame, size)
            if reason:
                remarks.add(f"{reason}: {_IN_BOX}", each.place)
                void += [(IGNORED, ring) for ring in _around(each.box, frame)]
            elif each.outline is not None:
                kind = IGNORED if each.crowd else numbers[each.label]
                filled.append((area, kind, each.outline))
            bad, total = bad + bool(reason), total + 1
        filled.sort(key=lambda one: (one[1] != IGNORED, -one[0]))
        drawn[picture.path] = Drawing(size, frame, (*void, *(one[1:] for one in filled)), background)
    if bad > MAX_BAD * total:
        told = "; ".join(remarks.notes())
        raise DataError(f"{bad:,} of {total:,} outlines cannot be used; up to {MAX_BAD:.0%} would be left out. {told}")
    if not total:
        raise DataError("no image has an object: there is nothing to learn. Look at the annotations")
    return drawn


def _area(each: Marked, frame: tuple[float, float], size: tuple[int, int]) -> tuple[int, str]:
    """How many pixels an object has, and why its outline cannot be used."""
    if each.outline is None:
        return 0, each.fault or "objects have no outline"
    try:
        area = int(each.outline.filled(frame, size).sum())
    except DataError as error:
        return 0, str(error)
    return area, "" if area else "outlines hold no pixel of their image"


def _around(box: Box, frame: tuple[float, float]) -> list[Rings]:
    """The part of a box that lies in its image, as an outline; nothing where there is none."""
    across, down = frame
    (left, right), (top, bottom) = np.clip(box[::2], 0, across), np.clip(box[1::2], 0, down)
    if not (right > left and bottom > top):  # no numbers either
        return []
    return [Rings((np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64),))]
