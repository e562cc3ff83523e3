"""The marks of the accuracy-latency picture, in groups: what was measured never mixes with what was tabled."""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from ridgepoint.report.result import Run

Side = Literal["top center", "bottom center", "middle left", "middle right"]


class Mark(msgspec.Struct, frozen=True):
    """A network in the picture: its latency in milliseconds and its accuracy as a share."""

    name: str
    ms: float
    accuracy: float


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """The groups. All are exported files judged on test images, but `tabled`, judged on validation images.

    `undrawn` counts networks without both a latency and an accuracy.
    """

    split: str
    budget_ms: float
    chosen: tuple[Mark, ...]
    finalists: tuple[Mark, ...]
    baselines: tuple[Mark, ...]
    tabled: tuple[Mark, ...]
    undrawn: int

    @property
    def measured(self) -> tuple[Mark, ...]:
        """The exported files that were both clocked and tested, the chosen one first."""
        return self.chosen + self.finalists + self.baselines


def collect(run: Run) -> Marks:
    """The marks of a run."""
    result = run.result
    rivals = {rival.name: _mark(rival.name, rival.latency.ms, rival.accuracy.artefact) for rival in result.rivals}
    searched = [candidate for candidate in run.candidates if candidate.phase == "search"]
    groups = (
        [_mark(result.network.name, result.latency.ms, result.accuracy.artefact)],
        [rivals[each.name] for each in result.finalists if each.name in rivals],
        [rivals[each.name] for each in result.baselines if each.name in rivals],
        [_mark(each.name, each.tabled_ms, each.short_accuracy) for each in searched],
    )
    chosen, finalists, baselines, tabled = (tuple(mark for mark in group if mark is not None) for group in groups)
    return Marks(
        split=result.accuracy.split,
        budget_ms=result.budget_ms,
        chosen=chosen,
        finalists=finalists,
        baselines=baselines,
        tabled=tabled,
        undrawn=sum(mark is None for group in groups for mark in group),
    )


def pareto(marks: Sequence[Mark]) -> list[Mark]:
    """The marks that no other mark beats in one of latency and accuracy without losing in the other, fastest first."""
    front: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: (mark.ms, -mark.accuracy)):
        if not front or mark.accuracy > front[-1].accuracy:
            front.append(mark)
    return front


def label_sides(marks: Sequence[Mark], *, width: float, height: float) -> list[Side]:
    """For each mark the side on which its name meets the fewest others, in a picture `width` x `height` latencies."""
    sides: dict[Side, tuple[float, float]] = {
        "top center": (0.0, 0.06),
        "bottom center": (0.0, -0.06),
        "middle right": (0.09, 0.0),
        "middle left": (-0.09, 0.0),
    }
    places = [(mark.ms / (width or 1.0), mark.accuracy / (height or 1.0)) for mark in marks]
    taken = list(places)
    chosen: list[Side] = []
    for x, y in places:
        allowed = [side for side in sides if _inside(side, x)]
        side = max(allowed, key=lambda side: _room(x + sides[side][0], y + sides[side][1], taken, (x, y)))
        chosen.append(side)
        taken.append((x + sides[side][0], y + sides[side][1]))
    return chosen


def _inside(side: Side, x: float) -> bool:
    """Whether a name on this side stays off the axis on the left and inside the picture on the right."""
    return {"middle right": x < 0.8, "middle left": x > 0.2}.get(side, 0.1 < x < 0.9)


def _room(x: float, y: float, taken: list[tuple[float, float]], own: tuple[float, float]) -> float:
    """The distance to the nearest other thing, capped so that the first free side wins."""
    others = [math.dist((x, 2 * y), (u, 2 * v)) for u, v in taken if (u, v) != own]
    return min([*others, 0.12])


def _mark(name: str, ms: float | None, accuracy: float | None) -> Mark | None:
    return None if ms is None or accuracy is None else Mark(name, ms, accuracy)
