"""What a fit's run folder holds, read once and checked: `result.json` and the files beside it.

`result.json` and `architecture.yaml` must be there. Everything else is optional and empty or None when it is not.
"""

import contextlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import load
from ridgepoint.errors import RunError
from ridgepoint.fit.settings import FitSettings
from ridgepoint.report.parts.find import find_part
from ridgepoint.report.parts.part import Part
from ridgepoint.run.folder import RESULT, SETTINGS
from ridgepoint.run.records import read_record, read_rows
from ridgepoint.run.result import Count, FitResult, NotNegative, Share
from ridgepoint.run.resume import read_settings
from ridgepoint.run.settings import Request
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.one_shot import HISTORY
from ridgepoint.search.study import STUDY_FILE, read_candidates
from ridgepoint.train.folder import ARCHITECTURE
from ridgepoint.train.metrics import METRICS

OTHERWISE = "Run the command that wrote it again"
R = TypeVar("R", bound=Request)


class Metric(msgspec.Struct, kw_only=True):
    """A row of `metrics.jsonl`: how a training stood at a step."""

    step: Count
    progress: Share
    loss: float | None = None
    val_accuracy: Share | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    resolution: Count | None = None
    elapsed_s: NotNegative | None = None


class Belief(msgspec.Struct, kw_only=True):
    """What a one-shot search thought at a step: the probability of every option, by choice."""

    step: Count
    probabilities: dict[str, list[Share]]


class Run(msgspec.Struct, kw_only=True):
    """A whole run folder in memory.

    `trainings` has the winner first, `beliefs` the stages of a one-shot search; `part` shows answers of the run's task,
    from the `evaluation` that it read.
    """

    folder: Path
    result: FitResult
    settings: FitSettings | None
    network: Network
    candidates: list[Candidate]
    trainings: dict[str, list[Metric]]
    beliefs: dict[str, list[Belief]]
    part: Part
    evaluation: Any


def read_run(folder: Path) -> Run:
    """Everything that the report shows.

    Raises:
        RunError: If the folder, `result.json` or `architecture.yaml` is missing, or a file is damaged.
        ArchitectureError: If `architecture.yaml` is wrong.
    """
    for file in (RESULT, ARCHITECTURE):
        require(folder, file)
    result = read_record(folder / RESULT, FitResult, otherwise=OTHERWISE)
    names = [result.network.name, *(rival.name for rival in result.rivals)]
    names = [name for name in names if Path(name).name == name]  # of a folder of this run
    taught = {result.network.name: Path(result.network.training or result.network.name).name}
    trainings = {name: read_metrics(folder / "trainings" / taught.get(name, name)) for name in names}
    histories = {path.parent.relative_to(folder).as_posix(): path for path in sorted(folder.rglob(HISTORY))}
    beliefs = {name: read_rows(path, Belief, otherwise=OTHERWISE) for name, path in histories.items()}
    part = find_part(result.task)
    return Run(
        folder=folder,
        result=result,
        settings=read_asked(folder, FitSettings),
        network=load(folder / ARCHITECTURE),
        candidates=read_candidates(folder) if (folder / STUDY_FILE).is_file() else [],
        trainings={name: metrics for name, metrics in trainings.items() if metrics},
        beliefs={name: rows for name, rows in beliefs.items() if rows},
        part=part,
        evaluation=part.read(folder, result),
    )


def read_asked(folder: Path, kind: type[R]) -> R | None:
    """What was asked of a run, for commands that ask for more; None where that cannot be read any more."""
    with contextlib.suppress(RunError):
        return read_settings(folder, SETTINGS, kind)
    return None


def read_metrics(folder: Path) -> list[Metric]:
    """The rows that a training left; none where it left none.

    Raises:
        RunError: If the file is damaged.
    """
    path = folder / METRICS
    return read_rows(path, Metric, otherwise=OTHERWISE) if path.is_file() else []


def require(folder: Path, file: str) -> None:
    """Refuse a folder that is not a finished run's.

    Raises:
        RunError: Saying what is missing and how to get it.
    """
    if not folder.is_dir():
        raise RunError(
            f"{folder}: there is no such folder. Give the folder of a finished run, for example runs/fit/digits"
        )
    if not (folder / file).is_file():
        raise RunError(
            f"{folder}: holds no {file}. A finished run has {RESULT} and {ARCHITECTURE}; give such a folder, "
            "or finish this one: the same command with --resume"
        )
