"""What the steps of one fit under way share: its folder, its data, this machine's table, and whoever watches."""

from dataclasses import dataclass
from functools import cached_property

from ridgepoint.cost.latency import LatencyModel
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.display import Display
from ridgepoint.fit.correction import corrected
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.run.folder import RunFolder


@dataclass(kw_only=True)
class FitJob:
    """One fit under way."""

    run: RunFolder[FitSettings]
    prepared: Prepared
    host: HostTable
    display: Display

    @cached_property
    def latency(self) -> LatencyModel:
        """The table of this machine, corrected by the clock."""
        return corrected(self.run, self.prepared, self.host, self.display)

    @property
    def budget_ms(self) -> float:
        """The latency that must not be exceeded."""
        return self.run.settings.latency_ms

    @property
    def limit_ms(self) -> float:
        """What the search allows itself: the budget less a margin."""
        return POLICY.margin * self.budget_ms
