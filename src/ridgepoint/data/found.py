"""What a source holds before parts are drawn from it, and the whole of it to evaluate on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ridgepoint.data.images import Split, fingerprint, joined
from ridgepoint.data.names import normalized
from ridgepoint.errors import DataError, nearest


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """Images with classes, or with another truth, as a source has them.

    Attributes:
        name: The folder's or data set's name.
        kind: As `Dataset.kind`.
        classes: Class names; a label is an index into them.
        given: ``all``; or ``train`` with or without ``val`` and ``test``.
        median_size: Median (height, width) of all images in pixels.
        grey: Whether every image is single-channel or has three equal channels.
        white: As `Dataset.white`.
        skipped: One message for every file that could not be read.
        notes: One sentence for whatever deserves attention.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    given: Mapping[str, Split]
    median_size: tuple[int, int]
    grey: bool
    white: float | None = None
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Whole:
    """All images of a source as one split, labelled by a model's classes.

    Attributes:
        name: The folder's or data set's name.
        kind: As `Found.kind`.
        classes: The model's class names; a label is an index into them.
        images: All images, of all parts.
        skipped: As `Found.skipped`.
        notes: As `Found.notes`; classes that have no image here are told too.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    images: Split
    skipped: tuple[str, ...]
    notes: tuple[str, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Changes when any image, its class or its name does; not with the folder's place."""
        return fingerprint(self.classes, [self.images])

    @property
    def counts(self) -> tuple[int, ...]:
        """Images of each class."""
        return tuple(np.bincount(self.images.labels, minlength=len(self.classes)).tolist())


def whole(found: Found, labels: Sequence[str]) -> Whole:
    """All images of a source, its classes matched by name to a model's.

    Args:
        found: May lack some of the model's classes.
        labels: The model's class names in the order of its outputs; empty: the source's own.

    Raises:
        DataError: If the source has a class that the model does not know.
    """
    labels = tuple(labels) or found.classes
    places = {normalized(label): place for place, label in enumerate(labels)}
    unknown = [name for name in found.classes if normalized(name) not in places]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise DataError(
            f"{found.name}: has the class '{unknown[0]}'{more}, which the model does not know; "
            f"{nearest(unknown[0], labels)}. Rename its folder, or take it out"
        )
    places_C = np.array([places[normalized(name)] for name in found.classes])
    images = joined(list(found.given.values()))
    images = Split(images.ids, places_C[images.labels], images.source)
    absent = [label for place, label in enumerate(labels) if not (images.labels == place).any()]
    notes = found.notes
    if absent:
        named = ", ".join(f"'{label}'" for label in absent[:6]) + (", ..." if len(absent) > 6 else "")
        notes += (f"no image of {len(absent)} of the model's {len(labels)} classes is there: {named}.",)
    return Whole(name=found.name, kind=found.kind, classes=labels, images=images, skipped=found.skipped, notes=notes)
