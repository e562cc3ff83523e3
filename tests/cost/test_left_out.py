"""Intervals of designs that were left out: against hand calculation, and against designs that are drawn."""

import numpy as np
import pytest

from ridgepoint.cost.left_out import covered, interval_of_families


def test_by_hand_families_count_alike_whatever_their_size():
    """Two families off by 10 % and by 20 %; Student's quantile for nine of ten with two degrees is 2.92."""
    ratios = np.exp([0.1, -0.1, 0.1, 0.1, -0.2])
    low, high = interval_of_families(ratios, np.array(["a", "a", "a", "a", "b"]))
    assert np.log(high) == pytest.approx(2.92 * np.sqrt((0.01 + 0.04) / 2), rel=1e-3) and low * high == pytest.approx(1)


def test_one_family_that_runs_otherwise_counts_as_three_times_the_middle_one():
    families = np.array(["a", "b", "c", "d", "odd"])
    usual, odd = np.full(5, 1.1), np.array([1.1, 1.1, 1.1, 1.1, 50.0])
    ends = [np.log(interval_of_families(each, families)[1]) for each in (usual, odd)]
    assert ends[1] / ends[0] == pytest.approx(np.sqrt((4 + 9) / 5))


def test_nine_of_ten_networks_of_a_new_design_are_held_where_errors_are_normal():
    """Designs are off together: seven of five networks each, then one more."""
    draw, held = np.random.default_rng(0), []
    families = np.repeat(np.arange(7).astype(str), 5)
    for _ in range(300):
        of_family, own = draw.normal(0, 0.2, 8), draw.normal(0, 0.1, (8, 5))
        logs = of_family[:, None] + own
        low, high = interval_of_families(np.exp(logs[:7].ravel()), families)
        held += list((np.log(low) <= logs[7]) & (logs[7] <= np.log(high)))
    assert 0.86 < np.mean(held) < 0.96


def test_each_kind_is_held_against_the_other_families_of_its_kind():
    ratios = np.array([1.0, 1.1, 0.9, 1.05, 3.0, 0.4])
    families = np.array(["a", "b", "c", "d", "e", "f"])
    large = np.array([False, False, False, False, True, True])
    assert covered(ratios, families, large).tolist() == [True, True, True, True, True, True]
    assert not covered(ratios, families, np.zeros(6, bool))[4]
    only = np.array([False] * 5 + [True])  # none other of its kind: all others count
    assert not covered(np.array([1.0, 1.1, 0.9, 1.05, 0.98, 0.4]), families, only)[5]
