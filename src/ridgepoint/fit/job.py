"""What the steps of one fit under way share: its folder, its data, what it must run on, and whoever watches."""

from dataclasses import dataclass
from functools import cached_property

import msgspec

from ridgepoint.cost.latency import LatencyModel
from ridgepoint.display import Display
from ridgepoint.fit.correction import corrected
from ridgepoint.fit.goals import Goal, TightestModel, shares, together
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.target import Clocked, Target
from ridgepoint.run.folder import RunFolder
from ridgepoint.run.result import Stage
from ridgepoint.search.study import Study


class Stages(msgspec.Struct, kw_only=True):
    """The step of a run that says what was finished on the way."""

    stages: list[Stage] = []


@dataclass(kw_only=True)
class FitJob:
    """One fit under way; the first of its goals is `--device`."""

    run: RunFolder[FitSettings]
    prepared: Prepared
    goals: tuple[Goal, ...]
    display: Display

    @property
    def stages(self) -> list[Stage]:
        """What was finished on the way, in its order."""
        known = self.run.read_step("stages", Stages)
        return [] if known is None else known.stages

    def passed(self, stage: Stage) -> None:
        """Keep that something was finished; of the same name only the first time counts."""
        if all(each.name != stage.name for each in self.stages):
            self.run.write_step("stages", msgspec.to_builtins(Stages(stages=[*self.stages, stage])))

    @cached_property
    def study(self) -> Study:
        """The journal of the run; to open it takes a quarter of a second."""
        return Study(self.run.path)

    @property
    def first(self) -> Goal:
        """What `--device` asks for: whose file is the run's own."""
        return self.goals[0]

    @property
    def further(self) -> tuple[Goal, ...]:
        """What every `--also` asks for."""
        return self.goals[1:]

    @cached_property
    def target(self) -> Target:
        """What the search asks: the only device, or all as one, whose times are brought to the first budget."""
        return together(self.goals)

    @cached_property
    def models(self) -> tuple[LatencyModel, ...]:
        """Of each goal: the table of its machine, corrected by the clock, or a device's profile."""
        return tuple(self._model(goal) for goal in self.goals)

    @cached_property
    def latency(self) -> LatencyModel:
        """What the search goes by: the only model, or all as one, whose times are brought to the first budget."""
        return TightestModel(self.models, shares(self.goals)) if self.further else self.models[0]

    def _model(self, goal: Goal) -> LatencyModel:
        if not isinstance(goal.target, Clocked):
            return goal.target
        where = f" on {goal.name}" if self.further else ""
        return corrected(self.run, self.prepared, goal.target.host, self.display, step=goal.step("gap"), where=where)

    @property
    def budget_ms(self) -> float:
        """The latency that must not be exceeded on the first."""
        return self.run.settings.latency_ms

    @property
    def allowed_ms(self) -> float:
        """The most that a told latency may be for the budget to hold: less than the budget where it is predicted."""
        return self.target.allowed_ms(self.budget_ms)

    def limit_of(self, goal: Goal) -> float:
        """The same for one goal, in its own milliseconds."""
        return self.limit_ms / shares(self.goals)[goal.number - 1]

    @property
    def limit_ms(self) -> float:
        """What the search allows itself: less than what is allowed where the trained file will be clocked again."""
        return (POLICY.margin if self.target.measured else 1.0) * self.allowed_ms
