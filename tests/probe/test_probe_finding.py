"""Claims and ratios, by hand."""

import math

import numpy as np
import pytest

from ridgepoint.probe.finding import Clocked, Finding, interval, ratios
from ridgepoint.probe.studies import STUDIES
from ridgepoint.probe.study import Published

SLOWER = Finding(claim="a is slower than b.", over="a", under="b", at_least=1.03)


def clocked(*loads: list[float], macs: int = 1) -> Clocked:
    return Clocked(macs, np.array(loads))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.03, 1.2, "holds"),
        (1.02, 1.2, "not distinguishable in this run"),
        (0.9, 1.03, "not distinguishable in this run"),
        (0.5, 1.02, "does not hold"),
    ],
)
def test_a_claim_holds_where_the_whole_interval_agrees(low: float, high: float, verdict: str) -> None:
    assert SLOWER.judge(low, high) == verdict


def test_a_claim_of_equality_has_an_upper_bound() -> None:
    equal = Finding(claim="a is about as fast as b.", over="a", under="b", at_most=1.1)
    assert equal.judge(0.7, 1.1) == "holds"
    assert equal.judge(1.05, 1.15) == "not distinguishable in this run"
    assert equal.judge(1.11, 1.15) == "does not hold"


def test_rounds_are_compared_in_pairs_and_loads_in_all_combinations() -> None:
    over, under = clocked([2.0, 40.0], [3.0, 60.0]), clocked([1.0, 20.0], [4.0, 80.0])
    found = ratios("time", [over], [under])
    assert found.tolist() == [[[2.0, 2.0], [0.5, 0.5]], [[3.0, 3.0], [0.75, 0.75]]]


def test_the_interval_of_what_does_not_scatter_is_a_point() -> None:
    assert interval(np.full((3, 3, 10), 1.25)) == (1.25, 1.25, 1.25)


def test_scatter_between_rounds_averages_out_and_scatter_between_loads_does_not() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.05, (3, 3, 400))
    low, middle, high = interval(1.5 + noise)
    assert 1.49 < low < middle < high < 1.51
    loads = np.array([1.4, 1.5, 1.6])[:, None, None] + np.zeros((3, 3, 400))
    assert interval(loads) == pytest.approx((1.4, 1.5, 1.6))


def test_several_variants_count_as_their_mean() -> None:
    found = ratios("time", [clocked([6.0])], [clocked([1.0]), clocked([3.0])])
    assert found.tolist() == [[[3.0]]]


def test_time_per_mac() -> None:
    found = ratios("time per MAC", [clocked([6.0], macs=12)], [clocked([4.0], macs=2)])
    assert found.tolist() == [[[0.25]]]


def test_macs_in_the_same_time_follow_the_power_law_through_the_widths() -> None:
    """`over` does 100 MACs x ms^2: in the 3 ms of `under`'s middle width that is 900, against its 300."""
    over = [clocked([ms, ms], macs=round(100 * ms**2)) for ms in (1.0, 2.0, 8.0)]
    under = [clocked([ms, ms], macs=round(100 * ms)) for ms in (1.0, 3.0, 9.0)]
    assert ratios("MACs in the same time", over, under) == pytest.approx(np.full((1, 1, 2), 3.0))


def test_a_published_ratio_needs_both_sides_and_the_same_quantity() -> None:
    published = Published("phone", "paper", {"a": 3.0, "b": 2.0})
    assert published.ratio(SLOWER) == 1.5
    assert published.ratio(Finding(claim="", over="a", under="c")) is None
    assert published.ratio(Finding(claim="", over="a", under="b", quantity="time per MAC")) is None


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_studies_name_only_what_they_have(study) -> None:
    known = {*study.variants, *study.groups}
    assert {name for members in study.groups.values() for name in members} <= set(study.variants)
    for finding in study.findings:
        assert {finding.over, finding.under} <= known
        assert 0 <= finding.at_least <= finding.at_most and (finding.at_least or finding.at_most < math.inf)
    for published in study.published:
        assert set(published.values) <= known, "a figure for nothing that is clocked"
        assert any(published.ratio(finding) for finding in study.findings), "a figure that no finding shows"


def test_the_papers_ratios() -> None:
    """From the papers' tables: MobileOne 2 (SiLU, ReLU), MobileNetV4 2 and 3, MobileNetV3 5, MobileNetV4 1."""
    expected = {
        ("activations", "SiLU", "ReLU"): [2.54 / 1.53],
        ("activations", "naive h-swish", "h-swish"): [57.5 / 51.4],
        ("h_swish", "h-swish everywhere", "h-swish in the second half"): [53.5 / 51.4],
        ("attention", "multi-head attention", "multi-query attention"): [5.38 / 0.85, 0.41 / 0.25, 3.31 / 1.95],
        ("key_value_stride", "full resolution", "half resolution"): [15.8 / 12.8, 7.4 / 5.9],
        ("uib", "ConvNext", "IB"): [6.9 / 6.1],
    }
    for (name, over, under), known in expected.items():
        study = STUDIES[name]
        (finding,) = (each for each in study.findings if (each.over, each.under) == (over, under))
        found = [each.ratio(finding) for each in study.published]
        assert [ratio for ratio in found if ratio is not None] == pytest.approx(known)
