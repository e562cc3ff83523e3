"""This machine's latency table, filled by measuring: what is measured once is not measured again."""

from pathlib import Path

import pytest
import torch
from train_helpers import small_network

from ridgepoint.arch.network import place_blocks
from ridgepoint.arch.zoo import load
from ridgepoint.cost.device import load_device
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.table import LatencyTable, row_key
from ridgepoint.deploy import calibrate, parts, sampling
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.errors import InputError


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.json"
    HostTable(path=path).latency(small_network())
    return path


@pytest.fixture
def no_measuring(monkeypatch):
    def refuse(*given, **named):
        raise AssertionError("measured again")

    monkeypatch.setattr(HostTable, "_time", refuse)
    monkeypatch.setattr(HostTable, "_overhead", staticmethod(refuse))
    monkeypatch.setattr(calibrate, "measure", refuse)


def test_rows_are_measured_once_and_kept_in_the_file(path: Path, no_measuring):
    first, second = HostTable(path=path).latency(small_network()), HostTable(path=path).latency(small_network())
    assert first == second and first.kind == "tabled" and first.ms > 0
    assert first.rows == len(place_blocks(small_network(), deploy=True))


def test_a_block_that_takes_tokens_runs_alone():
    """Of EfficientFormer-L3's blocks only the first 3D one brings the reshape that tells the grid."""
    blocks = place_blocks(load("efficientformer_l3").at(height=96), deploy=True)
    second = next(block for block in blocks if block.input.layout == "tokens")
    module, shape = parts.part_of([second])
    x = torch.randn(2, shape.positions, shape.channels)
    assert module(x).shape == x.shape


def test_every_row_is_the_time_of_something(path: Path):
    table = HostTable(path=path).table
    assert table.overhead_ms > 0
    assert set(table.rows) == {
        row_key(block.recipe, block.input) for block in place_blocks(small_network(), deploy=True)
    }
    assert sum(table.rows.values()) > 0 and min(table.rows.values()) >= 0


def test_only_what_differs_is_measured(path: Path, monkeypatch):
    measured: list[str] = []

    def fake(self, blocks):
        measured.extend(block.path for block in blocks)
        return [self.table.overhead_ms + 1.0 for _ in blocks]

    monkeypatch.setattr(HostTable, "_time", fake)
    monkeypatch.setattr(LatencyTable, "save", lambda self, path: None)
    host = HostTable(path=path)
    before = host.latency(small_network()).ms
    more_classes = host.latency(small_network().with_classes(1000))
    assert measured == ["head"]
    assert more_classes.ms == pytest.approx(before + 1.0 - host.table.rows[_head(small_network())])


def test_a_network_is_clocked_once(path: Path, monkeypatch):
    host = HostTable(path=path)
    first = host.measure_networks({"a": small_network()})
    assert first["a"] > 0

    def refuse(*given, **named):
        raise AssertionError("measured again")

    monkeypatch.setattr(calibrate, "measure", refuse)
    assert HostTable(path=path).measure_networks({"again": small_network()}) == {"again": first["a"]}


def test_other_threads_need_a_table_of_their_own(path: Path):
    with pytest.raises(InputError, match="was measured on"):
        HostTable(path=path, threads=2)


def test_an_unknown_runtime_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="unknown runtime 'litrt'"):
        HostTable(path=tmp_path / "t.json", runtime="litrt")


@pytest.fixture
def few(monkeypatch):
    """A calibration of few networks, timed for a moment each."""
    monkeypatch.setattr(sampling, "SAMPLES", 112)
    monkeypatch.setattr(sampling, "AGAIN", 8)
    monkeypatch.setattr(parts, "ROUNDS", 3)
    monkeypatch.setattr(parts, "ROUND_S", 0.001)


@pytest.mark.slow
def test_a_calibration_goes_on_where_it_was_and_is_done_once(tmp_path: Path, few, monkeypatch):
    """Interrupted after 24 networks, it times the other 88; then nothing more; then tables and rooflines use it."""
    path, timed = tmp_path / "t.json", []
    real = sampling.time_parts

    def counting(part, conditions, **named):
        timed.append(len(part))
        if len(timed) == 4:
            raise KeyboardInterrupt
        return real(part, conditions, **named)

    monkeypatch.setattr(sampling, "time_parts", counting)
    monkeypatch.setattr(sampling, "SAVE_EVERY_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        HostTable(path=path).calibrate(time_s=600)
    assert len(HostTable(path=path).table.samples) == 24 and HostTable(path=path).device is None
    seen: list[float] = []
    host = HostTable(path=path)
    host.calibrate(time_s=600, progress=lambda share, text: seen.append(share))
    assert sum(timed) == 24 + 8 + 88 + 8, "what was saved is not timed again, the interrupted eight and the first are"
    assert seen == sorted(seen) and seen[-1] == 1.0
    timed.clear()
    HostTable(path=path).calibrate(time_s=600)
    assert not timed

    network = load("mobilenetv3_small_050").at(height=64)
    found = HostTable(path=path).latency(network)
    assert len(found.interpolated) == found.rows and not HostTable(path=path).table.rows
    assert found.low_ms < found.high_ms
    device = load_device(host.device_path)
    assert device == host.device and device.name == "host"
    assert Roofline(device).latency(network).ms > 0
    measured = HostTable(path=path).clock({"a": network})["a"]
    assert measured.kind == "measured" and measured.low_ms is not None


def test_a_calibration_stops_when_its_time_is_up(tmp_path: Path, few, monkeypatch):
    monkeypatch.setattr(sampling, "LEAST_SAMPLES", 8)
    table = HostTable(path=tmp_path / "t.json").table
    sampling.time_samples(table, tmp_path / "t.json", time_s=0.01)
    assert len(table.samples) == 8
    assert all(sample.again_ms is not None for sample in table.samples)


@pytest.mark.slow
def test_sums_of_blocks_are_near_whole_networks(tmp_path: Path):
    """Within 30 %: what the runtime does across blocks is missed. A busy machine gets three attempts."""
    networks = {
        "v2": load("mobilenetv2_050").at(height=128),
        "v3": load("mobilenetv3_small_100").at(height=128),
        "v4": load("mobilenetv4_conv_small").at(height=96),
    }
    seen = []
    for attempt in range(3):
        host = HostTable(path=tmp_path / f"{attempt}.json")
        measured = host.measure_networks(networks)
        seen.append({name: host.latency(network).ms / measured[name] for name, network in networks.items()})
        if all(0.7 < ratio < 1.3 for ratio in seen[-1].values()):
            return
    pytest.fail(f"tabled over measured: {seen}")


def _head(network) -> str:
    head = place_blocks(network, deploy=True)[-1]
    return row_key(head.recipe, head.input)
