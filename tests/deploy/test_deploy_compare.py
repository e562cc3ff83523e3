"""The verdict on two sessions: what it says of equal ones, of different ones, and of ones that drift together."""

import numpy as np
import pytest

from ridgepoint.deploy.compare import RESOLUTION, compare

ROUNDS = 30


def rounds(rng: np.random.Generator, ms: float, drift: np.ndarray) -> list[float]:
    """Rounds with 5 % noise of their own, and now and then a disturbed one, on a machine that drifts."""
    disturbed = np.where(rng.random(ROUNDS) < 0.1, rng.uniform(1.0, 2.0, ROUNDS), 1.0)
    return list(ms * drift * disturbed * np.exp(0.05 * rng.standard_normal(ROUNDS)))


def drift(rng: np.random.Generator) -> np.ndarray:
    return np.exp(np.cumsum(0.1 * rng.standard_normal(ROUNDS)))


def test_a_copy_of_itself_is_not_distinguishable_in_99_of_100_runs():
    rng = np.random.default_rng(0)
    told = []
    for _ in range(1000):
        machine = drift(rng)
        told += [verdict.differ for verdict in compare({name: rounds(rng, 5.0, machine) for name in ("a", "b")})]
    assert sum(told) <= 10


@pytest.mark.parametrize("copies", [4, 12])
def test_many_copies_are_no_more_distinguishable_than_two(copies: int):
    """Without Holm's adjustment about one run in five would tell some of twelve apart."""
    rng = np.random.default_rng(1)
    told = 0
    for _ in range(100):
        machine = drift(rng)
        verdicts = compare({str(index): rounds(rng, 5.0, machine) for index in range(copies)})
        assert len(verdicts) == (6 if copies == 4 else 11)
        told += any(verdict.differ for verdict in verdicts)
    assert told <= 2


def test_one_that_is_twice_as_slow_differs_whatever_the_machine_does():
    rng = np.random.default_rng(2)
    for _ in range(200):
        machine = drift(rng)
        (verdict,) = compare({"slow": rounds(rng, 10.0, machine), "fast": rounds(rng, 5.0, machine)})
        assert (verdict.first, verdict.second, verdict.differ) == ("fast", "slow", True)
        assert verdict.ratio == pytest.approx(1 / 2, rel=0.15)
    assert str(verdict) == "these two differ"


def test_a_difference_that_loading_again_would_make_is_none():
    fast = np.linspace(5.0, 6.0, ROUNDS)
    (near,) = compare({"a": fast, "b": fast * (1 + RESOLUTION / 2)})
    (far,) = compare({"a": fast, "b": fast * (1 + 2 * RESOLUTION)})
    assert near.p < 1e-6 and not near.differ and str(near) == "not distinguishable in this run"
    assert far.differ


def test_the_same_times_and_a_single_session():
    (same,) = compare({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]})
    assert (same.ratio, same.p, same.differ) == (1.0, 1.0, False)
    assert compare({"a": [1.0, 2.0]}) == []


def test_holms_adjustment_by_hand():
    """Three sessions, five rounds: c against a and b has the least p there is, 2 / 2**5; a against b has 1."""
    noise = np.array([1.0, 1.1, 0.9, 1.05, 0.95])
    verdicts = compare({"a": noise, "b": noise, "c": 2 * noise})
    assert [(v.first, v.second, v.p) for v in verdicts] == [
        ("a", "b", 1.0),
        ("a", "c", pytest.approx(3 * 2 / 2**5)),
        ("b", "c", pytest.approx(3 * 2 / 2**5)),
    ]
