"""Devices: the shipped ones, files of one's own, and what a wrong one says."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.cost.device import DEVICES, Device, list_devices, load_device
from ridgepoint.cost.fitting import Features, fit_device, fit_line, leave_families_out, predicted_left_out
from ridgepoint.cost.precision import precision_named
from ridgepoint.cost.published import RIDGE_POINTS, PublishedRow, published_rows, published_tables
from ridgepoint.cost.roofline import Roofline
from ridgepoint.errors import InputError

GOOD = "name: board\nsource: my own hands\npeak_macs_per_s: 60.0e+9\nbandwidth_bytes_per_s: 8.0e+9\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "board.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("former", "name"), [("fp32", "float32"), ("fp16", "float16"), ("float16", "float16")])
def test_precisions_have_one_name_and_their_former_one_is_understood(tmp_path: Path, former: str, name: str):
    assert load_device(write(tmp_path, f"{GOOD}precision: {former}\n")).precision == name
    assert precision_named(former).name == name


def test_the_paper_s_devices_and_their_ridge_points():
    ridges = {
        name: load_device(name).ridge for name in ("pixel6-cpu", "galaxy-s23-cpu", "pixel4-dsp", "pixel8-edgetpu")
    }
    assert ridges == {"pixel6-cpu": 31.2, "galaxy-s23-cpu": 39.7, "pixel4-dsp": 347.3, "pixel8-edgetpu": 433.8}


@pytest.mark.parametrize("name", list_devices())
def test_shipped_numbers_are_what_a_new_fit_gives(name):
    (table,) = (each for each in published_tables() if name in each.devices)
    free = table.devices[name].ridge_point is None
    fitted = fit_device(
        table.device(name), table.rows, published=table.name, ridge_points=RIDGE_POINTS if free else None
    )
    assert fitted == load_device(name)
    assert fitted.fit is not None
    assert not free or (fitted.fit.left_out_median_error <= 0.2 and fitted.fit.left_out_spearman >= 0.8)


@pytest.mark.parametrize(
    "paid",
    [
        {"overhead_ms": 1.5},
        {"pass_overhead_us": 20.0},
        {"pass_overhead_us": 20.0, "large_depthwise_ns_per_mac": 0.7},
        {"overhead_ms": 1.5, "depthwise_ns_per_mac": 0.05},
        {"pass_overhead_us": 20.0, "depthwise_ns_per_mac": 0.05, "large_depthwise_ns_per_mac": 0.7},
    ],
)
def test_a_fit_finds_the_rates_that_made_the_latencies(paid):
    made = Device(name="made", source="invented", ridge_point=50.1, peak_macs_per_s=2e11, **paid)
    rows = [
        msgspec.structs.replace(row, latency_ms={"made": Roofline(made).latency(row.load()).ms})
        for row in published_rows()
    ]
    bare = Device(name="made", source="invented", ridge_point=0.0)
    fitted = fit_device(bare, rows, published="invented", ridge_points=RIDGE_POINTS)
    assert (fitted.ridge, fitted.peak) == (50.1, pytest.approx(2e11, rel=1e-3))
    assert fitted.overhead_ms == pytest.approx(made.overhead_ms, abs=1e-3)
    assert fitted.pass_overhead_us == pytest.approx(made.pass_overhead_us, abs=0.01)
    assert fitted.depthwise_ns_per_mac == pytest.approx(made.depthwise_ns_per_mac, rel=2e-3)
    assert fitted.large_depthwise_ns_per_mac == pytest.approx(made.large_depthwise_ns_per_mac, rel=1e-3)
    assert fitted.interval == fitted.large_depthwise_interval == (1.0, 1.0)
    assert fitted.fit is not None
    assert (fitted.fit.worst_error, fitted.fit.left_out_median_error, fitted.fit.left_out_spearman) == (0.0, 0.0, 1.0)
    added = ", depthwise convolutions" if made.depthwise_ns_per_mac else ""
    added += ", large depthwise convolutions" if made.large_depthwise_ns_per_mac else ""
    assert fitted.fit.fitted == f"peak, bandwidth, overhead per {'image' if made.overhead_ms else 'pass'}{added}"


def test_what_usual_depthwise_convolutions_add_is_found_in_8_bits_alone():
    made = Device(name="made", source="invented", ridge_point=50.1, peak_macs_per_s=2e11, depthwise_ns_per_mac=0.05)
    for precision, found in (("int8", pytest.approx(0.05, rel=2e-3)), ("float16", 0)):
        there = msgspec.structs.replace(made, precision=precision)
        rows = [
            msgspec.structs.replace(row, latency_ms={"made": Roofline(there).latency(row.load()).ms})
            for row in published_rows()
        ]
        bare = Device(name="made", source="invented", ridge_point=50.1, precision=precision)
        assert fit_device(bare, rows, published="invented").depthwise_ns_per_mac == found


def test_families_are_predicted_from_the_others_alone():
    """By hand: the outlier's family is predicted by the line through the others, and theirs bend towards it."""
    times = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    given = np.array([2.0, 4.0, 6.0, 8.0, 20.0, 12.0])
    features = Features(times, np.ones((1, 6)), np.zeros((2, 6)))
    left = leave_families_out(features, given, ["a", "a", "b", "b", "odd", "c"])
    line = fit_line(features.of(np.arange(6) != 4), given[np.arange(6) != 4])
    assert (line.ms_per_unit, line.overhead_ms) == (pytest.approx(2.0), pytest.approx(0.0, abs=1e-9))
    predicted = predicted_left_out(features, given, ["a", "a", "b", "b", "odd", "c"])
    assert predicted[4] == pytest.approx(10.0)  # where 20 ms were measured
    assert left.median_error == pytest.approx(np.median(np.abs(predicted / given - 1)))
    with pytest.raises(ValueError, match="3 latencies are left; a fit needs at least 4"):
        leave_families_out(features, given, ["a", "a", "a", "b", "b", "c"])


def test_a_family_that_runs_otherwise_does_not_bend_what_is_said_of_the_others():
    """By squares alone the line through the five would be at 2.3 ms a unit, a seventh off."""
    times, given = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]), np.array([2.0, 4.0, 6.0, 8.0, 10.0, 60.0])
    line = fit_line(Features(times, np.ones((1, 6)), np.zeros((2, 6))), given)
    assert line.ms_per_unit == pytest.approx(2.0, rel=0.02)


def test_a_network_with_large_depthwise_convolutions_is_no_longer_told_to_be_fast():
    """FastViT-S12 takes 83 ms on a Pixel 6; a roofline alone says 18. Published for it: MobileNetV4, Table 6."""
    device = load_device("pixel6-cpu")
    slow, usual = load("fastvit_s12"), load("mobilenetv4_conv_medium")
    assert Roofline(device).latency(slow).ms == pytest.approx(83, rel=0.2)
    without = msgspec.structs.replace(device, large_depthwise_ns_per_mac=0.0)
    assert Roofline(without).latency(slow).ms < 20
    assert Roofline(without).latency(usual) == Roofline(device).latency(usual)


def test_networks_with_large_depthwise_convolutions_have_an_interval_of_their_own():
    device = load_device("pixel6-cpu")
    for name, interval in (
        ("mobilenetv4_conv_small", device.interval),
        ("convnext_small", device.large_depthwise_interval),
    ):
        told = Roofline(device).latency(load(name))
        assert (told.low_ms / told.ms, told.high_ms / told.ms) == pytest.approx(interval)
    alone = load_device("pixel4-dsp")  # on which no such network was measured
    assert alone.large_depthwise_interval is None and alone.interval_of(True) == alone.interval


def test_a_fit_needs_four_latencies():
    with pytest.raises(ValueError, match="0 latencies for device 'nowhere'; a fit needs at least 4"):
        fit_device(Device(name="nowhere", source="x", ridge_point=1.0), published_rows(), published="x")


def test_published_networks_are_the_ones_that_were_published():
    for row in published_rows():
        counted = cost(row.load(), form="deploy")
        # FastViT's published checkpoints have 4.0 and 9.4 M parameters where its paper and this one print 3.6 and 8.8.
        params = {"fastvit_t8": 4.0, "fastvit_s12": 9.4}.get(row.network, row.params_m)
        assert counted.params / 1e6 == pytest.approx(params, rel=0.07), row.network
        # Printed with one digit, for MobileNetV4 in units of 2^30; MobileOne's own paper has 2.978 G, this one 1.5.
        printed = 2.978 if row.network == "mobileone_s4" else row.macs_g
        assert counted.macs / 1e9 == pytest.approx(printed, rel=0.09, abs=0.051), row.network


# Parameters and MACs counted by others: torchvision's EfficientNets and MnasNet 0.5, MnasNet-A1's paper, and the
# weights of ncnn's graphs.
KNOWN_FOR_COST = {
    ("efficientnet_b0", 1.0): (5_288_548, 385_814_752),
    ("efficientnet_b4", 1.0): (19_341_616, 4_393_771_024),
    ("mnasnet_b1", 0.5): (2_218_512, 104_455_968),
}


@pytest.mark.parametrize(("name", "width"), KNOWN_FOR_COST)
def test_networks_outside_the_zoo_count_as_elsewhere(name, width):
    counted = cost(PublishedRow(network=name, width=width, latency_ms={}).load())
    assert (counted.params, counted.macs) == KNOWN_FOR_COST[name, width]


def test_networks_of_ncnn_and_of_mnasnet_s_paper():
    weights = {"mnasnet_b1": 4_344_392, "proxylessnas": 4_046_296}
    for name, number in weights.items():
        counted = cost(PublishedRow(network=name, latency_ms={}).load(), form="deploy")
        assert counted.weight_bytes(1.0, 0.0) == number
    counted = cost(PublishedRow(network="mnasnet_a1", latency_ms={}).load())
    assert (counted.params / 1e6, counted.macs / 1e6) == (pytest.approx(3.9, abs=0.05), pytest.approx(312, abs=1))


def test_every_published_network_can_be_loaded_and_has_a_name_of_its_own():
    for table in published_tables():
        names = [row.load().name for row in table.rows]
        assert len(set(names)) == len(names)
        assert table.licence
        for row in table.rows:
            assert row.latency_ms.keys() <= table.devices.keys()
    small = PublishedRow(network="mobilenetv2_100", width=0.5, size=96, latency_ms={})
    assert (small.load().name, small.load().input, small.family) == (
        "mobilenetv2_100_x0.5_96",
        (3, 96, 96),
        "mobilenetv2",
    )


def test_a_file_of_one_s_own(tmp_path):
    device = load_device(write(tmp_path, GOOD))
    assert (device.ridge, device.peak, device.timed) == (7.5, 60e9, True)
    bandwidth = load_device(write(tmp_path, "name: b\nsource: s\nbandwidth_bytes_per_s: 2.0\nridge_point: 8.0\n"))
    assert bandwidth.peak == 16.0
    alone = load_device(write(tmp_path, "name: b\nsource: s\nridge_point: 8.0\n"))
    assert not alone.timed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: b\n", "the key 'source' is missing"),
        (GOOD + "ridgepoint: 7.5\n", "unknown key 'ridgepoint'; did you mean 'ridge_point'"),
        (GOOD.replace("60.0e+9", "fast"), "peak_macs_per_s: is 'fast'"),
        (GOOD.replace("60.0e+9", "-1"), "peak_macs_per_s: is -1. Allowed"),
        (GOOD + "ridge_point: 9\n", "ridge_point is 9, but peak_macs_per_s / bandwidth_bytes_per_s is 7.5"),
        ("name: b\nsource: s\n", "a device needs peak_macs_per_s and bandwidth_bytes_per_s, or ridge_point"),
        (GOOD + "precision: int7\n", "unknown precision 'int7'; did you mean 'int8'"),
        (GOOD + "fused: all\n", "fused: is 'all'; Allowed: activation, block, none, residual"),
        ("[1, 2]", "is [1, 2]. Allowed: a mapping"),
        ("a: [", "cannot be read as YAML"),
        (GOOD.replace("60.0e+9", "1e300"), "peak_macs_per_s: is 1e+300. Allowed: `float` <= 1"),
        (GOOD.replace("60.0e+9", "1e-9"), "peak_macs_per_s: is 1e-09. Allowed: `float` >= 1"),
        (GOOD.replace("60.0e+9", ".inf"), "peak_macs_per_s: is inf. Allowed: a finite number"),
        (GOOD + "overhead_ms: 1e300\n", "overhead_ms: is 1e+300"),
        (GOOD + "interval: [0, 1]\n", "interval.0: is 0. Allowed: `float` >= 1e-06"),
        (GOOD + "source: again\n", "source: is given twice"),
        ("name: b\nsource: s\nridge_point: 1e-300\n", "ridge_point is 1e-300. Allowed: 0 for none, or from 0.001"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path, text, told):
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        load_device(write(tmp_path, text))
    assert "board.yaml" in str(caught.value)


def test_unknown_names_and_paths():
    with pytest.raises(InputError, match="unknown device 'pixel6_cpu'; did you mean 'pixel6-cpu'"):
        load_device("pixel6_cpu")
    with pytest.raises(InputError, match="no such file"):
        load_device("nowhere/board.yaml")


def test_host_is_a_profile_that_is_given_or_asked_for():
    board = Device(name="host", source="calibrated", peak_macs_per_s=1e9, ridge_point=5.0)
    assert load_device("host", host=board) is board
    with pytest.raises(InputError, match="run `ridgepoint calibrate`, then"):
        load_device("host")


def test_every_shipped_file_is_named_as_its_device():
    for path in DEVICES.glob("*.yaml"):
        assert load_device(path).name == path.stem


def test_no_torch():
    code = (
        "import sys; from ridgepoint.cost.roofline import predict_latency; from ridgepoint.arch.zoo import load; "
        "predict_latency(load('mobilenetv4_conv_small'), 'pixel6-cpu'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
