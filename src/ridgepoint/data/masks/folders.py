"""A folder of images with masks as a data set: every file is read and decoded once, what cannot be used is told."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ridgepoint.data.checks import Check, check_files, report_bad
from ridgepoint.data.deep import judged
from ridgepoint.data.found import Found
from ridgepoint.data.images import FolderSource, Split, digest_of
from ridgepoint.data.masks.classes import MaskClasses, by_labels, classes_of
from ridgepoint.data.masks.layout import MaskTree, read_mask_tree
from ridgepoint.data.masks.truth import MaskFiles, MaskTruth, size_judged_at
from ridgepoint.data.masks.values import colours_of, counts_of, mask_values
from ridgepoint.data.opening import ImageError, content_of, opened, reason_of
from ridgepoint.errors import DataError

KIND = "images with masks"


def scan_masks(
    root: Path, *, labels: Sequence[str] = (), progress: Callable[[int, int], None] | None = None
) -> Found | None:
    """What is in a folder of images with masks; None if it is no such folder.

    Args:
        root: An existing folder.
        labels: The classes of a model, where the masks are for that; the masks' own when empty.
        progress: Called with (images checked, images in all).

    Raises:
        DataError: If over 5 % of the images or masks cannot be used, or the values of the masks are no classes.
    """
    tree = read_mask_tree(root)
    if tree is None:
        return None
    masks = {image: mask for pairs in tree.parts.values() for image, mask in pairs.masks.items()}
    checks = check_files(tree.root, list(masks), progress)
    looked = _look_at_masks(tree.root, masks)
    for image, check in checks.items():
        if not check.reason and (reason := _bad_pair(check, masks[image], looked[image])):
            checks[image] = replace(check, reason=reason)
    for pairs in tree.parts.values():
        checks |= {path: Check(reason="it has no mask") for path in pairs.alone}
        checks |= {path: Check(reason="it is a mask without an image") for path in pairs.unused}
    _check_colours(tree.root, masks, looked)
    classes, checks = _classes(tree, checks, looked, labels)
    skipped = tuple(f"{path}: {check.reason}" for path, check in checks.items() if check.reason)
    report_bad(root, checks)
    good = {path: check for path, check in checks.items() if not check.reason}
    height, width = (int(side) for side in np.median([check.size for check in good.values()], axis=0))
    source = FolderSource(tree.root, {path: check.digest for path, check in good.items()})
    files = MaskFiles(
        root=tree.root,
        files={path: masks[path] for path in good},
        digests={path: looked[path].digest for path in good},
        table=classes.table(),
    )
    pixels = {path: _pixels(looked[path], classes) for path in good}
    truth = MaskTruth(maps=files, pixels=pixels, judged_at=size_judged_at(height, width))
    given = {
        part: Split(ids, np.zeros(len(ids), np.int64), source, truth)
        for part, pairs in tree.parts.items()
        if (ids := tuple(path for path in pairs.masks if path in good))
    }
    white, remarks = judged({path: check.values for path, check in good.items() if check.values})
    return Found(
        name=root.resolve().name or str(root),
        kind=KIND,
        classes=classes.names,
        given=given,
        median_size=(height, width),
        grey=all(check.grey for check in good.values()),
        white=white,
        skipped=skipped,
        notes=(*classes.notes, *on_empty(pixels, classes.names), *tree.left.notes(), *remarks),
    )


@dataclass(frozen=True)
class _Mask:
    """What decoding a mask once told: how many pixels have each value, or why it cannot be used."""

    size: tuple[int, int] = (0, 0)
    counts: dict[int, int] | None = None
    digest: bytes = b""
    colours: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    reason: str = ""


def _look_at_masks(root: Path, masks: dict[str, str]) -> dict[str, _Mask]:
    def look(path: str) -> _Mask:
        try:
            with content_of(root / path) as content, opened(root / path, content) as image:
                image.load()
                values = mask_values(image)
                counts = counts_of(values)
                return _Mask(values.shape, counts, digest_of(content), colours_of(image, counts))
        except ImageError as error:
            return _Mask(reason=reason_of(error))

    with warnings.catch_warnings(), ThreadPoolExecutor(2) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        return dict(zip(masks, pool.map(look, masks.values()), strict=True))


def _bad_pair(check: Check, mask: str, looked: _Mask) -> str:
    """Why an image and its mask cannot be used; empty if they can."""
    if looked.reason:
        return f"its mask {mask}: {looked.reason}"
    if looked.size != check.size:
        (height, width), (other_height, other_width) = check.size, looked.size
        turned = ", which is how it would lie without its EXIF orientation" if check.size == looked.size[::-1] else ""
        return f"is {height} x {width} px, and its mask {mask} {other_height} x {other_width}{turned}"
    return ""


def _check_colours(root: Path, masks: Mapping[str, str], looked: Mapping[str, _Mask]) -> None:
    """Refuse palettes that give one value two colours: programs that trim or sort palettes number classes anew.

    Raises:
        DataError: If there are such.
    """
    seen: dict[int, tuple[tuple[int, ...], str]] = {}
    for image, mask in masks.items():
        for value, colour in looked[image].colours.items():
            other, first = seen.setdefault(value, (colour, mask))
            if other != colour:
                raise DataError(
                    f"'{root}': the value {value} is the colour {other} in {first}, and {colour} in {mask}. Each of "
                    "these masks has a palette of its own, so that a place in it is no class. Save all with one "
                    "palette, or in grey, a value a class"
                )


def _classes(
    tree: MaskTree, checks: dict[str, Check], looked: dict[str, _Mask], labels: Sequence[str]
) -> tuple[MaskClasses, dict[str, Check]]:
    """Classes by the masks of the training part, or of all where it is not given; what others hold besides is bad."""
    used = {
        part: [path for path in pairs.masks if not checks[path].reason and looked[path].counts]
        for part, pairs in tree.parts.items()
    }
    first = next((part for part in ("all", "train") if used.get(part)), next(iter(used)))
    counts: Counter[int] = Counter()
    for path in [path for paths in used.values() for path in paths] if labels else used[first]:
        counts.update(looked[path].counts or {})
    if not counts:
        report_bad(tree.root, checks)
        raise DataError(f"'{tree.root}': no image with a mask can be used")
    beside = dict.fromkeys(
        [tree.root, *(folder for pair in tree.folders.values() for folder in (pair[1].parent, pair[1]))]
    )
    of = f"'{tree.root}'"
    classes = by_labels(classes_of(counts, list(beside), of=of, labels=labels), labels, of=of)
    known = {*classes.value_of, *classes.ignored}
    checks = dict(checks)
    for path in (path for paths in used.values() for path in paths):
        found = set(looked[path].counts or {})
        if unknown := sorted(found - known):
            checks[path] = replace(checks[path], reason=f"its mask holds the value {unknown[0]}, no class of train")
        elif found <= set(classes.ignored):
            checks[path] = replace(checks[path], reason="all of its mask counts for nothing")
    return classes, checks


def _pixels(mask: _Mask, classes: MaskClasses) -> tuple[int, ...]:
    counts = mask.counts or {}
    return tuple(counts.get(value, 0) for value in classes.value_of)


def on_empty(pixels: Mapping[str, Sequence[int]], names: Sequence[str]) -> list[str]:
    """A sentence on images in which nothing but the first class is marked.

    Args:
        pixels: By image: how many are of each class.
        names: Of the classes.
    """
    empty = [path for path, counts in pixels.items() if not any(counts[1:])]
    if not empty:
        return []
    return [f"{len(empty):,} masks hold {names[0]} alone, which is learnt from as well; first: {empty[0]}."]
