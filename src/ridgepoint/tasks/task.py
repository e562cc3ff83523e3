"""The contract of a task: everything between the user's data and the answers of the exported file.

A task is a value. Another package gives one by an entry point, in the group `ridgepoint.tasks`; the part of the page
that shows its answers is named by `part` and drawn by `ridgepoint.report.parts`.

Shapes: B images, N images; what follows is the task's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from ridgepoint.data import ArraySplit, Dataset, Split
from ridgepoint.train.objective import Objective
from ridgepoint.train.score import Score


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How far an exported file gives the answers of its source.

    Attributes:
        name: What was compared, such as `top-1 agreement`.
        share: Of the images; a file that ships has 1.
    """

    name: str
    share: float


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What a network says of an image: in words, and as a document."""

    text: str
    document: dict[str, Any]


class Task(Objective, Protocol):
    """All that differs from task to task; what a training needs of it is an `Objective`.

    Attributes:
        outputs: The names of what the exported graph gives.
        part: What draws its answers, `module:name`; see `ridgepoint.report.parts.part.Part`.
    """

    outputs: tuple[str, ...]
    part: str

    def read(self, spec: str | Path, *, seed: int, root: Path | None, download: bool = True) -> Dataset | None:
        """The data that the user means; None where they are not of this task's formats, so that the next is asked.

        Args:
            spec: What the user typed: a folder, a file, a name.
            seed: Of the parts that have to be drawn.
            root: Where named data sets are kept; the user's cache folder when None.
            download: Whether the network may be asked.

        Raises:
            DataError: If they are, and cannot be used.
        """
        ...

    def whole(self, spec: str | Path, labels: Sequence[str], *, root: Path | None) -> Split:
        """All images of other data, to evaluate on, with truth by the labels of a file.

        Raises:
            DataError: If there is something that the labels do not name.
        """
        ...

    def agree(self, source: np.ndarray, exported: np.ndarray) -> Agreement:
        """How far two networks answer alike, (N, ...) each, in the sense that matters to who uses them."""
        ...

    def decode(self, outputs: np.ndarray, labels: Sequence[str], *, top: int) -> list[Prediction]:
        """What outputs, (B, ...), say; `top` is how many answers of each where there are several."""
        ...

    def tell(self, score: Score, labels: Sequence[str]) -> list[str]:
        """Lines for people on a score, beside its value."""
        ...

    def write_evaluation(self, folder: Path, labels: Sequence[str], test: ArraySplit, outputs: np.ndarray) -> None:
        """Write what the report needs to show what the exported file gets wrong on the test images.

        Raises:
            WriteError: If the disk is full or the folder cannot be written.
        """
        ...
