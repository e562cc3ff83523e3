"""How a fit divides its time: by the clock, or by counts that reproduce."""

import msgspec

from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.settings import DEFAULT_TIME_S, FitSettings
from ridgepoint.train.loop import Bound
from ridgepoint.train.recipe import Recipe


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """When the search ends and how long trainings last.

    Under a time limit: the search ends when the run's clock reads `search_until_s`, and trainings last seconds. By
    count: the search ends after `evaluations` trained candidates, and trainings last the recipe's epochs. `expected`
    is about how many candidates will be trained either way.
    """

    evaluations: int | None = None
    expected: int
    search_until_s: float | None = None
    short_s: float | None = None
    full_s: float | None = None
    short_epochs: int

    @property
    def short(self) -> Bound:
        """The bound of a candidate's training."""
        return Bound(epochs=self.short_epochs) if self.short_s is None else Bound(seconds=self.short_s)

    def full(self, recipe: Recipe) -> Bound:
        """The bound of a full training: equal seconds for all, or the epochs of its recipe."""
        return Bound(epochs=recipe.epochs) if self.full_s is None else Bound(seconds=self.full_s)

    def search_progress(self, evaluated: int, elapsed_s: float, started_s: float) -> float:
        """The share of the search that is done, 0 to 1."""
        if self.evaluations is not None:
            return min(evaluated / self.evaluations, 1.0)
        assert self.search_until_s is not None
        return min((elapsed_s - started_s) / max(self.search_until_s - started_s, 1e-9), 1.0)


def make_plan(
    settings: FitSettings, recipe: Recipe, *, elapsed_s: float, kept_s: float, trainings: int, candidates: int = 24
) -> Plan:
    """Divide what is left of the time after preparation and calibration.

    What export, measurement and the report take is kept, up to a share of the time; of the rest the search gets its
    share, and the full trainings (finalists and baselines) get equal parts of what remains.

    Args:
        settings: The request.
        recipe: Gives the epochs where the run is bounded by count.
        elapsed_s: Seconds used so far.
        kept_s: Seconds that the end takes.
        trainings: How many full trainings there will be.
        candidates: About how many short trainings the search's time is divided into.
    """
    if settings.evaluations is not None:
        return Plan(evaluations=settings.evaluations, expected=settings.evaluations, short_epochs=recipe.short_epochs)
    left = max((settings.time_s or DEFAULT_TIME_S) - elapsed_s, 1.0)
    kept = min(kept_s, POLICY.kept_share * left)
    search = POLICY.search_share * (left - kept)
    side_by_side = max(settings.workers, 1)
    short_s = min(max(side_by_side * search / candidates, POLICY.shortest_s), POLICY.longest_s)
    return Plan(
        expected=max(round(side_by_side * search / short_s), 1),
        search_until_s=elapsed_s + search,
        short_s=short_s,
        full_s=(left - kept - search) / trainings,
        short_epochs=recipe.short_epochs,
    )
