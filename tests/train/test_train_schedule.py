"""Every schedule against its closed form at five points."""

import math

import pytest

from ridgepoint.train.recipe import load_recipe
from ridgepoint.train.schedule import Annealed, Constant, Cosine, Exponential, Step

POINTS = (0.0, 0.1, 0.2, 0.6, 1.0)


@pytest.mark.parametrize(
    "schedule, shares",
    [
        (Constant(), [1, 1, 1, 1, 1]),
        (Constant(warmup=0.2, warmup_start=0.5), [0.5, 0.75, 1, 1, 1]),
        # Half a cosine: (1 + cos(pi t)) / 2 with t = 0.1, 0.2, 0.6.
        (Cosine(), [1, 0.9755282581, 0.9045084972, 0.3454915028, 0]),
        # After the rise t = 0, 0.5, 1; at half of it half of the way from 1 to 0.2.
        (Cosine(warmup=0.2, warmup_start=0.1, final=0.2), [0.1, 0.55, 1, 0.6, 0.2]),
        (Exponential(factor=0.5, every=0.3), [1, 1, 1, 0.25, 0.125]),
        (Exponential(factor=0.5, every=0.2, staircase=False), [1, 0.7071067812, 0.5, 0.125, 0.03125]),
        (Exponential(factor=0.5, every=0.1, warmup=0.2, warmup_start=0), [0, 0.5, 0.25, 0.015625, 0.0009765625]),
        (Step(factor=0.1, at=(0.2, 0.5)), [1, 1, 0.1, 0.01, 0.01]),
        (Step(factor=0.1, at=(0.5, 1.0), warmup=0.1, warmup_start=0), [0, 1, 1, 0.1, 0.01]),
    ],
    ids=str,
)
def test_the_learning_rate_against_its_closed_form(schedule, shares: list[float]):
    assert [schedule.share(point) for point in POINTS] == pytest.approx(shares, abs=1e-9)


@pytest.mark.parametrize("warmup, start", [(0.0, 1.0), (1.0, 0.001)])
def test_a_cosine_at_its_ends(warmup: float, start: float):
    assert Cosine(warmup=warmup).share(0.0) == pytest.approx(start)
    assert 0.0 <= Cosine(warmup=warmup).share(1.0) <= 1.0


def test_weight_decay_is_annealed_along_half_a_cosine():
    decay = Annealed(start=1e-4, end=1e-5)
    expected = [1e-5 + 9e-5 * (1 + math.cos(math.pi * point)) / 2 for point in POINTS]
    assert [decay.at(point) for point in POINTS] == pytest.approx(expected, rel=1e-12)
    assert decay.at(0.5) == pytest.approx(5.5e-5)


def test_a_staircase_falls_at_the_published_epochs_and_not_before():
    """MobileNetV3: times 0.99 every 3 of 1000 epochs, after 5 of warm-up."""
    recipe = load_recipe("mobilenetv3")
    for epoch in (6, 9, 300, 999):
        times = epoch // 3
        assert recipe.lr(epoch / 1000, 4096) == pytest.approx(0.1 * 0.99**times)
        assert recipe.lr(epoch / 1000 - 1e-6, 4096) == pytest.approx(0.1 * 0.99 ** (times - 1))
