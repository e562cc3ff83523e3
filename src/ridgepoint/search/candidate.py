"""A candidate: one network that a run looked at, with everything known about it."""

from typing import Literal

import msgspec

from ridgepoint.arch.network import Network

Phase = Literal["search", "finalist", "baseline", "winner"]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One network, where it came from, and what was found out. What was not measured is None, never zero.

    Accuracies are shares between 0 and 1. `short_accuracy` comes from a short training and ranks candidates of one
    run; `val_accuracy` from the full training; `test_accuracy` from images that no decision has seen. `weights` is what
    a full training starts from, None for fresh ones. `train_s`, `steps` and `epochs` are of the last training.
    """

    name: str
    phase: Phase
    network: Network
    seed: int
    parent: str | None = None
    weights: str | None = None
    predicted_ms: float | None = None
    tabled_ms: float | None = None
    measured_ms: float | None = None
    measured_p90_ms: float | None = None
    short_accuracy: float | None = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    train_s: float | None = None
    steps: int | None = None
    epochs: float | None = None
    note: str = ""

    @property
    def estimated_ms(self) -> float | None:
        """The latency that the search went by: tabled, or predicted for a device that is not at hand."""
        return self.predicted_ms if self.tabled_ms is None else self.tabled_ms
