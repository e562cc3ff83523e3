"""Reading a folder tree as parts, classes and image files, and saying what is wrong with it."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from ridgepoint.data.image import SUFFIXES, reason_of
from ridgepoint.errors import DataError
from ridgepoint.units import is_text

PART_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Folder names, lower case, that stand for a part of the data."""

_logger = logging.getLogger(__name__)


def natural_key(name: str) -> tuple[object, ...]:
    """A sort key by which 2 comes before 10, and case matters last."""
    pieces = re.split(r"([0-9]+)", name.casefold())
    return (*(int(piece) if i % 2 else piece for i, piece in enumerate(pieces)), name)


def find_parts(root: Path) -> dict[str, Path]:
    """``{"all": root}`` for plain class folders, else the folders of train and, where given, val and test.

    Raises:
        DataError: If val or test stand without train, a part has two folders, or train has no class folders.
    """
    folders = list_folders(root)
    named = [(part, folder) for folder in folders if (part := PART_NAMES.get(folder.name.lower()))]
    parts = dict(named)
    only_parts = bool(named) and len(named) == len(folders)
    # A class may itself be called "train": it then holds images, not class folders.
    if "train" in parts and list_folders(parts["train"]) and (only_parts or len(parts) > 1):
        for part in parts:
            same = [folder.name for name, folder in named if name == part]
            if len(same) > 1:
                raise DataError(f"'{root}' has {_quoted(same)}, which all mean {part}. Keep one of them.")
        for folder in folders:
            if folder not in parts.values():
                _logger.warning("'%s' is none of train, val, test and is left out.", folder)
        return parts
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


def class_files(root: Path, folder: Path) -> dict[str, list[str]]:
    """Image files of each class folder in ``folder``, as sorted paths relative to ``root`` with forward slashes.

    Raises:
        DataError: If there is no image, or images lie only outside class folders.
    """
    loose = [path for path in _files(folder, deep=False) if _is_image(path)]
    by_class = {
        inner.name: sorted(path.relative_to(root).as_posix() for path in _files(inner) if _is_image(path))
        for inner in list_folders(folder)
    }
    if not any(by_class.values()):
        if loose:
            raise DataError(
                f"'{folder}' holds {len(loose)} image(s) but no class folders with images. Put the images of each "
                f"class into a folder of their own, for example '{folder / 'cat'}' and '{folder / 'dog'}'."
            )
        found = Counter(path.suffix.lower() or "(no suffix)" for path in _files(folder))
        what = f"only files of type {', '.join(sorted(found)[:8])}" if found else "it has no files"
        raise DataError(
            f"'{folder}' holds no images: {what}. Known image types: {', '.join(sorted(SUFFIXES))}. Expected one "
            f"folder of images for each class, for example '{folder / 'cat'}' and '{folder / 'dog'}'."
        )
    if loose:
        _logger.warning("%d image(s) directly in '%s' belong to no class and are left out.", len(loose), folder)
    return by_class


def check_classes(root: Path, parts: dict[str, Path], files: dict[str, dict[str, list[str]]]) -> tuple[str, ...]:
    """Class names in natural order.

    Raises:
        DataError: If there is one class alone, the parts' classes differ, or a name is no UTF-8 text.
    """
    names = [name for by_class in files.values() for label, paths in by_class.items() for name in (label, *paths)]
    odd = [name for name in names if not is_text(name)]
    if odd:
        raise DataError(
            f"'{root}' holds names that are no UTF-8 text, first: {odd[0]!r}. Rename these folders and files."
        )
    first = "all" if "all" in files else "train"
    classes = tuple(sorted(files[first], key=natural_key))
    if len(classes) < 2:
        only = parts[first] / classes[0]
        inner = list_folders(only)
        hint = f"did you mean '{only}', which has {len(inner)} folders? " if len(inner) > 1 else ""
        raise DataError(f"'{root}' has only one class, '{classes[0]}': {hint}At least two class folders are needed.")
    for part in ("val", "test"):
        if part not in files:
            continue
        present = {name for name, paths in files[part].items() if paths}
        lacking, extra = set(classes) - present, present - set(classes)
        if lacking or extra:
            train, other = parts["train"].name, parts[part].name
            told = [f"only in {train}/: {_quoted(lacking)}"] if lacking else []
            told += [f"only in {other}/: {_quoted(extra)}"] if extra else []
            raise DataError(
                f"'{root}': {train}/ and {other}/ have different classes; {'; '.join(told)}. Every class needs images "
                f"in both: rename, add or remove the class folders that differ."
            )
    return classes


def list_folders(path: Path) -> list[Path]:
    """Visible folders directly in ``path``, in natural order.

    Raises:
        DataError: If the folder may not be listed.
    """
    try:
        inside = [entry for entry in path.iterdir() if entry.is_dir() and not _hidden(entry.name)]
    except OSError as error:
        raise DataError(f"cannot list the folder '{path}': {reason_of(error)}.") from error
    return sorted(inside, key=lambda entry: natural_key(entry.name))


def _files(folder: Path, *, deep: bool = True) -> Iterator[Path]:
    """Visible files below a folder; links to folders are followed, each folder once."""
    seen = set()

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot list the folder '{error.filename}': {reason_of(error)}.") from error

    for here, inner, names in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(here)
        inner[:] = sorted(name for name in inner if not _hidden(name)) if deep and real not in seen else []
        if real not in seen:
            yield from (Path(here, name) for name in names if not _hidden(name))
        seen.add(real)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names, key=natural_key))
