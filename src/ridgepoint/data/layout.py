"""Reading a folder tree as parts, classes and image files, and saying what is wrong with it."""

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ridgepoint.data.left_out import LeftOut, helper_of
from ridgepoint.data.names import difference, look_alikes, natural_key, normalized
from ridgepoint.data.opening import SUFFIXES, reason_of, suffix_of
from ridgepoint.errors import DataError
from ridgepoint.units import is_text

PART_NAMES = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), "test"),
}
"""Words in folder names, lower case, that stand for a part of the data."""

_FILLERS = {"set", "data", "dataset", "split", "image", "images", "img", "imgs", "photos", "pictures", "seg"}
_MAX_WRAPPERS = 3  # folders that hold nothing but one folder, each inside the last


@dataclass(frozen=True)
class Tree:
    """A folder read as class folders.

    Attributes:
        root: What paths are relative to: the given folder, or the one that it wraps.
        classes: Class names in natural order, in Unicode's composed form.
        parts: By part (``all``; or ``train``, ``val``, ``test``) and class: image files as sorted paths relative to
            `root`, with forward slashes.
        folders: By part: its folder.
        left: What was left out.
    """

    root: Path
    classes: tuple[str, ...]
    parts: dict[str, dict[str, list[str]]]
    folders: dict[str, Path]
    left: LeftOut


def part_of(name: str) -> str | None:
    """The part of the data that a folder name stands for: ``Training``, ``seg_train``, ``test-images``, ``val2017``."""
    words = [word for word in re.findall(r"[a-z]+", name.casefold()) if word not in _FILLERS]
    word = words[0].removesuffix("set") if len(words) == 1 else ""
    return PART_NAMES.get(word)


def read_tree(root: Path, *, whole: bool = False) -> Tree:
    """The class folders below a folder, with or without folders for train, val and test around them.

    Args:
        root: An existing folder.
        whole: Whether it is read to evaluate all of it: then train may be missing, parts may lack classes, and one
            class is enough.

    Raises:
        DataError: If it holds no images in class folders, has one class, or parts or classes that contradict.
    """
    left = LeftOut()
    root = _inside_wrappers(root, left)
    folders = _find_parts(root, left, whole=whole)
    parts = {part: _class_files(root, folder, left) for part, folder in folders.items()}
    names = [name for by_class in parts.values() for label, paths in by_class.items() for name in (label, *paths)]
    odd = [name for name in names if not is_text(name)]
    if odd:
        raise DataError(
            f"'{root}' holds names that are no UTF-8 text, first: {odd[0]!r}. Rename these folders and files."
        )
    if not whole:
        _check_classes(root, folders, parts)
    if whole:
        found = {name for by_class in parts.values() for name, paths in by_class.items() if paths}
    else:
        found = set(parts["all" if "all" in parts else "train"])
    classes = tuple(sorted(found, key=natural_key))
    for group in look_alikes(classes):
        left.say(f"the classes {_quoted(group)} differ only in case, spaces or invisible characters: are they one?")
    return Tree(root, classes, parts, folders, left)


def images_below(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Images anywhere below a folder, in natural order, and sentences on what was left out.

    Raises:
        DataError: If there is none, or a folder may not be listed.
    """
    left = LeftOut()
    files = sorted(image_files(folder, folder, left), key=natural_key)
    if not files:
        told = "".join(f" {note[0].upper()}{note[1:]}" for note in left.notes())
        raise DataError(f"'{folder}' holds no image files. Known image types: {', '.join(sorted(SUFFIXES))}.{told}")
    return [folder / file for file in files], left.notes()


def list_folders(path: Path) -> list[Path]:
    """Visible folders directly in ``path`` that are no other program's, in natural order.

    Raises:
        DataError: If the folder may not be listed.
    """
    try:
        inside = [entry for entry in path.iterdir() if entry.is_dir() and helper_of(entry.name) is None]
    except OSError as error:
        raise DataError(f"cannot list the folder '{path}': {reason_of(error)}.") from error
    return sorted(inside, key=lambda entry: natural_key(entry.name))


def _inside_wrappers(root: Path, left: LeftOut) -> Path:
    """The folder that class folders or parts lie in: what holds nothing but one folder of folders is stepped into."""
    here = root
    for _ in range(_MAX_WRAPPERS):
        folders = list_folders(here)
        if len(folders) != 1 or _images_in(here):
            break
        (inner,) = folders
        if (
            part_of(inner.name) not in (None, part_of(here.name))
            or not list_folders(inner)
            or _images_in(inner)
            or inner.is_symlink()
        ):
            break
        here = inner
    if here != root:
        left.say(f"the class folders were found in '{here}'.")
    return here


def _find_parts(root: Path, left: LeftOut, *, whole: bool) -> dict[str, Path]:
    """``{"all": root}`` for plain class folders, else the folders of train and, where given, val and test."""
    folders = list_folders(root)
    named = [(part, folder) for folder in folders if (part := part_of(folder.name))]
    parts = dict(named)
    only_parts = bool(named) and len(named) == len(folders)
    # A class may itself be called "train": it then holds images, not class folders.
    first = "train" if "train" in parts or not whole else next(iter(parts), "train")
    if first in parts and list_folders(parts[first]) and (only_parts or len(parts) > 1):
        for part in parts:
            same = [folder.name for name, folder in named if name == part]
            if len(same) > 1:
                raise DataError(f"'{root}' has {_quoted(same)}, which all mean {part}. Keep one of them.")
        others = [folder.name for folder in folders if folder not in parts.values()]
        if others:
            left.say(f"left out: folders {_quoted(others[:6])}, which are none of train, val, test.")
        found = {part: _inside_wrappers(folder, left) for part, folder in parts.items()}
        _refuse_same_folder(root, list(found.values()))
        return found
    if only_parts and "train" not in parts:
        raise DataError(
            f"'{root}' has {_quoted(folder.name for folder in folders)} but no train folder. Add "
            f"'{root / 'train'}' with one folder for each class."
        )
    if only_parts:
        raise DataError(
            f"'{parts['train']}' has no class folders. Put the images of each class into a folder of their own, for "
            f"example '{parts['train'] / 'cat'}'."
        )
    return {"all": root}


def _class_files(root: Path, folder: Path, left: LeftOut) -> dict[str, list[str]]:
    """Image files of each class folder in ``folder``, by the class name's composed form.

    Raises:
        DataError: If there is no image, images lie only outside class folders, or class folders contradict.
    """
    loose = _images_in(folder)
    inside = list_folders(folder)
    above = [inner for inner in inside if inner.is_symlink() and folder.resolve().is_relative_to(inner.resolve())]
    inside = [inner for inner in inside if inner not in above]
    if above:
        left.say(f"left out: {_quoted(inner.name for inner in above)}, links to a folder that they lie in.")
    _refuse_same_folder(folder, inside)
    _refuse_same_content(folder, inside)
    by_class: dict[str, list[str]] = {}
    written: dict[str, str] = {}
    for inner in inside:
        name = normalized(inner.name)
        if name in by_class:
            raise DataError(
                f"'{folder}' has two folders that both read '{name}': {difference(written[name], inner.name)}. "
                f"Put their images into one folder, or rename one."
            )
        written[name] = inner.name
        by_class[name] = sorted(image_files(root, inner, left), key=lambda path: (normalized(path), path))
    if not any(by_class.values()):
        if loose:
            raise DataError(
                f"'{folder}' holds {len(loose)} image(s) but no class folders with images. Put the images of each "
                f"class into a folder of their own, for example '{folder / 'cat'}' and '{folder / 'dog'}'."
            )
        for name in next(_walk(folder))[1]:
            left.file(name)
        what = f"only files of type {left.endings()}" if left.files else "it has no files"
        raise DataError(
            f"'{folder}' holds no images: {what}. Known image types: {', '.join(sorted(SUFFIXES))}. Expected one "
            f"folder of images for each class, for example '{folder / 'cat'}' and '{folder / 'dog'}'."
            + "".join(f" {note[0].upper()}{note[1:]}" for note in left.notes())
        )
    if loose:
        left.say(f"left out: {len(loose):,} image(s) directly in '{folder}', which belong to no class.")
    return by_class


def _refuse_same_folder(root: Path, folders: list[Path]) -> None:
    """Two folders that are one through a link."""
    known: dict[Path, Path] = {}
    for folder in folders:
        real = folder.resolve()
        if real in known:
            names = _quoted(str(each.relative_to(root)) for each in (known[real], folder))
            raise DataError(f"'{root}': {names} are one and the same folder through a link. Remove one of them.")
        known[real] = folder


def _refuse_same_content(root: Path, folders: list[Path]) -> None:
    """Folders that all hold the same folders and no images are folds or parts by other names, not classes."""
    if len(folders) < 2 or any(_images_in(folder) for folder in folders):  # as a rule the first one settles it
        return
    common = set.intersection(*({inner.name for inner in list_folders(folder)} for folder in folders))
    if len(common) < 2:
        return
    outer, inner = _quoted(folder.name for folder in folders), _quoted(common)
    if all(part_of(name) for name in common):
        raise DataError(
            f"'{root}': each of {outer} holds {inner}. Put the parts outside and the classes inside: for example "
            f"'{root / 'train' / folders[0].name}'."
        )
    raise DataError(
        f"'{root}': each of {outer} holds folders of the same names, {inner}, so it is not clear which are the "
        f"classes. If the inner ones are, name the outer ones train, val and test, or give one of them: "
        f"'{folders[0]}'. If the outer ones are, move their images up into them."
    )


def _check_classes(root: Path, folders: dict[str, Path], parts: dict[str, dict[str, list[str]]]) -> None:
    """Refuse one class alone, and parts whose classes differ."""
    first = "all" if "all" in parts else "train"
    classes = set(parts[first])
    if len(classes) < 2:
        raise DataError(
            f"'{folders[first]}' has only one class, '{next(iter(classes))}': At least two class folders are needed."
        )
    for part in ("val", "test"):
        if part not in parts:
            continue
        present = {name for name, paths in parts[part].items() if paths}
        lacking, extra = classes - present, present - classes
        if lacking or extra:
            train, other = (folder.relative_to(root).as_posix() for folder in (folders["train"], folders[part]))
            told = [f"only in {train}/: {_quoted(lacking)}"] if lacking else []
            told += [f"only in {other}/: {_quoted(extra)}"] if extra else []
            told += [f"{_quoted(group)} differ only in case or spaces" for group in look_alikes(lacking | extra)]
            raise DataError(
                f"'{root}': {train}/ and {other}/ have different classes; {'; '.join(told)}. Every class needs images "
                f"in both: rename, add or remove the class folders that differ."
            )


def image_files(root: Path, folder: Path, left: LeftOut) -> Iterator[str]:
    """Paths of images below a folder, relative to `root`, with forward slashes; other files are counted."""
    for here, names in _walk(folder, left):
        prefix = Path(here).relative_to(root).as_posix()
        for name in names:
            if _is_image(name):
                yield f"{prefix}/{name}"
            else:
                left.file(name)


def _images_in(folder: Path) -> list[str]:
    """Names of images directly in a folder."""
    return [name for _, names in itertools.islice(_walk(folder), 1) for name in names if _is_image(name)]


def _walk(folder: Path, left: LeftOut | None = None) -> Iterator[tuple[str, list[str]]]:
    """Every folder from this one down and the visible files in it; links to folders are followed, each folder once."""
    seen = set()

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot list the folder '{error.filename}': {reason_of(error)}.") from error

    for here, inner, names in os.walk(folder, followlinks=True, onerror=refuse):
        helpers = [name for name in inner if helper_of(name)]
        if left:
            for name in helpers:
                left.helper(name)
        real = os.path.realpath(here)
        inner[:] = sorted(set(inner) - set(helpers)) if real not in seen else []
        if real not in seen:
            yield here, [name for name in names if helper_of(name) is None]
        seen.add(real)


def _is_image(name: str) -> bool:
    return suffix_of(name).lower() in SUFFIXES


def _quoted(names: Iterable[str]) -> str:
    ordered = sorted(names, key=natural_key)
    more = f" and {len(ordered) - 8} more" if len(ordered) > 8 else ""
    return ", ".join(f"'{name}'" for name in ordered[:8]) + more
