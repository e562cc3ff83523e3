"""Rooflines: by hand, by brute force, and against figures that were computed elsewhere."""

import numpy as np
import pytest
from cost_helpers import brute_force_passes, random_network, tiny

from ridgepoint.arch.blocks.attention import MobileMultiQueryAttention
from ridgepoint.arch.blocks.convolution import Conv
from ridgepoint.arch.blocks.inverted import UniversalInvertedBottleneck
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.cost.device import Device, load_device
from ridgepoint.cost.latency import PredictedLatency
from ridgepoint.cost.precision import FLOAT16, INT8, Precision
from ridgepoint.cost.roofline import Roofline, predict_latency, roofline_macs
from ridgepoint.errors import InputError

BOARD = Device(name="board", source="invented", peak_macs_per_s=1e9, bandwidth_bytes_per_s=1e8)  # ridge point 10


def test_a_convolution_by_hand():
    network = tiny(Conv(out_channels=16, stride=2), size=8)
    passes = [
        (27 * 16 * 16, (27 * 16 + 4 * 16) + (192 + 256)),  # convolution: int8 weights, 32-bit bias
        (0, 256 + 16),  # pool
        (0, 16 + 16),  # to a vector
        (160, (160 + 4 * 10) + (16 + 10)),  # classifier
    ]
    seconds = sum(max(macs / 1e9, moved / 1e8) for macs, moved in passes)
    assert seconds == pytest.approx((9440 + 2720 + 320 + 2260) / 1e9)
    assert Roofline(BOARD).latency(network).ms == pytest.approx(seconds * 1e3, rel=1e-12)


def test_a_residual_bottleneck_by_hand():
    block = UniversalInvertedBottleneck(expand_channels=32, out_channels=8, middle_kernel=3)
    network = tiny(block, channels=8, size=4, num_classes=5)
    expand = (8 * 32 * 16, 2 * (8 * 32 + 32 + 8 * 16 + 32 * 16))  # float16: two bytes each
    depthwise = (9 * 32 * 16, 2 * (9 * 32 + 32 + 2 * 32 * 16))
    project = (32 * 8 * 16, 2 * (32 * 8 + 8 + 32 * 16 + 2 * 8 * 16))  # with the skip
    pool, flatten, classifier = (0, 2 * (8 * 16 + 8)), (0, 2 * 16), (40, 2 * (40 + 5 + 8 + 5))
    by_hand = sum(max(macs, 3.0 * moved) for macs, moved in (expand, depthwise, project, pool, flatten, classifier))
    device = Device(name="relative", source="invented", ridge_point=3.0)
    roofline = Roofline(device, precision="float16", fused="residual")
    assert float(roofline.time_macs(network)) == pytest.approx(by_hand, rel=1e-12)


def test_attention_by_hand():
    block = MobileMultiQueryAttention(heads=2, key_dim=4, value_dim=8)
    network = tiny(block, channels=8, size=4, num_classes=5)
    feature, scores = 8 * 16, 2 * 16 * 16
    passes = [
        (0, 4 * 16 + 2 * feature),  # norm: gains and biases are 4 bytes each
        (8 * 8 * 16, 64 + 2 * feature),  # query
        (8 * 4 * 16, 32 + feature + 64),  # key
        (8 * 8 * 16, 64 + 2 * feature),  # value
        (scores * 4, feature + 64 + scores),
        (0, 2 * scores),
        (scores * 8, scores + feature + 2 * feature),
        (16 * 8 * 16, 128 + 3 * feature),  # output
        (0, 3 * feature),  # addition
        (0, feature + 8),
        (0, 16),
        (40, 40 + 20 + 8 + 5),
    ]
    by_hand = sum(max(macs, 7.5 * moved) for macs, moved in passes)
    device = Device(name="relative", source="invented", ridge_point=7.5)
    assert float(Roofline(device).time_macs(network)) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("fused", ["none", "activation"])
def test_equals_brute_force_on_a_hundred_networks(fused):
    ridges = [0, 1.5, 31.2, 433.8]
    for seed in range(100):
        network = random_network(seed)
        passes = brute_force_passes(network, fused=fused == "activation")
        for (weight, activation, vector), name in (((1, 1, 4), "int8"), ((4, 4, 4), "float32")):
            sized = [(row[0], row[1] * weight + row[2] * vector + row[3] * activation) for row in passes]
            by_force = [sum(max(macs, ridge * moved) for macs, moved in sized) for ridge in ridges]
            ours = Roofline("pixel6-cpu", precision=name, fused=fused).time_macs(network, ridges)
            assert ours == pytest.approx(by_force, rel=1e-12), network.name


# By another program from other block tables: weights and activations in MB, MACs per byte, time in 1e6 MACs at RIDGES.
RIDGES = (0, 31.2, 39.7, 100, 347.3, 433.8, 500)
ELSEWHERE = {
    "mobilenetv1_100": (4.21, 10.19, 39.5, (569, 758, 824, 1470, 5000, 6245, 7198)),
    "mobilenetv2_100": (3.47, 13.45, 17.8, (301, 580, 694, 1692, 5875, 7338, 8458)),
    "mobilenetv3_large_100": (5.45, 8.92, 15.1, (217, 492, 595, 1437, 4990, 6233, 7185)),
    "mobilenetv3_small_100": (2.53, 2.96, 10.3, (57, 171, 218, 548, 1904, 2379, 2742)),
    "mobilenetv4_conv_small": (3.75, 4.03, 23.9, (186, 300, 346, 780, 2703, 3376, 3891)),
    "mobilenetv4_conv_medium": (9.65, 15.30, 43.3, (1080, 1313, 1396, 2537, 8662, 10820, 12471)),
    "mobilenetv4_hybrid_medium": (10.99, 18.60, 43.0, (1271, 1520, 1623, 3002, 10279, 12839, 14798)),
    "mobilenetv4_conv_large": (32.44, 54.92, 73.0, (6376, 7051, 7299, 9286, 30341, 37898, 43681)),
    "mobilenetv4_hybrid_large": (37.59, 70.81, 71.1, (7712, 8423, 8713, 11423, 37647, 47023, 54199)),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_figures_from_elsewhere(name):
    no_biases = Precision(name="int8 without biases", weight=1, activation=1, vector=0)
    roofline = Roofline("pixel6-cpu", precision=no_biases, multiplying_only=True)
    weights, activations, intensity, times = ELSEWHERE[name]
    passes = roofline.breakdown(load(name))
    moved = sum(each.activation_bytes for each in passes) / 1e6
    assert round(sum(each.weight_bytes for each in passes) / 1e6, 2) == weights
    assert moved == pytest.approx(activations, abs=0.0052)  # Conv-M is 15.294888, printed as 15.30
    macs, total = roofline.passes(load(name))
    assert round(macs.sum() / total.sum(), 1) == intensity
    assert tuple(np.round(roofline.time_macs(load(name), RIDGES) / 1e6).astype(int)) == times


def test_ridge_point_zero_is_macs_alone():
    for seed in range(10):
        roofline = Roofline(Device(name="zero", source="invented", ridge_point=0.0))
        macs, _ = roofline.passes(random_network(seed))
        assert float(roofline.time_macs(random_network(seed))) == macs.sum()


def test_vectorised_over_ridge_points():
    macs, moved, ridges = np.array([10.0, 0.0, 5.0]), np.array([1.0, 2.0, 5.0]), np.array([[0.0, 1.0], [3.0, 20.0]])
    assert roofline_macs(macs, moved, ridges).tolist() == [[15.0, 17.0], [31.0, 160.0]]
    assert float(roofline_macs(macs, moved, 1.0)) == 17.0


def test_depthwise_convolutions_take_their_own_time_beside_the_roofline():
    added = {"depthwise_ns_per_mac": 0.05, "large_depthwise_ns_per_mac": 0.7}
    device = Device(name="added", source="invented", peak_macs_per_s=1e9, ridge_point=10.0, **added)
    bare = Device(name="bare", source="invented", peak_macs_per_s=1e9, ridge_point=10.0)
    for name, ns_per_mac in (("mobilenetv1_100", 0.05), ("convnext_small", 0.75)):
        network = load(name)
        ms = [Roofline(each).latency(network).ms for each in (bare, device)]
        macs = sum(each.macs for each in cost(network, form="deploy").layers if each.kind == "depthwise")
        assert ms[1] - ms[0] == pytest.approx(macs * ns_per_mac * 1e-6)
        assert sum(each.ms for each in Roofline(device).breakdown(network)) == pytest.approx(ms[1])


def test_overheads_are_added_once_and_per_pass():
    device = Device(
        name="slow", source="invented", peak_macs_per_s=1e9, ridge_point=10.0, overhead_ms=2.0, pass_overhead_us=100.0
    )
    network = tiny(Conv(out_channels=16, stride=2), size=8)
    bare = Roofline(BOARD).latency(network).ms
    assert Roofline(device).latency(network).ms == pytest.approx(bare + 2.0 + 4 * 0.1)


def test_breakdown_says_what_bounds_each_pass():
    passes = Roofline(BOARD).breakdown(tiny(Conv(out_channels=16, stride=2), size=8))
    assert [each.bound for each in passes] == ["memory", "memory", "memory", "memory"]
    fast = Device(name="fast", source="invented", peak_macs_per_s=1e9, ridge_point=1.0)
    passes = Roofline(fast).breakdown(tiny(Conv(out_channels=16, stride=2), size=8))
    assert [each.bound for each in passes] == ["compute", "memory", "memory", "memory"]
    assert sum(each.share for each in passes) == pytest.approx(1.0)
    assert passes[0].ms == pytest.approx(6912 / 1e9 * 1e3)
    assert passes[0].absorbed == ("activation",)


def test_a_latency_says_that_it_is_predicted_and_how():
    latency = predict_latency(load("mobilenetv4_conv_small"), "pixel6-cpu")
    assert isinstance(latency, PredictedLatency)
    assert latency.device == "pixel6-cpu"
    assert latency.bytes_per_element == INT8.activation
    assert "roofline, deploy form, int8, fused: activation" in latency.method
    assert "fitted to MobileNetV4" in latency.method
    assert latency.ms == pytest.approx(2.4, rel=0.15)  # published: 2.4 ms
    other = Roofline("pixel6-cpu", precision=FLOAT16).latency(load("mobilenetv4_conv_small"))
    assert other.method.endswith("which holds for int8, fused: activation only")


def test_a_ridge_point_alone_has_no_milliseconds():
    relative = Device(name="relative", source="invented", ridge_point=31.2)
    roofline = Roofline(relative)
    assert roofline.time_macs(load("mobilenetv1_100")) > 0
    assert roofline.breakdown(load("mobilenetv1_100"))[0].ms is None
    with pytest.raises(InputError, match=r"'relative' has a ridge point \(31.2 MACs/byte\) but no peak.*Allowed"):
        roofline.latency(load("mobilenetv1_100"))


@pytest.mark.parametrize(("name", "worst"), [("pixel6-cpu", 0.17), ("galaxy-s23-cpu", 0.24), ("pixel4-dsp", 0.16)])
def test_within_the_recorded_error_of_published_latencies(name, worst):
    from ridgepoint.cost.published import published_rows

    device = load_device(name)
    assert device.fit is not None
    rows = [row for row in published_rows() if name in row.latency_ms]
    errors = [abs(predict_latency(row.load(), device).ms / row.latency_ms[name] - 1) for row in rows]
    assert len(errors) == device.fit.networks
    assert np.median(errors) == pytest.approx(device.fit.median_error, abs=0.002)
    assert max(errors) == pytest.approx(device.fit.worst_error, abs=0.002)
    other_designs = ("fastvit", "convnext", "efficientvit")
    assert max(error for error, row in zip(errors, rows, strict=True) if row.family not in other_designs) < worst
