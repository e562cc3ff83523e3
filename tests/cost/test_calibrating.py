"""Calibration learns machines whose law is known: a linear one exactly, a roofline's rates, a crooked one nearly."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from cost_helpers import stored

from ridgepoint.arch.blocks import BLOCKS
from ridgepoint.arch.network import Network, place_blocks, place_row
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost import calibrating
from ridgepoint.cost.calibrating import LEAST_SAMPLES, calibrate
from ridgepoint.cost.count import cost
from ridgepoint.cost.device import Device
from ridgepoint.cost.pass_times import learn
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.rows import Row, entry_row, network_rows
from ridgepoint.cost.samples import is_searched, sample_network
from ridgepoint.cost.space_table import compile_space
from ridgepoint.cost.table import Calibration, Conditions, LatencyTable, Sample, row_key
from ridgepoint.cost.tabled import TabledModel
from ridgepoint.errors import InputError

HERE = Conditions(device="a cpu", runtime="onnxruntime", runtime_version="1.0", threads=1)
ZOO = ("mobilenetv2_100", "mobilenetv3_large_100", "mobilenetv4_conv_small", "mobileone_s0", "efficientformer_l1")
BOARD = Device(
    name="board", source="a law", peak_macs_per_s=40e9, bandwidth_bytes_per_s=10e9, pass_overhead_us=2.0,
    precision="float32", fused="activation",
)  # fmt: skip


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    return [sample_network(number) for number in range(320)]


@pytest.fixture(scope="module")
def calibration(networks: list[Network]) -> Calibration:
    """Of a machine that is a roofline."""
    return calibrate(samples(networks, lambda network: Roofline(BOARD).latency(network).ms), HERE)


def test_networks_are_sampled_as_small_as_fit_searches_them(networks: list[Network]):
    """From 64 px on; what ends in maps of 2x2 costs other than what ends in 7x7."""
    sides = [network.input[1] for network in networks if is_searched(network)]
    assert min(sides) == 64 and sides.count(64) + sides.count(96) >= len(sides) / 8
    last = [place_blocks(network)[-1].input for network in networks]
    assert {2, 3, 4} <= {shape.height for shape in last}


def samples(networks: list[Network], ms: Callable[[Network], float]) -> list[Sample]:
    return [
        Sample(network=network, at=stored(1.0).at, ms=ms(network), again_ms=1.02 * ms(network)) for network in networks
    ]


def linear_ms(row: Row) -> float:
    """10 GMAC/s, 20 times that for depthwise weights, 0.5 ms per M elements, 3 us a pass, gelu 1 ms per M elements."""
    depthwise = row.kind == "depthwise"
    gelu = 1.0 * row.write_elements / 1e6 if row.activation == "gelu" else 0.0
    elements = 0.5 * (row.read_elements + row.write_elements) / 1e6
    return row.macs / 10e6 + depthwise * 0.2 * row.params / 1e6 + elements + gelu + 0.003


def crooked_ms(row: Row) -> float:
    """The same, but twice as slow where there are few channels."""
    return linear_ms(row) * (1.0 + 1.0 / (1.0 + (row.out_channels / 32) ** 2))


def test_rows_hold_every_mac_of_what_ships():
    for name in ZOO:
        rows = network_rows(load(name))
        assert sum(row.macs for row in rows) == cost(load(name), form="deploy").macs
        assert sum(row.params for row in rows) == cost(load(name), form="deploy").params


def test_a_row_tells_what_runs_in_one_pass():
    """MobileNetV2's second bottleneck at 112x112: expand with ReLU6; 3x3/2 depthwise with ReLU6; project alone."""
    block = next(block for block in place_blocks(load("mobilenetv2_100"), deploy=True) if block.path == "stages.1.0")
    expand, depthwise, project = [row for row in network_rows(load("mobilenetv2_100"))][4:7]
    assert block.input.channels == expand.in_channels == 16 and expand.out_channels == 96
    assert (expand.variant, expand.activation, expand.positions) == ("pointwise 1/1", "relu6", 112 * 112)
    assert (depthwise.variant, depthwise.activation, depthwise.macs) == ("depthwise 3/2", "relu6", 9 * 96 * 56 * 56)
    assert (project.variant, project.activation, project.adds) == ("pointwise 1/1", "none", 0)


def test_grouped_convolutions_that_multiply_channels_are_passes_of_their_own_kind():
    """Runtimes have routines for one filter a channel; ONNX Runtime takes seven times as long for two in 8 bits."""
    kinds = Counter(row.kind for row in network_rows(load("fastvit_t8")))
    assert kinds["grouped"] == 4 and kinds["depthwise"] > 10, "in its reductions, and the last one"


def test_depthwise_convolutions_of_odd_channels_are_learned_apart(networks: list[Network]):
    """A machine on which they are twenty times as slow, as in ONNX Runtime's int8: the others do not pay for that."""

    def odd_ms(row: Row) -> float:
        return linear_ms(row) + (2.0 * row.macs / 1e6 if row.kind == "depthwise" and row.in_channels % 16 else 0.0)

    files = [network_rows(network) for network in networks]
    passes = learn(files, np.array([sum(map(odd_ms, rows)) for rows in files]))
    for name in ("mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv4_conv_small"):
        rows = network_rows(load(name))
        assert passes.ms(rows).sum() == pytest.approx(sum(map(odd_ms, rows)), rel=0.05), name


def test_vectors_that_are_not_full_are_learned(networks: list[Network]):
    """A machine that multiplies whole vectors of 16 channels: 8 of them take what 16 take."""

    def filled_ms(row: Row) -> float:
        filled = -(-row.in_channels // 16) * -(-row.out_channels // 16) * 16**2 / (row.in_channels * row.out_channels)
        return linear_ms(row) + (row.macs * (filled - 1) / 10e6 if row.kind != "depthwise" else 0.0)

    files = [network_rows(network) for network in networks]
    passes = learn(files, np.array([sum(map(filled_ms, rows)) for rows in files]))
    for name in ZOO:
        rows = network_rows(load(name))
        assert passes.ms(rows).sum() == pytest.approx(sum(map(filled_ms, rows)), rel=0.01), name


def test_sums_of_a_linear_machine_teach_its_rows(networks: list[Network]):
    """Only sums are seen; single rows come out right, and so do networks 30 times as long."""
    files = [network_rows(network) for network in networks]
    passes = learn(files, np.array([sum(map(linear_ms, rows)) for rows in files]))
    for name in ZOO:
        rows = network_rows(load(name))
        true = np.array([linear_ms(row) for row in rows])
        assert passes.ms(rows).sum() == pytest.approx(true.sum(), rel=0.02), name
        heavy = true > 0.02 * true.sum()
        assert np.abs(passes.ms(rows)[heavy] / true[heavy] - 1).max() < 0.1, name


def test_a_machine_that_no_price_describes_is_learned_nearly_as_well(networks: list[Network]):
    files = [network_rows(network) for network in networks]
    passes = learn(files, np.array([sum(map(crooked_ms, rows)) for rows in files]))
    for name in ZOO:
        rows = network_rows(load(name))
        assert passes.ms(rows).sum() == pytest.approx(sum(map(crooked_ms, rows)), rel=0.06), name


def test_a_kernel_never_seen_counts_as_the_nearest_and_a_kind_never_seen_is_refused(networks: list[Network]):
    files = [network_rows(network) for network in networks[:150]]
    passes = learn(files, np.array([sum(map(linear_ms, rows)) for rows in files]))
    seen = Row(kind="depthwise", macs=49_000_000, read_elements=1_000_000, write_elements=1_000_000, kernel=7)
    unseen = Row(kind="depthwise", macs=49_000_000, read_elements=1_000_000, write_elements=1_000_000, kernel=9)
    assert passes.ms([unseen]) == passes.ms([seen])
    with pytest.raises(InputError, match="saw no pass of the kind 'deformable'"):
        passes.ms([Row(kind="deformable")])


def test_a_roofline_machine_gets_its_own_rates_back(calibration: Calibration):
    device = calibration.device
    assert device.name == "host" and "a cpu, onnxruntime 1.0, 1 thread" in device.description
    assert device.peak == pytest.approx(BOARD.peak, rel=0.02)
    assert device.ridge == pytest.approx(4.0, rel=0.03)  # 40 GMAC/s over 10 GB/s, from a grid in steps of 6 %
    assert device.pass_overhead_us == pytest.approx(2.0, rel=0.1)
    for name in ZOO:
        found = Roofline(device).latency(load(name))
        assert found.ms == pytest.approx(Roofline(BOARD).latency(load(name)).ms, rel=0.03)
        assert found.low_ms is not None and found.high_ms is not None
        assert (found.low_ms, found.high_ms) == pytest.approx((found.ms, found.ms), rel=0.03)


def test_intervals_are_what_left_out_networks_were_missed_by(calibration: Calibration):
    assert calibration.measured == pytest.approx((1.02, 1.02))
    low, high = calibration.tabled
    assert 0.85 < low < 1.0 < high < 1.15


def test_a_calibrated_table_interpolates_and_says_what(calibration: Calibration):
    network = load("mobilenetv3_large_100")
    table = LatencyTable(conditions=HERE, overhead=stored(0.01), calibration=calibration)
    found = TabledModel(table).latency(network)
    blocks = place_blocks(network, deploy=True)
    assert found.kind == "tabled" and found.rows == len(blocks)
    assert found.interpolated == tuple(block.path for block in blocks)
    assert found.ms == pytest.approx(Roofline(BOARD).latency(network).ms, rel=0.1)
    assert found.low_ms == pytest.approx(found.ms * calibration.tabled[0])
    assert found.high_ms == pytest.approx(found.ms * calibration.tabled[1])


def test_a_measured_row_counts_less_what_a_block_alone_pays_at_its_ends(calibration: Calibration):
    network = load("mobilenetv4_conv_small")
    table = LatencyTable(conditions=HERE, overhead=stored(0.01), calibration=calibration)
    model = TabledModel(table)
    before, block = model.latency(network), place_blocks(network, deploy=True)[2]
    learned = model.block_ms(block.recipe, block.input)
    table.rows[row_key(block.recipe, block.input)] = stored(5.0)
    after = model.latency(network)
    assert block.path not in after.interpolated and len(after.interpolated) == len(before.interpolated) - 1
    ends = sum(calibration.passes.reorder_ms(shape) for shape in (block.input, block.output))
    assert after.ms == pytest.approx(before.ms - learned + 5.0 - ends)
    assert calibration.passes.reorder_ms(network.input_shape) >= 0
    assert model.call_ms(block.input) == pytest.approx(float(calibration.passes.ms([entry_row(block.input)])[0]))


def test_the_same_samples_teach_the_same(networks: list[Network], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calibrating, "LEAST_SAMPLES", 40)
    some = samples(networks[:40], lambda network: Roofline(BOARD).latency(network).ms)
    assert calibrate(some, HERE) == calibrate(some, HERE)


def test_too_few_samples_are_refused(networks: list[Network]):
    with pytest.raises(InputError, match=f"99 networks are timed; a calibration needs {LEAST_SAMPLES}"):
        calibrate(samples(networks[:99], lambda network: 1.0), HERE)


def test_samples_are_the_same_everywhere_and_none_is_of_the_zoo(networks: list[Network]):
    assert sample_network(7).digest == networks[7].digest != networks[8].digest
    assert len({network.digest for network in networks}) == len(networks)
    kinds = Counter(network.name.rpartition("_")[0] for network in networks)
    assert kinds["member"] == kinds["scaled"] == kinds["chain"] == len(networks) / 4
    assert sum(map(is_searched, networks)) == len(networks) / 2
    images = [network for network in networks if not network.name.startswith("chain")]
    assert all(network.input[0] == 3 for network in images)
    assert not {network.digest for network in images} & {load(name).digest for name in list_models()}
    assert max(len(network.rows()) for network in images if network.name.startswith("whole")) > 20


def test_samples_are_chains_which_are_timed_one_block_after_the_other():
    """MobileNetV5's head takes two maps: 379 was one."""
    assert not any(sample_network(number).head.taps for number in range(3, 480, 4))


def test_every_block_is_calibrated_and_every_kind_of_pass_of_a_classifier(networks: list[Network]):
    """But those of MobileNetV5's norm and adapter, which no block has."""
    blocks = [block for network in networks for stage in network.stages for block in stage.blocks]
    assert {type(block) for block in blocks} == set(BLOCKS.values())
    known = {row.kind for network in networks for row in network_rows(network)}
    for network in map(load, list_models()):
        if network.head.answers == "classes":
            assert {row.kind for row in network_rows(network)} <= known | {"rmsnorm", "resizenearest", "togrid"}, (
                network.name
            )


def test_a_compiled_space_takes_the_table(calibration: Calibration):
    """Priced block by block, a space's look-up gives what the model gives for the decoded network."""
    space = load_space("mobilenetv4_conv_32px")
    model = TabledModel(LatencyTable(conditions=HERE, overhead=stored(0.01), calibration=calibration))
    table = compile_space(space)
    start = space.sample(np.random.default_rng(0)).input_shape
    ms = table.priced(
        lambda site: model.block_ms(place_row(*site, True).recipe, site.input), constant=model.call_ms(start)
    )
    for row in table.sample(np.random.default_rng(1), 5):
        network = space.decode(table.assignment(row))
        assert ms.one(table.assignment(row)) == pytest.approx(model.latency(network).ms)
