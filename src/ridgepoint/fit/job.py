"""What the steps of one fit under way share: its folder, its data, what it must run on, and whoever watches."""

from dataclasses import dataclass
from functools import cached_property

import msgspec

from ridgepoint.cost.latency import LatencyModel
from ridgepoint.display import Display
from ridgepoint.fit.correction import corrected
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
    """One fit under way."""

    run: RunFolder[FitSettings]
    prepared: Prepared
    target: Target
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

    @cached_property
    def latency(self) -> LatencyModel:
        """What the search goes by: the table of this machine, corrected by the clock, or a device's profile."""
        if isinstance(self.target, Clocked):
            return corrected(self.run, self.prepared, self.target.host, self.display)
        return self.target

    @property
    def budget_ms(self) -> float:
        """The latency that must not be exceeded."""
        return self.run.settings.latency_ms

    @property
    def allowed_ms(self) -> float:
        """The most that a told latency may be for the budget to hold: less than the budget where it is predicted."""
        return self.target.allowed_ms(self.budget_ms)

    @property
    def limit_ms(self) -> float:
        """What the search allows itself: less than what is allowed where the trained file will be clocked again."""
        return (POLICY.margin if self.target.measured else 1.0) * self.allowed_ms
