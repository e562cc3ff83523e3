"""A candidate: one network that a run looked at, with everything known about it."""

from typing import Annotated, Literal

import msgspec

from ridgepoint.arch.network import Network

# Checked where a candidate is read: a name becomes a file's, and journals and boards may have been written by others.
Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]*\Z", max_length=100)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Ms = Annotated[float, msgspec.Meta(gt=0.0)]
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e8)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Phase = Literal["search", "finalist", "baseline", "winner"]


def int8_name(name: str) -> str:
    """What the int8 form of a candidate is called."""
    return f"{name}-int8"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One network, where it came from, and what was found out. What was not measured is None, never zero.

    Accuracies are shares between 0 and 1. `short_accuracy` comes from a short training and ranks candidates of one
    run; `val_accuracy` from the full training; `test_accuracy` from images that no decision has seen. `weights` is what
    a full training starts from, None for fresh ones. `train_s`, `steps` and `epochs` are of the last training.
    """

    name: Name
    phase: Phase
    network: Network
    seed: Count
    parent: Name | None = None
    weights: str | None = None
    predicted_ms: Ms | None = None
    tabled_ms: Ms | None = None
    measured_ms: Ms | None = None
    measured_p90_ms: Ms | None = None
    short_accuracy: Share | None = None
    val_accuracy: Share | None = None
    test_accuracy: Share | None = None
    train_s: Seconds | None = None
    steps: Count | None = None
    epochs: Annotated[float, msgspec.Meta(ge=0.0)] | None = None
    note: str = ""

    @property
    def training(self) -> str:
        """The name of the training that it is of: its own, or that of the float form which it was quantised from."""
        return self.parent if self.parent is not None and self.name == int8_name(self.parent) else self.name

    @property
    def estimated_ms(self) -> float | None:
        """The latency that the search went by: tabled, or predicted for a device that is not at hand."""
        return self.predicted_ms if self.tabled_ms is None else self.tabled_ms

    @property
    def ms(self) -> float:
        """`estimated_ms` of a candidate of a search, which knows it of all that it looks at."""
        assert self.estimated_ms is not None
        return self.estimated_ms

    @property
    def score(self) -> float:
        """`short_accuracy` of a candidate that was trained."""
        assert self.short_accuracy is not None
        return self.short_accuracy

    @property
    def final_ms(self) -> float:
        """`measured_ms` of a candidate that was clocked; `predicted_ms` where the device is not at hand."""
        ms = self.predicted_ms if self.measured_ms is None else self.measured_ms
        assert ms is not None
        return ms
