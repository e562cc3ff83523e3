"""`result.json`: what a run writes at its end and everything that tells of it reads.

What a run of an older version did not write has a default here, and stays unknown.
"""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from ridgepoint.cost.latency import MeasuredLatency, PredictedLatency
from ridgepoint.run.quantised import Quantised

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Told = MeasuredLatency | PredictedLatency


def bound_ms(latency: Told) -> float:
    """What a budget is held against: the measured latency, or the upper end of a predicted one's interval."""
    bound = latency.bound_ms if isinstance(latency, PredictedLatency) else None
    return latency.ms if bound is None else bound


class Data(msgspec.Struct, kw_only=True):
    """The images that the run saw; `preprocessing` is the chosen network's."""

    name: str
    kind: str = ""
    classes: list[str] = []
    counts: dict[str, Count] = {}
    summary: str = ""
    split_note: str = ""
    skipped: list[str] = []
    input_reason: str = ""
    preprocessing: dict[str, Any] = {}


class Accuracy(msgspec.Struct, kw_only=True):
    """Scores on `count` images of `split`, `artefact` of the exported file: of classes, shares of right answers.

    `balanced` is the mean recall of the classes; `majority` the share of the most frequent one, which is what a network
    reaches that has learnt nothing. `val` is by the trained network on the images that chose its weights.
    """

    artefact: Share | None = None
    trained: Share | None = msgspec.field(name="float", default=None)
    balanced: Share | None = None
    majority: Share | None = None
    val: Share | None = None
    split: str = "test"
    count: Count | None = None


class Taught(msgspec.Struct, kw_only=True):
    """How long a network was trained; `epochs` are passes over the images, also parts of one."""

    steps: Count | None = None
    epochs: NotNegative | None = None
    train_s: NotNegative | None = None


class Chosen(Taught, kw_only=True):
    """The network that was chosen; `about` says in a few words what it is.

    `training` names the training of its weights where that is not its own name: of an int8 form, the float one's.
    """

    name: str
    digest: str = ""
    about: str = ""
    input: list[Count]
    params: Count
    deploy_params: Count | None = None
    macs: Count
    training: str = ""


class Rival(Taught, kw_only=True):
    """A zoo network or another finalist, trained, exported, clocked and tested in the same way as the chosen one.

    `elsewhere` has its times on further targets, by their names; `met` is of all.
    """

    name: str
    role: str
    digest: str = ""
    about: str = ""
    input: list[Count] = []
    params: Count
    deploy_params: Count | None = None
    macs: Count
    weights: str | None = None
    latency: Told
    elsewhere: dict[str, Told] = {}
    met: bool
    accuracy: Accuracy


class Agreement(msgspec.Struct, kw_only=True):
    """How far the exported file's answers are from the trained network's.

    `agreement` is the share of images that both answer alike, in the sense that `agrees` names; of classes it is
    `top1_agreement` too.
    """

    max_abs_diff: float | None = None
    agrees: str = ""
    agreement: Share | None = None
    top1_agreement: Share | None = None
    count: Count | None = None

    @property
    def share(self) -> float | None:
        """Of the images; runs of an earlier version have it of classes."""
        return self.top1_agreement if self.agreement is None else self.agreement


class Scored(msgspec.Struct, kw_only=True):
    """The score of the exported file by its task's metric: its value, its parts, each label's."""

    value: Share
    parts: dict[str, float] = {}
    by_label: dict[str, Share | None] = {}


class Search(msgspec.Struct, kw_only=True):
    """How candidates were looked for."""

    space: str = ""
    space_size: NotNegative | None = None
    method: str = ""
    reason: str = ""
    evaluations: Count | None = None
    gap: float | None = None
    seconds: NotNegative | None = None


class Bound(msgspec.Struct, kw_only=True):
    """What limited the search."""

    time_s: NotNegative | None = None
    evaluations: Count | None = None


class Rule(msgspec.Struct, kw_only=True):
    """A number that choices were made by, and why it is that one."""

    value: float
    reason: str = ""


class Stage(msgspec.Struct, kw_only=True):
    """A network that was finished on the way: what it was taught, when it was there, how good it is, what it takes."""

    name: str
    what: str = ""
    at_s: NotNegative | None = None
    val_accuracy: Share | None = None
    ms: Positive | None = None


class LookedAt(msgspec.Struct, kw_only=True):
    """A published network at an input size that a fit might have opened with; the first one is what it took.

    `promise` is the share of some training images that a classifier on frozen features tells that has not seen them.
    """

    network: str
    weights: str = ""
    size: Count
    ms: Positive | None = None
    promise: Share | None = None


class Alone(msgspec.Struct, kw_only=True):
    """The best network for one of several targets, had it been the only one, among those that the run looked at.

    `score` is `by` the validation images after training, or by frozen features, as what the run opened with was chosen.
    `ratio` is the score of what was chosen over this one: 1 where none was better for this target alone.
    """

    network: str
    score: Share
    by: str
    ms: Positive
    ratio: Share


class OnTarget(msgspec.Struct, kw_only=True):
    """The chosen network on one of several targets; `latency` is absent where nothing ships there.

    `alone` and `cost` are absent where the run had no time to look at what they are about.

    `artefact`, below the run's folder, is the file that ships there, with its `accuracy` on the test images and its
    `parity`. `cost` is by how much the validation score would be better without this budget, among the networks that
    the run looked at.
    """

    name: str
    runtime: str
    precision: str
    budget_ms: Positive
    latency: Told | None = None
    met: bool
    artefact: str = ""
    accuracy: Share | None = None
    parity: Agreement | None = None
    alone: Alone | None = None
    cost: Share | None = None

    @property
    def share(self) -> float | None:
        """Of the budget, by what is held against it."""
        return None if self.latency is None else bound_ms(self.latency) / self.budget_ms


class Phase(msgspec.Struct, kw_only=True):
    """A part of the run and its wall-clock time."""

    name: str
    seconds: NotNegative


class FitResult(msgspec.Struct, kw_only=True):
    """Everything a fit found out.

    `met` compares the measured latency with the budget, or the upper end of a predicted one's interval. `doubts` say
    why it could not be measured; a run that has some has met nothing yet. `warnings` ask for attention, `notes` only
    tell. A run that is not `finished` may find something better; what it tells of is checked and complete. `stages` are
    what was finished on the way. `recall` is of the test images of each class, None where a class has none. `int8`
    tells of every training's int8 file, also of those that were refused. `targets` are all that it must run on, where
    there are several, and `met` is then of all; `universality` is the worst of their ratios to the best
    network for the target alone. `decoding_ms` is what making answers of the file's outputs takes on this machine, such
    as final boxes: it is not in the latency.
    """

    command: str
    reproduce: list[str] = []
    name: str
    created: str = ""
    run: str = ""
    data: Data
    architecture: str = ""
    artefact: str
    labels: str = ""
    report: str = ""
    network: Chosen
    budget_ms: Positive
    latency: Told
    decoding_ms: NotNegative | None = None
    met: bool
    doubts: list[str] = []
    task: str = "classification"
    metric: str = "accuracy"
    accuracy: Accuracy
    recall: dict[str, Share | None] = {}
    score: Scored | None = None
    parity: Agreement | None = None
    baselines: list[Rival] = []
    finalists: list[Rival] = []
    search: Search | None = None
    bound: Bound = msgspec.field(default_factory=Bound)
    plan: dict[str, Any] = {}
    policy: dict[str, Rule] = {}
    recipe: dict[str, Any] = {}
    seed: int | None = None
    accelerator: str | None = None
    phases: list[Phase] = []
    versions: dict[str, str] = {}
    warnings: list[str] = []
    notes: list[str] = []
    wall_s: NotNegative | None = None
    finished: bool = True
    stages: list[Stage] = []
    looked_at: list[LookedAt] = []
    int8: dict[str, Quantised] = {}
    targets: list[OnTarget] = []
    universality: Share | None = None

    @property
    def measured(self) -> bool:
        """Whether the latencies are by a clock: else they are predicted for a device that was not at hand."""
        return isinstance(self.latency, MeasuredLatency)

    @property
    def share(self) -> float:
        """Of the budget, by what is held against it."""
        return bound_ms(self.latency) / self.budget_ms

    @property
    def tightest_share(self) -> float:
        """The largest share of a budget, over all targets."""
        return max([self.share, *(target.share for target in self.targets if target.share is not None)])

    @property
    def quantised(self) -> Quantised | None:
        """How the chosen file was quantised; None of one in float."""
        return self.int8.get(self.network.training) if self.network.training else None

    @property
    def rivals(self) -> list[Rival]:
        """Finalists, then baselines, without the chosen network, which is one of them."""
        return [rival for rival in self.finalists + self.baselines if rival.name != self.network.name]

    @property
    def role(self) -> str:
        """Where the chosen network comes from: `zoo`, `finalist`, or nothing where that was not recorded."""
        roles = {rival.name: rival.role for rival in self.finalists + self.baselines}
        return roles.get(self.network.name, "")

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.run)


class TrainResult(msgspec.Struct, kw_only=True):
    """Everything a training or a distillation found out; `accuracy` and `counts` are by the split: val, test.

    `accuracy` is by the task's metric, `score` that of the test images with its parts.
    """

    model: str
    run: str = ""
    task: str = "classification"
    metric: str = "accuracy"
    data: str
    counts: dict[str, Count]
    accuracy: dict[str, Share]
    balanced: Share | None = None
    majority: Share | None = None
    recall: dict[str, Share | None] = {}
    score: Scored | None = None
    steps: Count
    epochs: NotNegative | None = None
    train_s: NotNegative
    accelerator: str | None = None
    recipe: dict[str, Any]
    weights: str | None = None
    seed: int
    teacher: dict[str, str] | None = None
    mixture: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Refuse a result without what every training tells."""
        for name, has in (("accuracy", self.accuracy), ("counts", self.counts)):
            if missing := {"val", "test"} - set(has):
                raise ValueError(f"`{name}` lacks {', '.join(sorted(missing))}")
        if self.counts["test"] < 1:
            raise ValueError("`counts` has no test images")
        if self.teacher is not None and "name" not in self.teacher:
            raise ValueError("`teacher` lacks a name")
