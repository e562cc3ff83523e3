"""What a format's files say: images by part, and on each of them marked objects, before anything is looked at."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ridgepoint.data.boxes.outline import Outline
from ridgepoint.errors import DataError

MOST_OBJECTS = 5_000_000
MOST_ON_ONE = 10_000
MOST_CLASSES = 20_000
_NAMED = 3
AROUND = "outlines became the boxes around them"

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Marked:
    """An object as it was written down.

    Attributes:
        label: Its class.
        box: In pixels, or in parts of the image's width and height where `Picture.fractions`.
        crowd: Whether it is a group: nothing is learnt from it, and finding it is no mistake.
        place: Where it is written, for messages.
        outline: What it is inside of its box, in the same units; None where nothing is written.
        fault: Why what is written is no outline, continuing a number as in `Remarks`.
    """

    label: str
    box: Box
    crowd: bool = False
    place: str = ""
    outline: Outline | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image with its objects.

    Attributes:
        path: Relative to the folder, with forward slashes.
        part: ``all``, ``train``, ``val`` or ``test``.
        objects: None of them is a statement too: there is nothing to be found.
        size: Width and height in pixels as the annotations have them; None where they say nothing.
        fractions: Whether boxes are parts of the image's width and height.
    """

    path: str
    part: str
    objects: tuple[Marked, ...]
    size: tuple[int, int] | None = None
    fractions: bool = False


@dataclass
class Remarks:
    """What deserves attention, by kind: how often, and where first."""

    places: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, place: str) -> None:
        """One more of a kind: `what` continues a number, such as `boxes are cut at the border of their image`."""
        self.counts[what] = self.counts.get(what, 0) + 1
        if self.counts[what] <= _NAMED:
            self.places.setdefault(what, []).append(place)

    def forget(self, what: str) -> None:
        """Of a kind that is none in the end."""
        self.counts.pop(what, None)
        self.places.pop(what, None)

    def notes(self) -> tuple[str, ...]:
        """A sentence for each kind."""
        return tuple(
            f"{count:,} {what}; {'first: ' if count > _NAMED else ''}{', '.join(self.places[what])}."
            for what, count in self.counts.items()
        )


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """All that the files of a folder say.

    Attributes:
        kind: The format, as people call it.
        classes: Names of all classes, with objects or without.
        pictures: In the order of their parts and names.
        remarks: What was mended or left out meanwhile.
    """

    kind: str
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    remarks: Remarks


def check_classes(names: Iterable[str], place: str, remarks: Remarks | None = None) -> tuple[str, ...]:
    """Names of classes as they may be: each once, none empty.

    Args:
        names: In their order.
        place: Where they stand.
        remarks: What was left out, where names are those of the objects that were not.

    Raises:
        DataError: If they are not.
    """
    found = tuple(names)
    if not found and remarks is not None:
        told = " ".join(remarks.notes())
        raise DataError(f"no object of the annotations can be used, the first of which is {place}. {told}".rstrip())
    if not found or len(found) > MOST_CLASSES:
        raise DataError(f"{place}: names {len(found):,} classes. Allowed: 1 to {MOST_CLASSES:,}")
    empty = [index for index, name in enumerate(found) if not name.strip()]
    if empty:
        raise DataError(f"{place}: class number {empty[0]} has no name. Give it one")
    twice = {name for name in found if found.count(name) > 1} if len(set(found)) < len(found) else set()
    if twice:
        raise DataError(f"{place}: the class '{min(twice)}' is named twice. Give every class a name of its own")
    return found


def check_count(count: int, most: int, place: str) -> None:
    """Refuse more objects than any data set has.

    Raises:
        DataError: If there are more.
    """
    if count > most:
        raise DataError(f"{place}: has {count:,} objects. Allowed: {most:,}")
