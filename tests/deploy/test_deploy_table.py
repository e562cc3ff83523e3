"""This machine's latency table, filled by measuring: what is measured once is not measured again."""

import json
import time
from pathlib import Path

import msgspec
import pytest
import torch
from cli_helpers import call, refused
from cost_helpers import stored
from quick_clock import take_time
from train_helpers import small_network

from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.zoo import load
from ridgepoint.cost import calibrating, samples
from ridgepoint.cost.device import load_device
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.table import LatencyTable, row_key
from ridgepoint.deploy import calibrate, parts, sampling
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.deploy.places.place import Local
from ridgepoint.deploy.timing import Timing
from ridgepoint.deploy.turn import Turn
from ridgepoint.errors import InputError, NotMeasurableError


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.json"
    HostTable(path=path, busy=True).latency(small_network())
    return path


@pytest.fixture
def no_measuring(monkeypatch):
    def refuse(*given, **named):
        raise AssertionError("measured again")

    monkeypatch.setattr(HostTable, "_time", refuse)
    monkeypatch.setattr(HostTable, "_overhead", staticmethod(refuse))
    monkeypatch.setattr(calibrate, "measure", refuse)


def test_rows_are_measured_once_and_kept_in_the_file(path: Path, no_measuring):
    first, second = (
        HostTable(path=path, busy=True).latency(small_network()),
        HostTable(path=path, busy=True).latency(small_network()),
    )
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
    table = HostTable(path=path, busy=True).table
    assert table.overhead_ms > 0
    assert set(table.rows) == {
        row_key(block.recipe, block.input) for block in place_blocks(small_network(), deploy=True)
    }
    assert max(row.ms for row in table.rows.values()) > 0 and min(row.ms for row in table.rows.values()) >= 0
    assert all(abs(row.at - time.time()) < 3600 and 0 <= row.load <= 1 for row in table.rows.values())


def test_only_what_differs_is_measured(path: Path, monkeypatch):
    measured: list[str] = []

    def fake(self, blocks):
        measured.extend(block.path for block in blocks)
        return [stored(self.table.overhead_ms + 1.0) for _ in blocks]

    monkeypatch.setattr(HostTable, "_time", fake)
    monkeypatch.setattr(LatencyTable, "save", lambda self, path, **named: None)
    host = HostTable(path=path, busy=True)
    before = host.latency(small_network()).ms
    more_classes = host.latency(small_network().with_classes(1000))
    assert measured == ["head"]
    assert more_classes.ms == pytest.approx(before + 1.0 - host.table.rows[_head(small_network())].ms)


def test_a_network_is_clocked_once(path: Path, monkeypatch):
    host = HostTable(path=path, busy=True)
    first = host.measure_networks({"a": small_network()})
    assert first["a"] > 0

    def refuse(*given, **named):
        raise AssertionError("measured again")

    monkeypatch.setattr(calibrate, "measure", refuse)
    assert HostTable(path=path, busy=True).measure_networks({"again": small_network()}) == {"again": first["a"]}


def test_other_threads_need_a_table_of_their_own(path: Path):
    with pytest.raises(InputError, match="was measured on"):
        HostTable(path=path, threads=2)


def test_an_unknown_runtime_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="unknown runtime 'litrt'"):
        HostTable(path=tmp_path / "t.json", runtime="litrt")


@pytest.fixture
def few(monkeypatch):
    """A calibration of few and small networks, timed for a moment each."""
    monkeypatch.setattr(sampling, "SAMPLES", 16)
    monkeypatch.setattr(sampling, "LEAST_SAMPLES", 16)
    monkeypatch.setattr(calibrating, "LEAST_SAMPLES", 16)
    monkeypatch.setattr(sampling, "AGAIN", 4)
    monkeypatch.setattr(sampling, "TOGETHER", 4)
    monkeypatch.setattr(samples, "IMAGE_SIZES", (64,))
    monkeypatch.setattr(samples, "MEMBER_SIZES", (64,))
    monkeypatch.setattr(parts, "ROUNDS", 3)
    monkeypatch.setattr(parts, "ROUND_S", 0.001)


def test_a_calibration_goes_on_where_it_was_and_is_done_once(tmp_path: Path, few, monkeypatch):
    """Interrupted after 8 networks, it times the other 8; then nothing more; then tables and rooflines use it."""
    path, timed = tmp_path / "t.json", []
    real = sampling.time_parts

    def counting(part, conditions, **named):
        timed.append(len(part))
        if len(timed) == 3:
            raise KeyboardInterrupt
        return real(part, conditions, **named)

    monkeypatch.setattr(sampling, "time_parts", counting)
    monkeypatch.setattr(sampling, "SAVE_EVERY_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        HostTable(path=path, busy=True).calibrate(time_s=600)
    assert len(HostTable(path=path, busy=True).table.samples) == 8 and HostTable(path=path, busy=True).device is None
    seen: list[float] = []
    host = HostTable(path=path, busy=True)
    host.calibrate(time_s=600, progress=lambda share, text: seen.append(share))
    assert sum(timed) == 8 + 4 + 8 + 4, "what was saved is not timed again, the interrupted four and the first are"
    assert seen == sorted(seen) and seen[-1] == 1.0
    timed.clear()
    HostTable(path=path, busy=True).calibrate(time_s=600)
    assert not timed

    network = load("mobilenetv3_small_050").at(height=64)
    found = HostTable(path=path, busy=True).latency(network)
    assert len(found.interpolated) == found.rows and not HostTable(path=path, busy=True).table.rows
    assert found.low_ms < found.high_ms
    device = load_device(host.device_path)
    assert device == host.device and device.name == "host"
    assert Roofline(device).latency(network).ms > 0
    measured = HostTable(path=path, busy=True).clock({"a": network})["a"]
    assert measured.kind == "measured" and measured.low_ms is not None
    short = HostTable(path=path, busy=True).clock({"a": network, "b": network.at(height=32)}, seconds=0.0)
    assert list(short) == ["a"] and short["a"].ms > 0, "as many as there is time to write, but the first in any case"


def as_searched(network: Network, number: int) -> Network:
    """By the name that tells what an interval is taken from."""
    return msgspec.structs.replace(network, name=f"member_{number}")


def test_a_table_in_int8_learns_from_int8_files_and_counts_where_int8_ships(tmp_path: Path, few, monkeypatch):
    for module, name, value in (
        (sampling, "SAMPLES", 5),
        (sampling, "LEAST_SAMPLES", 5),
        (calibrating, "LEAST_SAMPLES", 5),
        (sampling, "AGAIN", 1),
        (sampling, "TOGETHER", 1),
        (sampling, "sample_network", lambda number: as_searched(small_network(width=8 + 8 * number), number)),
    ):
        monkeypatch.setattr(module, name, value)
    path, opened = tmp_path / "t.json", set[bool]()
    real = Local.open

    def looking(place, file, **named):
        opened.add(b"QuantizeLinear" in file.read_bytes())
        return real(place, file, **named)

    assert HostTable(path=path, busy=True, precision="int8").table.conditions.precision == "float32", "not calibrated"
    path.unlink()
    host = HostTable(path=path, busy=True, tabled="int8")
    with pytest.raises(InputError, match=r"calibrate --precision int8"):
        host.latency(small_network())
    monkeypatch.setattr(Local, "open", looking)
    host.calibrate(time_s=600)
    assert opened == {True}
    found = HostTable(path=path, busy=True, precision="int8")
    assert found.latency(small_network()).precision == found.device.precision == "int8"
    with pytest.raises(InputError, match=r"precision='int8'"):
        HostTable(path=path, busy=True)


def test_a_calibration_stops_when_its_time_is_up(tmp_path: Path, few, monkeypatch):
    monkeypatch.setattr(sampling, "LEAST_SAMPLES", 4)
    table = HostTable(path=tmp_path / "t.json", busy=True).table
    sampling.time_samples(table, tmp_path / "t.json", time_s=0.01, busy=True)
    assert len(table.samples) == 4
    assert all(sample.again_ms is not None for sample in table.samples)


def told(ms: float, doubt: str | None = None) -> Timing:
    """What a clock tells that nobody asked."""
    timing = Timing([Turn([ms])])
    timing.doubt = doubt
    return timing


def test_what_the_runtime_cannot_run_is_left_out_and_nothing_timed_is_lost(tmp_path: Path, few, monkeypatch):
    """The runtime refuses one file in four: the others are timed, and learned from."""

    def refuse_some(place, path, **named):
        if path.stem == "3":
            raise RuntimeError("Invalid input shape: {1,1}")
        return real(place, path, **named)

    real = Local.open
    monkeypatch.setattr(Local, "open", refuse_some)
    monkeypatch.setattr(sampling, "LEAST_SAMPLES", 4)
    table = HostTable(path=tmp_path / "t.json", busy=True).table
    seen: list[str] = []
    sampling.time_samples(
        table, tmp_path / "t.json", time_s=0.01, busy=True, progress=lambda share, text: seen.append(text)
    )
    assert [sample.ms is None for sample in table.samples] == [number == 3 for number in range(4)]
    assert seen[-1] == "3 networks timed, 1 left out that the runtime cannot run"


def test_doubted_times_are_not_kept_but_taken_again_or_refused(tmp_path: Path, few, monkeypatch):
    """First two batches are timed while others work; the third and what follows on a calm machine."""
    batches: list[str | None] = ["busy", "busy"]

    def clocked(some, conditions, **named):
        doubt = batches.pop() if batches else None
        return [told(1.0, doubt) for _ in some]

    table = HostTable(path=tmp_path / "t.json", busy=True).table
    monkeypatch.setattr(sampling, "time_parts", clocked)
    monkeypatch.setattr(sampling, "SAMPLES", 16)
    monkeypatch.setattr(sampling, "LEAST_SAMPLES", 8)
    sampling.time_samples(table, tmp_path / "t.json", time_s=600)
    assert not batches and len(table.samples) == 16
    table.samples.clear()
    monkeypatch.setattr(sampling, "time_parts", lambda some, conditions, **named: [told(1.0, "busy") for _ in some])
    with pytest.raises(NotMeasurableError, match=r"0 networks timed, 8 are needed: not measurable .* --busy"):
        sampling.time_samples(table, tmp_path / "t.json", time_s=0.01)
    assert not table.samples


def test_a_busy_machine_measures_no_blocks_unless_it_is_accepted(tmp_path: Path, monkeypatch):
    table = tmp_path / "t.json"
    HostTable(path=table, busy=True)
    monkeypatch.setattr(calibrate, "time_parts", lambda some, conditions, **named: [told(9.0, "b") for _ in some])
    monkeypatch.setattr(LatencyTable, "trim", lambda self, doubted: self)  # what making it has doubted
    with pytest.raises(NotMeasurableError, match="not measurable while this machine is busy: b"):
        HostTable(path=table).latency(small_network())
    assert not HostTable(path=table).table.rows
    accepted = HostTable(path=table, busy=True)
    accepted.latency(small_network())
    assert {row.doubt for row in accepted.table.rows.values()} == {"b"}


def test_a_table_is_shown_and_cleared(path: Path, tmp_path: Path):
    table = tmp_path / "t.json"
    table.write_bytes(path.read_bytes())
    shown = json.loads(call("calibrate", "--table", table, "--show", "--json").stdout)
    assert shown["blocks"]["count"] == len(HostTable(path=table, busy=True).table.rows) > 0
    assert shown["blocks"]["first"][:2] == "20" and not shown["calibrated"]
    assert "others kept" in call("calibrate", "--table", table, "--show").stdout
    assert call("calibrate", "--table", table, "--clear").stdout.splitlines()[1] == str(table)
    assert not table.exists()
    assert "nothing is measured yet" in call("calibrate", "--table", table, "--show").stdout
    refused(call("calibrate", "--table", tmp_path, "--show"), "is a folder")


@pytest.mark.clock
def test_sums_of_blocks_are_near_whole_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Within 30 %: what the runtime does across blocks is missed. A busy machine gets three attempts."""
    take_time(monkeypatch)
    networks = {
        "v3": load("mobilenetv3_small_100").at(height=128),
        "v4": load("mobilenetv4_conv_small").at(height=96),
    }
    seen = []
    for attempt in range(3):
        host = HostTable(path=tmp_path / f"{attempt}.json", busy=True)
        measured = host.measure_networks(networks)
        seen.append({name: host.latency(network).ms / measured[name] for name, network in networks.items()})
        if all(0.7 < ratio < 1.3 for ratio in seen[-1].values()):
            return
    pytest.fail(f"tabled over measured: {seen}")


def _head(network) -> str:
    head = place_blocks(network, deploy=True)[-1]
    return row_key(head.recipe, head.input)


def test_a_table_is_calibrated_by_one_process_at_a_time(tmp_path: Path):
    table = tmp_path / "t.json"
    with calibrate.owning_table(table):
        for words in (("--model", "mobilenetv3_small_050"), ("--clear",)):
            refused(call("calibrate", "--table", table, *words), "t.json", "is at work on it")
    assert call("calibrate", "--table", table, "--clear").returncode == 0
