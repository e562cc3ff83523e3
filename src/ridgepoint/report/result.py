"""What a run folder holds, read once and checked: `result.json` and the files beside it.

`result.json` and `architecture.yaml` must be there. Everything else is optional and empty or None when it is not.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import load
from ridgepoint.errors import RunError
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.study import STUDY_FILE, read_candidates

RESULT, ARCHITECTURE, EVALUATION, METRICS = "result.json", "architecture.yaml", "evaluation.json", "metrics.jsonl"
HISTORY = "history.jsonl"
T = TypeVar("T")


class Data(msgspec.Struct, kw_only=True):
    """The images that the run saw."""

    name: str
    kind: str = ""
    classes: list[str] = []
    counts: dict[str, int] = {}
    summary: str = ""
    split_note: str = ""
    skipped: list[str] = []
    input_reason: str = ""
    preprocessing: dict[str, Any] = {}


class Chosen(msgspec.Struct, kw_only=True):
    """The network that was chosen."""

    name: str
    digest: str
    input: list[int]
    params: int
    deploy_params: int
    macs: int


class Stopwatch(msgspec.Struct, kw_only=True):
    """A measured latency and its protocol."""

    kind: str
    ms: float
    p90_ms: float | None = None
    spread: float | None = None
    runtime: str = ""
    runtime_version: str = ""
    device: str = ""
    threads: int | None = None
    precision: str = ""
    warmup: int | None = None
    rounds: int | None = None
    runs: int | None = None
    file_bytes: int | None = None


class Accuracy(msgspec.Struct, kw_only=True):
    """Shares of images classified rightly: `artefact` by the exported file, on `count` images of `split`."""

    artefact: float | None = None
    trained: float | None = msgspec.field(name="float", default=None)
    val: float | None = None
    split: str = "test"
    count: int | None = None


class Parity(msgspec.Struct, kw_only=True):
    """How far the exported file's answers are from the trained network's."""

    max_abs_diff: float | None = None
    top1_agreement: float | None = None
    count: int | None = None


class Rival(msgspec.Struct, kw_only=True):
    """A baseline or another finalist, trained, exported, clocked and tested in the same way as the chosen network."""

    name: str
    role: str
    latency: Stopwatch
    met: bool
    accuracy: Accuracy
    params: int
    macs: int
    train_s: float | None = None


class Search(msgspec.Struct, kw_only=True):
    """How candidates were looked for."""

    space: str = ""
    space_size: float | None = None
    method: str = ""
    reason: str = ""
    evaluations: int | None = None
    gap: float | None = None
    seconds: float | None = None


class Bound(msgspec.Struct, kw_only=True):
    """What limited the search."""

    time_s: float | None = None
    evaluations: int | None = None


class Phase(msgspec.Struct, kw_only=True):
    """A part of the run and its wall-clock time."""

    name: str
    seconds: float


class Result(msgspec.Struct, kw_only=True):
    """`result.json`."""

    command: str
    name: str
    data: Data
    artefact: str
    network: Chosen
    budget_ms: float
    latency: Stopwatch
    met: bool
    accuracy: Accuracy
    created: str = ""
    reproduce: list[str] = []
    parity: Parity | None = None
    finalists: list[Rival] = []
    baselines: list[Rival] = []
    search: Search | None = None
    bound: Bound = msgspec.field(default_factory=Bound)
    seed: int | None = None
    accelerator: str | None = None
    phases: list[Phase] = []
    versions: dict[str, str] = {}
    warnings: list[str] = []
    wall_s: float | None = None

    @property
    def rivals(self) -> list[Rival]:
        """Finalists, then baselines, without the chosen network, which is one of them."""
        return [rival for rival in self.finalists + self.baselines if rival.name != self.network.name]

    @property
    def role(self) -> str:
        """Where the chosen network comes from: `zoo`, `finalist`, or nothing where that was not recorded."""
        roles = {rival.name: rival.role for rival in self.finalists + self.baselines}
        return roles.get(self.network.name, "")


class Metric(msgspec.Struct, kw_only=True):
    """One evaluation during a training."""

    progress: float
    loss: float | None = None
    val_accuracy: float | None = None
    epoch: float | None = None
    elapsed_s: float | None = None


class Belief(msgspec.Struct, kw_only=True):
    """What a one-shot search thought at a step: the probability of every option, by choice."""

    step: int
    probabilities: dict[str, list[float]]


class Mistake(msgspec.Struct, kw_only=True):
    """An image that the exported file got wrong."""

    true: str | int
    predicted: str | int
    probability: float | None = None
    image: str | None = None


class Recall(msgspec.Struct, kw_only=True):
    """How much of one class was found."""

    label: str = msgspec.field(name="class")
    count: int
    recall: float | None = None


class Evaluation(msgspec.Struct, kw_only=True):
    """The exported file on the test images; `confusion[true][predicted]`."""

    split: str = "test"
    classes: list[str]
    confusion: list[list[int]] = []
    mistakes: list[Mistake] = []
    per_class: list[Recall] = []


class Run(msgspec.Struct, kw_only=True):
    """A whole run folder in memory; `trainings` has the winner first, `beliefs` the stages of a one-shot search."""

    folder: Path
    result: Result
    network: Network
    candidates: list[Candidate]
    trainings: dict[str, list[Metric]]
    beliefs: dict[str, list[Belief]]
    evaluation: Evaluation | None


def read_run(folder: Path) -> Run:
    """Everything that the report shows.

    Raises:
        RunError: If the folder, `result.json` or `architecture.yaml` is missing or cannot be read.
        ArchitectureError: If `architecture.yaml` is wrong.
    """
    for file in (RESULT, ARCHITECTURE):
        if not (folder / file).is_file():
            raise RunError(_missing(folder, file))
    result = read_json(folder / RESULT, Result)
    names = [result.network.name, *(rival.name for rival in result.rivals)]
    trainings = {name: _read_rows(folder / "trainings" / name / METRICS, Metric) for name in names}
    histories = {path.parent.relative_to(folder).as_posix(): path for path in sorted(folder.rglob(HISTORY))}
    beliefs = {name: _read_rows(path, Belief) for name, path in histories.items()}
    evaluation = folder / EVALUATION
    return Run(
        folder=folder,
        result=result,
        network=load(folder / ARCHITECTURE),
        candidates=read_candidates(folder) if (folder / STUDY_FILE).is_file() else [],
        trainings={name: metrics for name, metrics in trainings.items() if metrics},
        beliefs={name: rows for name, rows in beliefs.items() if rows},
        evaluation=read_json(evaluation, Evaluation) if evaluation.is_file() else None,
    )


def _missing(folder: Path, file: str) -> str:
    if not folder.is_dir():
        return f"{folder}: there is no such folder. Give the folder of a finished run, for example runs/fit/digits"
    return (
        f"{folder}: holds no {file}. A finished run has {RESULT} and {ARCHITECTURE}; give such a folder, "
        "or finish this one: the same command with --resume"
    )


def read_json(path: Path, into: type[T]) -> T:
    """A JSON file of a run.

    Raises:
        RunError: If it is not there or not what it should be.
    """
    if not path.is_file():
        raise RunError(_missing(path.parent, path.name))
    try:
        return msgspec.json.decode(path.read_bytes(), type=into)
    except msgspec.DecodeError as error:
        raise RunError(f"{path}: cannot be read: {error}. Run the command that wrote it again") from None


def _read_rows(path: Path, into: type[T]) -> list[T]:
    """The lines of a file; one that a killed run left half-written is none."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(msgspec.convert(json.loads(line), into))
        except (json.JSONDecodeError, msgspec.ValidationError):
            continue
    return rows
