"""Sweeps: the front against a definition written out in loops, and the figures that the papers claim."""

import numpy as np
import pytest

from ridgepoint.arch.zoo import load
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.sweep import pareto, sweep
from ridgepoint.errors import InputError

TABLE_6 = [
    "mobilenetv1_100",
    "mobilenetv2_050",
    "mobilenetv2_100",
    "mobileone_s0",
    "mobileone_s4",
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_medium",
    "mobilenetv4_conv_large",
    "mobilenetv4_hybrid_medium",
    "mobilenetv4_hybrid_large",
]


def front_in_loops(times, accuracy):
    def beaten(one, other):
        no_worse = times[other] <= times[one] and accuracy[other] >= accuracy[one]
        return no_worse and (times[other] < times[one] or accuracy[other] > accuracy[one])

    count = range(len(times))
    return [not np.isnan(accuracy[one]) and not any(beaten(one, other) for other in count) for one in count]


def test_front_equals_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(50):
        times = rng.integers(1, 8, size=(4, 9)).astype(float)  # small integers: ties happen
        accuracy = rng.integers(1, 6, size=9).astype(float)
        accuracy[rng.integers(0, 9)] = np.nan
        assert pareto(times, accuracy).tolist() == [front_in_loops(row, accuracy) for row in times]


def test_a_network_without_accuracy_has_times_but_no_place():
    swept = sweep([load("mobilenetv4_conv_small_035"), load("mobilenetv1_100")])
    without, with_accuracy = swept.networks
    assert without.top1 is None
    assert without.share == 0
    assert without.times_macs[0] < with_accuracy.times_macs[0]
    assert with_accuracy.share == 1  # the faster network has no accuracy, so it beats nobody


def test_times_are_the_roofline_s():
    swept = sweep([load("mobilenetv4_hybrid_medium")])
    by_device = float(Roofline("pixel4-dsp").time_macs(load("mobilenetv4_hybrid_medium"), 347))
    assert swept.networks[0].times_macs[347] == pytest.approx(by_device)


def test_ranges():
    swept = sweep([load("mobilenetv1_100"), load("mobilenetv3_large_100"), load("mobilenetv4_conv_small")])
    v1 = swept.networks[0]
    (low, high), *more = swept.ranges(v1)
    assert not more
    assert high == 500
    assert v1.on_front[int(low)]
    assert not v1.on_front[int(low) - 1]


def test_mobilenetv4_is_on_the_front_of_its_paper_s_table_at_every_ridge_point():
    swept = sweep([load(name) for name in TABLE_6])
    shares = {each.network.name: each.share for each in swept.networks}
    assert {name: share for name, share in shares.items() if name.startswith("mobilenetv4")} == {
        name: 1.0 for name in TABLE_6 if name.startswith("mobilenetv4")
    }
    assert shares["mobilenetv2_100"] == shares["mobileone_s0"] == shares["mobileone_s4"] == 0


def test_which_accuracy_counts():
    names = ["efficientformer_l1", "fastvit_t8", "mobilenetv4_conv_small"]
    found = {
        accuracy: [
            (each.top1, each.training) for each in sweep([load(name) for name in names], accuracy=accuracy).networks
        ]
        for accuracy in ("first", "labels", "best")
    }
    assert [top1 for top1, _ in found["first"]] == [79.2, 77.17, 73.8]
    assert found["labels"] == [(None, ""), (76.2, "ImageNet-1k only"), (73.8, "ImageNet-1k only")]
    assert [top1 for top1, _ in found["best"]] == [80.2, 77.2, 75.5]


def test_wrong_input():
    network = load("mobilenetv1_100")
    with pytest.raises(InputError, match="Needed: at least one of each, and every network under a name of its own"):
        sweep([network, network])
    with pytest.raises(InputError, match="0 ridge points"):
        sweep([network], ridge_points=[])
    with pytest.raises(InputError, match="unknown precision 'int9'"):
        sweep([network], precision="int9")
