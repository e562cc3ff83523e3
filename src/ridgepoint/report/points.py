"""The marks of the accuracy-latency picture, in groups: exported files that were both clocked and tested."""

from collections.abc import Sequence

import msgspec

from ridgepoint.report.result import Run


class Mark(msgspec.Struct, frozen=True):
    """A network in the picture: its latency in milliseconds and its accuracy as a share."""

    name: str
    ms: float
    accuracy: float


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """The groups; `majority` is the accuracy of always answering the most frequent class.

    `undrawn` counts networks without both a latency and an accuracy.
    """

    split: str
    budget_ms: float
    majority: float | None
    chosen: tuple[Mark, ...]
    finalists: tuple[Mark, ...]
    baselines: tuple[Mark, ...]
    undrawn: int

    @property
    def every(self) -> tuple[Mark, ...]:
        """All of them, the chosen one first."""
        return self.chosen + self.finalists + self.baselines


def collect(run: Run) -> Marks:
    """The marks of a run."""
    result = run.result
    rivals = {rival.name: _mark(rival.name, rival.latency.ms, rival.accuracy.artefact) for rival in result.rivals}
    groups = (
        [_mark(result.network.name, result.latency.ms, result.accuracy.artefact)],
        [rivals[each.name] for each in result.finalists if each.name in rivals],
        [rivals[each.name] for each in result.baselines if each.name in rivals],
    )
    chosen, finalists, baselines = (tuple(mark for mark in group if mark is not None) for group in groups)
    return Marks(
        split=result.accuracy.split,
        budget_ms=result.budget_ms,
        majority=result.accuracy.majority,
        chosen=chosen,
        finalists=finalists,
        baselines=baselines,
        undrawn=sum(mark is None for group in groups for mark in group),
    )


def pareto(marks: Sequence[Mark]) -> list[Mark]:
    """The marks that no other mark beats in one of latency and accuracy without losing in the other, fastest first."""
    front: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.ms, -mark.accuracy)):
        if not front or mark.accuracy > front[-1].accuracy:
            front.append(mark)
    return front


def _mark(name: str, ms: float | None, accuracy: float | None) -> Mark | None:
    return None if ms is None or accuracy is None else Mark(name, ms, accuracy)
