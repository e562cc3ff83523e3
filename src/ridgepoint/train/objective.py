"""What a training asks of its task; `ridgepoint.tasks.task.Task` asks for the rest.

Shapes: B images of a batch, N images.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ridgepoint.arch.closing import Closing
from ridgepoint.data import Augmentation, Dataset, Preprocessing
from ridgepoint.train.batches import Batches, Loss, TrainingData
from ridgepoint.train.recipe import Recipe
from ridgepoint.train.samples import Shares
from ridgepoint.train.score import Score


class Objective(Protocol):
    """From data to batches, from a recipe to a loss, from outputs to a score.

    Attributes:
        name: Of the task, in one word.
        metric: What a score's value is called, in words that may stand in a sentence.
        by_label: What a score's numbers by label are called; empty where it has none.
    """

    name: str
    metric: str
    by_label: str

    def summary(self, data: Dataset) -> str:
        """Lines for people: what was found, its parts, and what deserves attention."""
        ...

    def input(self, data: Dataset, size: int | None) -> tuple[Preprocessing, str]:
        """How an image becomes a network's input, and one sentence on why; `size` in pixels if the user gave one.

        Raises:
            DataError: If the size is out of bounds.
        """
        ...

    def augmentation(self, data: Dataset, preprocessing: Preprocessing) -> Augmentation:
        """What may be varied in a training image without making its truth wrong."""
        ...

    def head(self, data: Dataset) -> Closing:
        """The end of every network for these data: it closes a network, or a space."""
        ...

    def recipe(self, size: int, *, trained: bool) -> str:
        """The recipe where the user names none: for inputs of `size` pixels, and for weights `trained` before."""
        ...

    def batches(
        self, data: TrainingData, recipe: Recipe, *, outputs: int, seed: int, accelerator: torch.device
    ) -> Batches:
        """What the steps of a training see; `outputs` is the network's `num_classes`."""
        ...

    def loss(self, recipe: Recipe) -> Loss:
        """What a step minimises."""
        ...

    def score(self, outputs: Any, truth: Any) -> Score:
        """How good a network's answers are.

        Args:
            outputs: (N, ...), of N images; tensors on the CPU or arrays.
            truth: Of the same images, as `ArraySplit.labels` has it; N is at least 1.
        """
        ...

    def words(self, targets: Tensor, labels: Sequence[str]) -> list[Shares]:
        """What each of a batch's targets, (B, ...), says, for people who look at what a network is taught."""
        ...


class Reading(Protocol):
    """From what a user types to the task that understands it, and its data."""

    def __call__(self, spec: str | Path, *, seed: int = 0, root: Path | None = None) -> tuple[Objective, Dataset]:
        """The task and the data set.

        Raises:
            DataError: If no task can read what is there; the message says what to do.
        """
        ...
