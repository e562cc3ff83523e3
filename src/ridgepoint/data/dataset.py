"""What every data source becomes: named classes and three splits of images that are decoded on demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ridgepoint.data.copies import notes_on_copies
from ridgepoint.data.found import Found
from ridgepoint.data.images import Split, fingerprint
from ridgepoint.data.split import plan_split
from ridgepoint.errors import DataError, printable, shown


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with classes, or with another truth, split in three.

    Attributes:
        name: The folder's or data set's name.
        kind: ``class folders``, ``built-in``, ``torchvision`` or what another task calls its format.
        classes: Class names; a label, or a number of a truth, is an index into them.
        train: What weights are learned from.
        val: What choices are made by.
        test: What the final accuracy is reported on, and nothing else.
        skipped: One message for every file that could not be read.
        notes: One sentence for whatever deserves attention: files left out, odd values, copies of one image.
        split_note: One sentence on how the split was made.
        split_seed: What the parts were drawn by; None if they are as given.
        median_size: Median (height, width) of all images in pixels.
        grey: Whether every image is single-channel or has three equal channels.
        white: The value that is white in images whose values are no bytes; None if there are none, or it is the usual.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    split_note: str
    split_seed: int | None
    median_size: tuple[int, int]
    grey: bool
    white: float | None

    @cached_property
    def fingerprint(self) -> str:
        """Changes when any image's content, its name, its class or its part does; not with the folder's place."""
        return fingerprint(self.classes, (self.train, self.val, self.test))

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Images of each class, all parts together; of images that have classes."""
        labels = np.concatenate([part.labels for part in (self.train, self.val, self.test)])
        return tuple(np.bincount(labels, minlength=len(self.classes)).tolist())

    @property
    def majority_share(self) -> float:
        """The share of the test images that the most frequent of their classes has: what a constant answer reaches."""
        return float(np.bincount(self.test.labels).max() / len(self.test))

    def summary(self, about: Sequence[str] | None = None) -> str:
        """Lines for people: what was found, its classes, its split, what was skipped, and what deserves attention.

        Args:
            about: Lines on what is known of the images, where that is more than a class.
        """
        height, width = self.median_size
        total = sum(len(part) for part in (self.train, self.val, self.test))
        if about is None:
            about = [self._balance()] if self.train.truth is None else []
        lines = [
            f"{self.name}: {self.kind}, {total:,} {'grey' if self.grey else 'colour'} images, "
            f"{len(self.classes)} classes, median {height} x {width} px (height x width)",
            *about,
            f"split: {len(self.train):,} train, {len(self.val):,} val, {len(self.test):,} test; {self.split_note}",
        ]
        if self.skipped:
            lines.append(f"skipped: {len(self.skipped)} file(s) that cannot be used, first: {self.skipped[0]}")
        return printable("\n".join([*lines, *(f"note: {note}" for note in self.notes)]))

    def _balance(self) -> str:
        """How many images each class has, and what always one answer would reach."""
        named = [f"{name} {count:,}" for name, count in zip(self.classes, self.counts, strict=True)]
        shown = ", ".join(named if len(named) <= 12 else [*named[:12], f"and {len(named) - 12} more"])
        ratio = max(self.counts) / min(self.counts)
        most = self.classes[int(np.bincount(self.test.labels).argmax())]
        balance = (
            "balanced"
            if ratio < 1.5
            else (
                f"the largest has {ratio:.1f} times the images of the smallest; to always answer '{most}' is right for "
                f"{self.majority_share:.1%} of test"
            )
        )
        return f"classes: {shown} ({balance})"


def assemble(found: Found, *, seed: int) -> Dataset:
    """A data set with train, val and test from the parts that its source came with.

    Copies of one image stay in one part where parts are drawn. Images with a truth of their own are drawn without
    regard to classes.

    Args:
        found: What the source holds.
        seed: Of the parts that have to be drawn.

    Raises:
        DataError: If a class has too few images for the parts that must be drawn, or a line break in its name: files of
            labels have a name a line.
    """
    if broken := [name for name in found.classes if len(name.splitlines()) > 1]:
        raise DataError(f"{found.name}: the class {shown(broken[0])} has a line break in its name. Take it out")
    whole = found.given["all" if "all" in found.given else "train"]
    labels = {part: split.labels for part, split in found.given.items()}
    classes = found.classes if whole.truth is None else ()
    plan, note = plan_split(labels, classes, seed, whole.originals)
    drawn = len({origin for origin, _ in plan.values()}) < len(plan)
    parts = {part: found.given[origin].at(indices) for part, (origin, indices) in plan.items()}
    return Dataset(
        name=found.name,
        kind=found.kind,
        classes=found.classes,
        **parts,
        skipped=found.skipped,
        notes=(*found.notes, *notes_on_copies(found.classes, parts)),
        split_note=note,
        split_seed=seed if drawn else None,
        median_size=found.median_size,
        grey=found.grey,
        white=found.white,
    )
