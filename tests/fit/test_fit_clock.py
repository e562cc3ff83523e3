"""A run's plan: time is divided so that nothing is left over or missing; its command asks for the same."""

import pytest

from ridgepoint.fit.plan import make_plan
from ridgepoint.fit.settings import FitSettings, make_settings
from ridgepoint.train.recipe import load_recipe

SETTINGS = FitSettings(data="digits", latency_ms=1.0, time_s=100.0)
RECIPE = load_recipe("small_images")


@pytest.mark.parametrize("elapsed", [0.0, 20.0, 90.0])
@pytest.mark.parametrize("trainings", [2, 5])
def test_a_plan_divides_the_time_that_is_left(elapsed: float, trainings: int):
    plan = make_plan(SETTINGS, RECIPE, elapsed_s=elapsed, kept_s=8.0 * trainings, trainings=trainings)
    assert plan.search_until_s is not None and plan.full_s is not None and plan.short_s is not None
    ends = plan.search_until_s + trainings * plan.full_s
    assert elapsed < plan.search_until_s < ends < 100.0, "something is kept for export and measurement"
    assert 100.0 - ends == pytest.approx(min(8.0 * trainings, 0.5 * (100.0 - elapsed)))
    assert plan.full(RECIPE).seconds == plan.full_s and plan.short.seconds == plan.short_s
    halfway = (elapsed + plan.search_until_s) / 2
    assert plan.search_progress(0, halfway, elapsed) == pytest.approx(0.5)
    assert plan.search_progress(99, plan.search_until_s + 1, elapsed) == 1.0


def test_a_plan_by_count_knows_no_clock():
    counted = FitSettings(data="digits", latency_ms=1.0, evaluations=4)
    plan = make_plan(counted, RECIPE, elapsed_s=1e6, kept_s=9.0, trainings=3)
    assert plan.full_s is None and plan.short_s is None and plan.search_until_s is None
    assert plan.full(RECIPE).epochs == RECIPE.epochs and plan.short.epochs == RECIPE.short_epochs
    assert [plan.search_progress(done, 1e6, 0.0) for done in (0, 1, 4, 9)] == [0.0, 0.25, 1.0, 1.0]


def test_a_command_line_asks_for_the_same_again():
    settings = make_settings(
        data="my photos/",
        latency_ms=2.5,
        evaluations=3,
        seed=7,
        changes={"optimizer.lr": 0.01},
        baselines=0,
        table="a b.json",
    )
    told = settings.command(out="runs/x y")
    assert "'my photos/'" in told and "--latency 2.5ms" in told and "--evaluations 3" in told
    assert "--set optimizer.lr=0.01" in told and "--baselines 0" in told and "--seed 7" in told
    assert "--table 'a b.json'" in told and "--out 'runs/x y'" in told and "--time" not in told
