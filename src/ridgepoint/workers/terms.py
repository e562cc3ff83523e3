"""What a worker must know of a run: values, not names of files, so that a worker opens nothing but the images."""

import importlib.metadata
from pathlib import Path
from typing import Annotated

import msgspec

from ridgepoint.data import Dataset, Preprocessing
from ridgepoint.data.resolution import LARGEST, SMALLEST
from ridgepoint.errors import RunError, shown
from ridgepoint.search.candidate import Ms
from ridgepoint.tasks.task import Task
from ridgepoint.train.accelerator import find_accelerator
from ridgepoint.train.loop import Bound
from ridgepoint.train.recipe import Recipe
from ridgepoint.workers.judging import ShortTraining, Start
from ridgepoint.workers.setup import TrainingSetup

VERSION = importlib.metadata.version("ridgepoint")


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told to every worker.

    Attributes:
        version: Of ridgepoint, where the run is.
        data: The images, as the user named them.
        fingerprint: Of the images.
        size: In pixels, if the user gave one.
        seed: Of everything that is drawn.
        accelerator: Where candidates are taught.
        recipe: How a candidate is taught that starts fresh.
        finetune: How one is taught that starts from weights.
        bound: How long.
        limit_ms: The search's own budget.
    """

    version: str
    data: str
    fingerprint: str
    size: Annotated[int, msgspec.Meta(ge=SMALLEST, le=LARGEST)] | None
    seed: Annotated[int, msgspec.Meta(ge=0)]
    accelerator: str
    recipe: Recipe
    finetune: Recipe
    bound: Bound
    limit_ms: Ms


class OwnTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a run tells the workers that it starts itself, past the board: they share its disk.

    `preprocessing` normalises as the weights of `start` want.
    """

    terms: Terms
    data_root: str | None
    start: Start | None
    preprocessing: Preprocessing | None = None


def open_judge(
    terms: Terms,
    task: Task,
    dataset: Dataset,
    folder: Path,
    *,
    start: Start | None = None,
    preprocessing: Preprocessing | None = None,
) -> ShortTraining:
    """The judge of a run, in this process.

    Args:
        terms: Of the run.
        task: What its data are for.
        dataset: What they are here.
        folder: Where weights are kept.
        start: What a search of a trained network begins with.
        preprocessing: How images become its inputs; by default what suits the images.

    Raises:
        RunError: If the data are others here than where the run is.
    """
    if dataset.fingerprint != terms.fingerprint:
        raise RunError(f"the images of {shown(terms.data)} are others here than where the search runs")
    preprocessing = preprocessing or task.input(dataset, terms.size)[0]
    setup = TrainingSetup(
        task=task,
        dataset=dataset,
        preprocessing=preprocessing,
        recipe=terms.recipe,
        finetune=terms.finetune,
        augmentation=task.augmentation(dataset, preprocessing),
        accelerator=find_accelerator(terms.accelerator),
    )
    return ShortTraining(folder, setup, terms.bound, seed=terms.seed, limit_ms=terms.limit_ms, start=start)
