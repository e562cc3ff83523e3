"""A target and its budget; and several of them as the one number that a search holds against one budget."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ridgepoint.arch.network import Network
from ridgepoint.cost.latency import Latency, LatencyModel, scaled
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.target import OneTarget, Target, find_target
from ridgepoint.fit.target import in_float as one_in_float
from ridgepoint.fit.wanted import Wanted, wanted
from ridgepoint.run.result import Told

L = TypeVar("L", bound=Latency)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A target, and the most that a network may take there; the first one's `number` is 1."""

    wanted: Wanted
    target: OneTarget
    number: int = 1

    @property
    def name(self) -> str:
        """What its results are called."""
        return self.wanted.name

    @property
    def budget_ms(self) -> float:
        """The latency that must not be exceeded."""
        return self.wanted.budget_ms

    @property
    def allowed_ms(self) -> float:
        """The most that a told latency may be for the budget to hold: less than the budget where it is predicted."""
        return self.target.allowed_ms(self.budget_ms)

    def step(self, name: str) -> str:
        """What the run calls a step that every goal has."""
        return name if self.number == 1 else f"{name}-on-{self.number}"


def find_goals(settings: FitSettings) -> tuple[Goal, ...]:
    """What a request asks for, `--device` first.

    Raises:
        InputError: If something is no device, or nothing can be promised for it.
    """
    return tuple(
        Goal(wanted=each, target=find_target(each, settings), number=number)
        for number, each in enumerate(wanted(settings), 1)
    )


def together(goals: Sequence[Goal]) -> Target:
    """What a search goes by: the only target, or all of them as one."""
    return goals[0].target if len(goals) == 1 else Tightest(goals)


def in_float(goals: Sequence[Goal]) -> Target:
    """The same, where int8 might have shipped and may not."""
    return together(
        [replace(goal, target=one_in_float(goal.target)) if goal.wanted.precision == "auto" else goal for goal in goals]
    )


def shares(goals: Sequence[Goal]) -> list[float]:
    """By what factor each goal's milliseconds become those of the first one's budget."""
    return [goals[0].allowed_ms / goal.allowed_ms for goal in goals]


@dataclass(frozen=True)
class TightestModel:
    """Of several latency models the one that is tightest for a network, in milliseconds of the first one's budget.

    A `LatencyModel`. The largest share of a budget is the one that binds: where it is within 1, all budgets hold.
    """

    models: Sequence[LatencyModel]
    factors: Sequence[float]

    def latency(self, network: Network) -> Latency:
        """The latency of the kind that the tightest one's model gives."""
        return tightest([model.latency(network) for model in self.models], self.factors)


class Tightest:
    """Several targets as one; a `Target`. Its times are as those of `TightestModel`."""

    def __init__(self, goals: Sequence[Goal]):
        self.goals, self.factors = goals, shares(goals)
        self.measured = any(goal.target.measured for goal in goals)
        self.model = " and ".join(goal.target.model for goal in goals)
        self._model = TightestModel([goal.target for goal in goals], self.factors)

    def allowed_ms(self, budget_ms: float) -> float:
        """See `Target`; the budget is the first one's."""
        return self.goals[0].target.allowed_ms(budget_ms)

    def latency(self, network: Network) -> Latency:
        """See `Target`."""
        return self._model.latency(network)

    def measure_networks(self, networks: Mapping[str, Network]) -> dict[str, float]:
        """See `Target`; of the tightest one that has a clock, where any has one."""
        asked = [(goal, each) for goal, each in zip(self.goals, self.factors, strict=True) if self._counts(goal)]
        found = [(goal.target.measure_networks(networks), factor) for goal, factor in asked]
        return {name: max(factor * ms[name] for ms, factor in found) for name in networks}

    def clock(
        self, networks: Mapping[str, Network], *, patience_s: float | None = None, seconds: float = math.inf
    ) -> Mapping[str, Told]:
        """See `Target`."""
        return self.joined(self.clock_each(networks, patience_s=patience_s, seconds=seconds))

    def clock_each(
        self, networks: Mapping[str, Network], *, patience_s: float | None = None, seconds: float = math.inf
    ) -> list[Mapping[str, Told]]:
        """The same of each goal, in its own milliseconds; the seconds are those of all."""
        until = time.monotonic() + seconds
        found: list[Mapping[str, Told]] = []
        for goal in self.goals:
            found.append(goal.target.clock(networks, patience_s=patience_s, seconds=until - time.monotonic()))
            networks = {name: networks[name] for name in found[-1]}
        return [{name: each[name] for name in networks} for each in found]

    def joined(self, found: Sequence[Mapping[str, Told]]) -> Mapping[str, Told]:
        """From the times of each goal those of the tightest."""
        return {name: tightest([each[name] for each in found], self.factors) for name in found[0]}

    def lacking(self, network: Network) -> set[str]:
        """See `Target`."""
        return {f"{goal.number} {block}" for goal in self.goals for block in goal.target.lacking(network)}

    def knows(self, network: Network) -> bool:
        """See `Target`."""
        return all(goal.target.knows(network) for goal in self.goals)

    def try_out(self, network: Network) -> tuple[float, float]:
        """See `Target`: the seconds of all, the milliseconds of the first, where files are checked."""
        found = [goal.target.try_out(network) for goal in self.goals]
        return sum(seconds for seconds, _ in found), found[0][1]

    def _counts(self, goal: Goal) -> bool:
        return goal.target.measured or not self.measured


def tightest(latencies: Sequence[L], factors: Sequence[float]) -> L:
    """The latency that takes the largest share of its budget, in milliseconds of the first one's budget."""
    every = [scaled(latency, factor) for latency, factor in zip(latencies, factors, strict=True)]
    return max(every, key=lambda latency: latency.ms)
