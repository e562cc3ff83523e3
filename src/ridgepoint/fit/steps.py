"""What the finished steps of a fit leave in its folder for later steps, and for the run when it goes on."""

from typing import Annotated, NotRequired, TypedDict

import msgspec

from ridgepoint.run.folder import Seconds
from ridgepoint.search.candidate import Candidate

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Strongest(TypedDict):
    """The zoo's strongest network for one of several targets alone; whether it is within the budgets of all."""

    network: str
    within: bool


class Rivals(TypedDict):
    """The zoo networks that will be trained beside the finalists; of several targets, what is best for each alone."""

    rivals: list[Candidate]
    alone: NotRequired[dict[str, Strongest]]


class Gap(TypedDict):
    """How far the clock is above the latency table, and by network."""

    measured_over_tabled: Positive
    networks: dict[str, Positive]
    precision: NotRequired[str]  # of the table; float32 if it is not told


class Searched(TypedDict):
    """How many candidates there are after a search, and what it allowed itself."""

    candidates: Count
    limit_ms: Positive


class Found(TypedDict):
    """What is trained in full; how far the clock was above what was expected of those that were clocked, if any."""

    finalists: Annotated[list[Candidate], msgspec.Meta(min_length=1)]
    gap: Positive | None


class Shares(TypedDict):
    """How many are trained in full, and for how long each."""

    count: Annotated[int, msgspec.Meta(ge=1)]
    full_s: Positive


class TrainedOne(TypedDict):
    """How a full training went; `epochs` is what a run of an earlier version did not write.

    `balanced` is of a classifier on frozen features: whether all classes weighed alike.
    """

    val_accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)]
    seconds: Seconds
    steps: Count
    epochs: NotRequired[Seconds | None]
    balanced: NotRequired[bool]


def as_trained(candidate: Candidate, known: TrainedOne) -> Candidate:
    """A candidate with what its full training came to."""
    return msgspec.structs.replace(
        candidate,
        val_accuracy=known["val_accuracy"],
        train_s=known["seconds"],
        steps=known["steps"],
        epochs=known.get("epochs"),
    )
