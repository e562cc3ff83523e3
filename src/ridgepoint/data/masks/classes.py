"""Which class each value of the masks is, and what classes are called: found in the masks and beside them, and said."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ridgepoint.data.masks.values import LARGEST
from ridgepoint.data.names import normalized
from ridgepoint.errors import DataError, InputError, nearest, shown
from ridgepoint.files import read_file

IGNORED, UNKNOWN = 255, 254
"""In what is made of a mask: a pixel that counts for nothing; a value that was not there when the folder was read."""

MOST_CLASSES = 254
BINARY = ("background", "foreground")

_NAME_FILES = ("classes.txt", "labels.txt", "class_names.txt", "names.txt", "label_names.txt", "codes.txt")
_TABLES = ("class_dict.csv", "classes.csv", "labels.csv")
_READMES = ("README.md", "README.txt", "README", "readme.md", "readme.txt")
_MANY, _RARE = 10, 0.005  # values without names that look like none of classes
_LARGEST_BYTES, _LONGEST_NAME = 1 << 20, 100


@dataclass(frozen=True)
class MaskClasses:
    """The classes of some masks.

    Attributes:
        names: A name a class.
        value_of: The value of each class in the masks, in the order of the names.
        ignored: Values that count for nothing.
        notes: A sentence on each of what was found out.
        named: Whether something beside the masks names the classes.
    """

    names: tuple[str, ...]
    value_of: tuple[int, ...]
    ignored: tuple[int, ...]
    notes: tuple[str, ...]
    named: bool = False

    def table(self) -> np.ndarray:
        """From values to classes, uint8 (65,536,)."""
        table = np.full(LARGEST + 1, UNKNOWN, np.uint8)
        table[list(self.ignored)] = IGNORED
        table[list(self.value_of)] = np.arange(len(self.value_of))
        return table


def classes_of(
    counts: Mapping[int, int], folders: Sequence[Path], *, of: str, labels: Sequence[str] = ()
) -> MaskClasses:
    """The classes that the values of all masks stand for.

    Two values alone are background and foreground, whatever they are. With more, 255 is what counts for nothing. Names
    come from a file beside the masks, or from the line of a README that names every value.

    Args:
        counts: How many pixels have each value, all masks together.
        folders: Where files with names may lie.
        of: What a message names.
        labels: The classes of a model that the masks are for: then they need not hold all of them.

    Raises:
        DataError: If the values can be no classes, or names and values do not go together.
    """
    values = sorted(counts)
    if len(values) < 2 and not labels:
        raise DataError(
            f"{of}: every pixel of every mask is {values[0] if values else 'missing'}, so there is nothing to tell "
            "apart. Allowed: masks with two values or more"
        )
    if len(values) > MOST_CLASSES + 1:
        raise DataError(
            f"{of}: the masks hold {len(values):,} different values, up to {values[-1]:,}: numbers of objects, not of "
            "classes, or shades that resizing has left between classes? Allowed: masks in which a value stands for a "
            f"class, at most {MOST_CLASSES} of them"
        )
    ignored = (IGNORED,) if IGNORED in values and (len(values) > 2 or len(labels) > 2) else ()
    kept = [value for value in values if value not in ignored]
    notes = []
    if ignored:
        share = counts[IGNORED] / sum(counts.values())
        notes.append(f"value 255 of the masks counts for nothing ({share:.1%} of the pixels).")
    names, where = _named(folders, kept)
    if names is not None and kept:
        if kept[-1] >= len(names) and len(names) == len(kept):
            notes.append(f"values {_listed(kept)} are the {len(names)} classes of {where}, in this order.")
            return MaskClasses(names, tuple(kept), ignored, tuple(notes), named=True)
        if kept[-1] >= len(names):
            raise DataError(
                f"{of}: the masks hold the value {kept[-1]}, and {where} names {len(names)} classes, 0 to "
                f"{len(names) - 1}. Name every class, one a line, or mend the masks"
            )
        absent = [names[value] for value in range(len(names)) if value not in kept]
        if absent:
            notes.append(f"no pixel is of the classes {', '.join(absent[:6])}{', ...' if len(absent) > 6 else ''}.")
        notes.append(f"class names are from {where}.")
        return MaskClasses(names, tuple(range(len(names))), ignored, tuple(notes), named=True)
    if len(kept) == 2 and len(labels) in (0, 2):
        if kept != [0, 1]:
            notes.append(f"the masks hold {kept[0]} and {kept[1]}: taken as background and foreground.")
        return MaskClasses(BINARY, tuple(kept), ignored, tuple(notes))
    rare = [value for value in kept if counts[value] < _RARE * sum(counts.values())]
    if not labels and len(kept) >= _MANY and len(rare) > len(kept) / 2:
        notes.append(
            f"{len(rare)} of the {len(kept)} values, such as {rare[0]}, have less than {_RARE:.1%} of the pixels each: "
            "are they shades that resizing has left between classes, or numbers of objects?"
        )
    if not labels:
        notes.append(
            f"no file names the classes, so they are called by their values; {_NAME_FILES[0]}, a name a line, would."
        )
    return MaskClasses(tuple(f"class {value}" for value in kept), tuple(kept), ignored, tuple(notes))


def by_labels(own: MaskClasses, labels: Sequence[str], *, of: str) -> MaskClasses:
    """The same with the classes of a model, matched by name; where nothing names the own ones, by their places.

    Raises:
        DataError: If there is a class that the model does not know.
    """
    labels = tuple(labels) or own.names
    if labels == own.names:
        return own
    value_of = dict(zip(map(normalized, own.names), own.value_of, strict=True))
    if value_of.keys() <= {normalized(label) for label in labels}:
        spare = iter(set(range(LARGEST + 1)) - {*own.value_of, *own.ignored})  # for classes that are not here
        values = tuple(value_of.get(normalized(label), -1) for label in labels)
        return replace(own, names=labels, value_of=tuple(next(spare) if value < 0 else value for value in values))
    if not own.named and len(own.names) == len(labels):
        return replace(own, names=labels)
    if not own.named and max(own.value_of, default=0) < len(labels):
        return replace(own, names=labels, value_of=tuple(range(len(labels))))
    known = {normalized(label) for label in labels}
    unknown = next(name for name in own.names if normalized(name) not in known)
    raise DataError(
        f"{of}: has the class {shown(unknown)}, which the model does not know; {nearest(unknown, labels)}. Rename it, "
        "or evaluate a model that knows it"
    )


def _named(folders: Sequence[Path], values: Sequence[int]) -> tuple[tuple[str, ...] | None, str]:
    """Names by value, and the file that they are from."""
    for folder in folders:
        for name in (*_NAME_FILES, *_TABLES):
            if (folder / name).is_file():
                found = _from_file(folder / name)
                return found, name
    for folder in folders:
        for name in _READMES:
            if (folder / name).is_file() and (told := _from_readme(_text(folder / name), values)):
                return told, name
    return None, ""


def _from_file(path: Path) -> tuple[str, ...]:
    """One name a line; of a table the column `name`, else the first.

    Raises:
        DataError: If a name is missing, twice there, or too long.
    """
    lines = [line.strip() for line in _text(path).splitlines()]
    if path.suffix == ".csv":
        rows = list(csv.DictReader(lines))
        column = next((key for key in (rows[0] if rows else {}) if (key or "").strip().casefold() in _NAME_KEYS), None)
        lines = [(row.get(column) or "").strip() for row in rows] if column else []
    names = tuple(re.sub(r"^\d+\s*[:,=\t]\s*", "", line) for line in lines if line and not line.startswith("#"))
    doubled = next((name for place, name in enumerate(names) if name in names[:place]), None)
    odd = next((name for name in names if len(name) > _LONGEST_NAME or not name), None)
    if not names or doubled is not None or odd is not None or len(names) > MOST_CLASSES:
        why = f"{shown(doubled)} is there twice" if doubled else f"{shown(odd)} is no name" if odd else "no names"
        raise DataError(f"{path}: {why}. Allowed: 1 to {MOST_CLASSES} names, one a line, the first of value 0")
    return names


_NAME_KEYS = ("name", "class", "label", "class_name")


def _from_readme(text: str, values: Sequence[int]) -> tuple[str, ...] | None:
    """The names in a line on masks that names all values, such as `masks/*.png (0 background, 1 nucleus)`."""
    if not values or values[0] != 0 or values[-1] != len(values) - 1:
        return None
    for line in text.splitlines():
        if "mask" not in line.casefold():
            continue
        pairs = re.findall(r"(?<![\w.])(\d{1,3})\s*[:=–-]?\s+([^\W\d][\w -]{0,40}?)(?=\s*[,;)|.]|\s*$)", line)
        named = {int(value): name.strip() for value, name in reversed(pairs)}
        if set(values) <= named.keys() and len({named[value] for value in values}) == len(values):
            return tuple(named[value] for value in values)
    return None


def _text(path: Path) -> str:
    try:
        return read_file(path, limit_bytes=_LARGEST_BYTES).decode("utf-8-sig")
    except (InputError, UnicodeError) as error:
        raise DataError(f"{path}: names of classes cannot be read from it: {error}. Mend it, or take it away") from None


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))
