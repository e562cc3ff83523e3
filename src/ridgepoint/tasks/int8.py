"""An int8 file judged by a task's own data: calibrated by the training part, judged by what no training has seen."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ridgepoint.data import Dataset, Preprocessing, decode
from ridgepoint.data.images import joined
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.deploy.places.place import LOCAL, Place
from ridgepoint.deploy.quantize.calibration import calibration_of
from ridgepoint.deploy.quantize.gate import MOST_DROP, Judges, quantise
from ridgepoint.deploy.quantize.paired import Scores, change_between, change_of_score
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.errors import DataError
from ridgepoint.run.quantised import Change, Quantised
from ridgepoint.tasks.task import Task


@runtime_checkable
class RightOrWrong(Protocol):
    """A task whose answers are right or wrong image by image, so that two files can be compared in pairs."""

    def right(self, outputs: np.ndarray, truth: Any) -> np.ndarray:
        """Which answers, (N, ...), are right, bool (N,)."""
        ...


@runtime_checkable
class ManyScores(Protocol):
    """A task that looks at images once, and then knows the score of any choice of them."""

    def scores(self, outputs: np.ndarray, truth: Any, choices: Sequence[np.ndarray]) -> list[float]:
        """The value of the score of answers, (N, ...), on several choices of their images.

        Args:
            outputs: Answers to all images.
            truth: Of all images.
            choices: Numbers of images, each once.
        """
        ...


def quantise_for(
    task: Task,
    dataset: Dataset,
    preprocessing: Preprocessing,
    source: Path,
    target: Path,
    *,
    runtime: Runtime,
    parts: Sequence[str] = ("val", "test"),
    most_drop: float = MOST_DROP,
    strict: bool = True,
    seed: int = 0,
    threads: int = 1,
    busy: bool = False,
    place: Place = LOCAL,
    module: Any = None,
    progress: Callable[[float, str], None] = lambda share, text: None,
    time_left: Callable[[], bool] = lambda: True,
) -> Quantised:
    """Make an int8 file of a float file, if it passes; see `ridgepoint.deploy.quantize.gate`.

    Args:
        task: What the answers are.
        dataset: The data of the training, with its parts.
        preprocessing: How images go in.
        source: The float artefact.
        target: Where the int8 artefact goes.
        runtime: Of both.
        parts: Of the data, by which it is judged.
        most_drop: The loss that is allowed, as a share.
        strict: Whether it is refused where the images cannot tell.
        seed: Of the calibration images.
        threads: Threads inside one run, for the clock.
        busy: Accept times of a busy machine.
        place: Where it answers and is clocked.
        module: What the source was exported from.
        progress: Called with the share done and a text.
        time_left: Asked before every recipe but the first, whether there is time for it.

    Raises:
        InputError: If the runtime has no int8.
    """
    images = decode(joined([getattr(dataset, part) for part in parts]), preprocessing, train=False)
    return quantise(
        source,
        target,
        runtime=runtime,
        calibration=calibration_of(dataset.train, preprocessing, seed=seed),
        judges=Judges(
            images=images,
            split=" and ".join(parts),
            change=change_in(task, " and ".join(parts)),
            agree=task.agree,
            most_drop=most_drop,
            strict=strict,
            threads=threads,
            busy=busy,
            place=place,
        ),
        module=module,
        progress=progress,
        time_left=time_left,
    )


def change_in(task: Task, split: str) -> Callable[[np.ndarray, np.ndarray, Any], Change]:
    """What tells by how much a file's answers are better: image by image where that can be, else by their score.

    Args:
        task: What the answers are.
        split: What the images are part of.
    """
    if isinstance(task, RightOrWrong):
        right = task.right
        return lambda before, after, truth: change_between(right(before, truth), right(after, truth), split=split)
    scores = task.scores if isinstance(task, ManyScores) else one_by_one(task)
    return lambda before, after, truth: change_of_score(scores, before, after, truth, metric=task.metric, split=split)


def one_by_one(task: Task) -> Scores:
    """As `ManyScores.scores`, of any task."""
    return lambda answers, truth, choices: [task.score(answers[kept], truth[kept]).value for kept in choices]


def expect_same_data(data: str, dataset: Dataset, trained_on: TrainedOn | None) -> None:
    """Refuse other images than those of the training: which of them it has seen is not known.

    Raises:
        DataError: If they are others.
    """
    if trained_on is not None and dataset.fingerprint != trained_on.fingerprint:
        raise DataError(
            f"--data {data}: are not the images that the network was trained on ('{trained_on.name}'): which of them "
            "it has seen, and which can judge it, is not known. Give those"
        )
