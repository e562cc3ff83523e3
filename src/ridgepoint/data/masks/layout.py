"""Folders of images and of masks beside them: which is which, which parts there are, and whose mask is whose."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ridgepoint.data.layout import image_files, list_folders, part_of
from ridgepoint.data.left_out import LeftOut
from ridgepoint.data.names import normalized
from ridgepoint.errors import DataError

IMAGES = {"images", "image", "imgs", "img", "jpegimages", "leftimg", "photos", "pictures", "inputs", "rgb"}
MASKS = {
    *("masks", "mask", "labels", "label", "annotations", "annotation", "segmentationclass", "segmentations"),
    *("segmentation", "gtfine", "gt", "groundtruth", "targets", "target"),
}
"""Words in names of folders, lower case."""

_NOT_READ = {"instances", "instance", "segmentationobject", "objects"}  # masks of objects, one value each
_MAX_WRAPPERS = 3
_ENDINGS = re.compile(
    r"([_.-](leftimg8bit|image|images|img|rgb|sat|masks?|labels?|seg|segmentation|gt|annotation|"
    r"gtfine_labeltrainids|gtfine_labelids|l))$",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(r"_gtfine_(color|instanceids|instancetrainids)$", re.IGNORECASE)  # Cityscapes has four a photo
_BETTER = re.compile(r"_gtfine_labeltrainids$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The images of one part and their masks, as paths relative to the root, with forward slashes.

    Attributes:
        masks: The mask of each image that has one.
        alone: Images without a mask.
        unused: Masks without an image.
    """

    masks: Mapping[str, str]
    alone: tuple[str, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class MaskTree:
    """A folder read as images with masks.

    Attributes:
        root: What paths are relative to.
        parts: By part: ``all``; or ``train``, ``val``, ``test``.
        folders: By part: the folders of images and of masks.
        left: What was left out.
    """

    root: Path
    parts: dict[str, Pairs]
    folders: dict[str, tuple[Path, Path]]
    left: LeftOut = field(default_factory=LeftOut)


def read_mask_tree(root: Path) -> MaskTree | None:
    """The images and masks below a folder; None if there are no such two folders with names in common.

    Known are ``images/`` and ``masks/`` side by side (or by other usual names), the same inside folders of parts, parts
    inside each of the two, and names such as ``train_images`` and ``train_masks``. A mask has its image's name, but for
    the ending and words such as ``_mask``.

    Raises:
        DataError: If an image has two masks, masks are JPEG files, or no mask has the name of an image.
    """
    left = LeftOut()
    root = _unwrapped(root)
    folders = _folders_of(root, left)
    parts = {}
    for part, (images, masks) in folders.items():
        found = _pairs(root, images, masks, left)
        if found is not None:
            parts[part] = found
        elif part == "all":
            _refuse_strangers(root, images, masks)
        else:
            left.say(f"left out: the part {part}, which has no masks with the names of its images.")
    if not any(pairs.masks for pairs in parts.values()):
        return None
    return MaskTree(root, parts, {part: folders[part] for part in parts}, left)


def role_of(name: str) -> str | None:
    """Whether a folder of that name holds ``images`` or ``masks``."""
    words = set(re.findall(r"[a-z]+", name.casefold()))
    if words & _NOT_READ:
        return None
    if words & MASKS:
        return "masks"
    return "images" if words & IMAGES else None


def _unwrapped(root: Path) -> Path:
    for _ in range(_MAX_WRAPPERS):
        inside = list_folders(root)
        if len(inside) != 1 or inside[0].is_symlink():
            break
        root = inside[0]
    return root


def _folders_of(root: Path, left: LeftOut) -> dict[str, tuple[Path, Path]]:
    """By part: where images and masks are."""
    inside = list_folders(root)
    by_role: dict[tuple[str, str | None], Path] = {}
    for folder in inside:
        if role := role_of(folder.name):
            rest = " ".join(word for word in re.findall(r"[a-z]+", folder.name.casefold()) if not role_of(word))
            by_role.setdefault((role, part_of(rest)), folder)
    direct = _both(by_role)
    if set(direct) == {None}:
        images, masks = direct[None]
        shared = {part: pair for part, pair in _both(_by_part(images, masks)).items() if part is not None}
        _say_others(inside, direct[None], left)
        return shared or {"all": (images, masks)}
    found = {part: pair for part, pair in direct.items() if part is not None}
    if not found:
        for folder in inside:
            if (part := part_of(folder.name)) and part not in found:
                here: dict[tuple[str, str | None], Path] = {
                    (role, None): each for each in list_folders(folder) if (role := role_of(each.name))
                }
                if pair := _both(here).get(None):
                    found[part] = pair
                    _say_others(list_folders(folder), pair, left)
    return found if "train" in found or len(found) == 1 else {}


def _both(by_role: Mapping[tuple[str, str | None], Path]) -> dict[str | None, tuple[Path, Path]]:
    parts = dict.fromkeys(part for _, part in by_role)
    return {
        part: (by_role["images", part], by_role["masks", part])
        for part in parts
        if ("images", part) in by_role and ("masks", part) in by_role
    }


def _by_part(images: Path, masks: Path) -> dict[tuple[str, str | None], Path]:
    return {
        (role, part): folder
        for role, above in (("images", images), ("masks", masks))
        for folder in list_folders(above)
        if (part := part_of(folder.name))
    }


def _say_others(inside: Iterable[Path], pair: tuple[Path, Path], left: LeftOut) -> None:
    others = [f"'{folder.name}'" for folder in inside if folder not in pair]
    if others:
        left.say(f"left out: folders {', '.join(others[:6])}, which are neither the images nor their masks.")


def _pairs(root: Path, images: Path, masks: Path, left: LeftOut) -> Pairs | None:
    """Images and masks by what their names have in common; None if nothing."""
    of_images = sorted(image_files(root, images, left))
    of_masks = [path for path in sorted(image_files(root, masks, left)) if not _OF_OTHERS.search(_stem(path))]
    if not of_images or not of_masks:
        return None
    places = {path: images.relative_to(root).as_posix() for path in of_images}
    places |= {path: masks.relative_to(root).as_posix() for path in of_masks}
    exact = {_below(path, places[path]): path for path in of_masks}
    found = {path: exact[key] for path in of_images if (key := _below(path, places[path])) in exact}
    used = set(found.values())
    by_key: dict[str, str] = {}
    for path in of_masks:
        key = _key(_below(path, places[path]))
        other = by_key.get(key)
        if path in used or (other is not None and _is_better(other)):
            continue
        if other is not None and not _is_better(path):
            raise DataError(f"'{root}': {other} and {path} are both masks of one image. Keep one of them")
        by_key[key] = path
    for path in of_images:
        near = by_key.get(_key(_below(path, places[path])))
        if near is not None and path in found:
            raise DataError(f"'{root}': {found[path]} and {near} are both masks of one image. Keep one of them")
        if near is not None:
            found[path] = near
    if not found:
        return None
    lossy = next((path for path in found.values() if path.casefold().endswith((".jpg", ".jpeg"))), None)
    if lossy is not None:
        raise DataError(
            f"'{root}': the mask {lossy} is a JPEG file, which does not keep values as they were. Save masks as PNG"
        )
    used = set(found.values())
    return Pairs(
        masks={path: found[path] for path in of_images if path in found},
        alone=tuple(path for path in of_images if path not in found),
        unused=tuple(path for path in by_key.values() if path not in used),
    )


def _refuse_strangers(root: Path, images: Path, masks: Path) -> None:
    """Refuse a folder of images and one of masks, and none beside them, that have no names in common.

    Else they would be taken for two classes, which a network tells without looking at what is in the images.

    Raises:
        DataError: If they are such.
    """
    if len(list_folders(root)) > 2:
        return
    found = [sorted(image_files(root, folder, LeftOut())) for folder in (images, masks)]
    if all(found):
        raise DataError(
            f"'{root}': '{images.name}' and '{masks.name}' seem to be images and their masks, but none has the name of "
            f"another, such as {found[0][0]} and {found[1][0]}. Name masks as their images; if the folders are two "
            "classes, call them otherwise"
        )


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _is_better(path: str) -> bool:
    return bool(_BETTER.search(_stem(path)))


def _below(path: str, folder: str) -> str:
    """The path below the folder of images or of masks, without the file's ending."""
    below = normalized(path).removeprefix(f"{normalized(folder)}/")
    above, slash, _ = below.rpartition("/")
    return f"{above}{slash}{_stem(below)}"


def _key(below: str) -> str:
    """What an image and its mask have in common: without words such as `_mask` at the end."""
    while (shorter := _ENDINGS.sub("", below)) != below and _stem(shorter):
        below = shorter
    return below
