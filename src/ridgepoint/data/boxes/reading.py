"""A folder of images with boxes as a data set: format found and said, boxes held against their images."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ridgepoint.data.boxes.annotations import AROUND, Annotations, Picture
from ridgepoint.data.boxes.coco import MISSING
from ridgepoint.data.boxes.files import Files
from ridgepoint.data.boxes.finding import find_annotations
from ridgepoint.data.boxes.mending import mended
from ridgepoint.data.boxes.truth import BoxTruth
from ridgepoint.data.checks import MAX_BAD, check_files, report_bad
from ridgepoint.data.deep import judged
from ridgepoint.data.found import Found
from ridgepoint.data.images import FolderSource, Split
from ridgepoint.data.names import normalized
from ridgepoint.data.truth import Truth
from ridgepoint.errors import DataError, nearest, printable

PARTS = ("all", "train", "val", "test")


def read_boxes(
    root: Path, *, labels: Sequence[str] = (), progress: Callable[[int, int], None] | None = None
) -> Found | None:
    """What is in a folder of images with boxes; None where its annotations are of no format that is read.

    Args:
        root: An existing folder.
        labels: A model's classes, which those of the folder are matched to by name; the folder's own when empty.
        progress: Called with (files checked, files in all).

    Raises:
        DataError: If the annotations break their format, or too much of them cannot be used.
    """
    found = find_annotations(root)
    if found is None:
        return None
    annotations, files = found
    classes = matched(annotations.classes, labels, root)
    pictures = present(annotations, root)
    tell_unused(annotations, files)
    _tell_outlines(annotations, root)
    checks = check_files(root, [each.path for each in pictures], progress)
    skipped = tuple(f"{path}: {check.reason}" for path, check in checks.items() if check.reason)
    report_bad(root, checks)
    pictures = [each for each in pictures if not checks[each.path].reason]
    good = {each.path: checks[each.path] for each in pictures}
    sizes = {path: check.size for path, check in good.items()}
    rows = mended(pictures, sizes, classes, annotations.remarks)
    truth = BoxTruth({each.path: row for each, row in zip(pictures, rows, strict=True)}, sizes, rows.shape[1])
    empty = [each.path for each in pictures if not each.objects]
    for path in empty:
        annotations.remarks.add("images hold no object; they are kept, and teach what nothing looks like", path)
    source = FolderSource(root, {path: check.digest for path, check in good.items()})
    given = {part: split_of(pictures, part, source, truth) for part in PARTS}
    height, width = np.median(list(sizes.values()), axis=0)
    white, remarks = judged({path: check.values for path, check in good.items() if check.values})
    return Found(
        name=root.resolve().name or str(root),
        kind=annotations.kind,
        classes=classes,
        given=parts_of(given, root, taught=not labels),
        median_size=(int(height), int(width)),
        grey=all(check.grey for check in good.values()),
        white=white,
        skipped=skipped,
        notes=tuple(printable(note) for note in (*annotations.remarks.notes(), *remarks)),
    )


def _tell_outlines(annotations: Annotations, root: Path) -> None:
    """Of those that boxes stand beside; those that boxes were made of are told already."""
    if AROUND in annotations.remarks.counts:
        return
    aside = f"objects have outlines too, which are left aside: to tell classes of pixels give segmentation:{root}"
    for picture in annotations.pictures:
        for each in picture.objects:
            if each.fault:
                annotations.remarks.add(f"{each.fault}: they are left aside, boxes are not", each.place)
            if each.outline is not None and each.outline.says_more:
                annotations.remarks.add(aside, each.place)


def split_of(pictures: Sequence[Picture], part: str, source: FolderSource, truth: Truth) -> Split:
    """The images of one part."""
    ids = tuple(each.path for each in pictures if each.part == part)
    return Split(ids, np.zeros(len(ids), np.int64), source, truth)


def parts_of(given: dict[str, Split], root: Path, *, taught: bool) -> dict[str, Split]:
    """Parts that can be drawn from: all, or train with or without others.

    Args:
        given: Images by part; parts may be empty.
        root: What a message names.
        taught: Whether something is to be learnt from them.

    Raises:
        DataError: If these are none.
    """
    given = {part: split for part, split in given.items() if len(split)}
    if "all" in given and len(given) > 1:
        stray, named = given["all"].ids[0], ", ".join(sorted(set(given) - {"all"}))
        raise DataError(
            f"'{root}': some images are in {named}, and others, such as '{stray}', in no part. Put them into one, or "
            "take them out"
        )
    if taught and "all" not in given and "train" not in given:
        raise DataError(f"'{root}' has {' and '.join(sorted(given))} but no train part. Add one")
    return given


def matched(own: tuple[str, ...], labels: Sequence[str], root: Path) -> tuple[str, ...]:
    """The classes in the order of a model's labels; their own where it has none.

    Raises:
        DataError: If there is one that the model does not know.
    """
    if not labels:
        return own
    known = {normalized(label) for label in labels}
    unknown = [name for name in own if normalized(name) not in known]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise DataError(
            f"{root}: has the class '{unknown[0]}'{more}, which the model does not know; "
            f"{nearest(unknown[0], labels)}. Rename it, or take it out"
        )
    return tuple(labels)


def present(annotations: Annotations, root: Path) -> list[Picture]:
    """All images that are there.

    Raises:
        DataError: If there are none, or over 5 % are not there.
    """
    missing = annotations.remarks.counts.get(MISSING, 0)
    total = missing + len(annotations.pictures)
    if missing > MAX_BAD * total:
        first = annotations.remarks.places[MISSING][0]
        raise DataError(
            f"{missing:,} of {total:,} images that the annotations list are not below '{root}', first: {first}. Put "
            f"them there; up to {MAX_BAD:.0%} would be left out"
        )
    if not annotations.pictures:
        raise DataError(f"'{root}': its annotations ({annotations.kind}) list no images. Add some")
    order = {part: place for place, part in enumerate(PARTS)}
    return sorted(annotations.pictures, key=lambda each: order[each.part])


def tell_unused(annotations: Annotations, files: Files) -> None:
    """Remark on images that no annotation is of."""
    known = {each.path for each in annotations.pictures}
    for path in files.images:
        if path not in known:
            annotations.remarks.add("images are in no annotation, and are left out", path)
