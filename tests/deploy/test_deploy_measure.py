"""Measured latencies: the arithmetic on a clock that obeys, and real files on this machine's clock."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ridgepoint.deploy.measure as measuring
from ridgepoint.arch.zoo import load
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import Timing, measure, time_sessions
from ridgepoint.deploy.runtimes import runtime_version
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build


class Clock:
    """Time that passes only while a session runs, and a machine that gets slower by `drift` per second."""

    def __init__(self, drift: float = 0.0):
        self.now, self.drift = 0.0, drift

    def perf_counter(self) -> float:
        return self.now


class Session:
    """Takes `ms` on a fresh machine; `also` is what it adds in some runs, which no reference sees."""

    runtime, version, metadata, input_shape = "fake", "0", {}, (1, 2, 2)

    def __init__(self, clock: Clock, ms: float, also=lambda run: 0.0):
        self.clock, self.ms, self.also, self.runs = clock, ms, also, 0

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        assert x_BCHW.shape == (1, 1, 2, 2) and x_BCHW.dtype == np.float32
        slow = 1.0 + self.clock.drift * self.clock.now
        self.clock.now += (self.ms * slow + self.also(self.runs)) / 1e3
        self.runs += 1
        return x_BCHW


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=found.perf_counter))
    return found


def test_without_drift_the_time_is_the_time(clock: Clock):
    sessions = {"a": Session(clock, 2.0), "b": Session(clock, 5.0)}
    found = time_sessions(sessions, reference=Session(clock, 1.0), rounds=6, round_s=0.05)
    assert found["a"].median_ms == pytest.approx(2.0) and found["b"].median_ms == pytest.approx(5.0)
    assert found["a"].p90_ms == pytest.approx(2.0) and found["a"].spread == pytest.approx(0.0, abs=1e-9)
    assert found["a"].runs == 6 * 25 and found["b"].runs == 6 * 10


def test_drift_of_the_machine_cancels(clock: Clock):
    """The machine becomes several times slower while it is measured; what is compared keeps its proportion."""
    clock.drift = 2.0
    sessions = {"a": Session(clock, 2.0), "b": Session(clock, 5.0)}
    found = time_sessions(sessions, reference=Session(clock, 1.0), rounds=20, round_s=0.02)
    assert found["b"].median_ms / found["a"].median_ms == pytest.approx(2.5, rel=0.05)
    assert found["a"].spread < 0.1, "the raw rounds differ by a factor of about two"
    slowest = 1.0 + clock.drift * clock.now
    assert slowest > 2.0
    assert 2.0 < found["a"].median_ms < 2.0 * slowest, "the level is that of the middle of the measurement"


def test_what_only_one_session_suffers_stays_visible(clock: Clock):
    """One round of eight is disturbed while the reference is not: median unmoved, spread and p90 tell."""
    disturbed = Session(clock, 1.0, also=lambda run: 4.0 if 50 <= run < 60 else 0.0)
    found = time_sessions({"a": disturbed}, reference=Session(clock, 1.0), rounds=8, round_s=0.01)
    assert found["a"].median_ms == pytest.approx(1.0, rel=0.05)
    assert found["a"].spread > 1.0


def test_slow_sessions_run_at_least_three_times_a_round_after_the_warm_up(clock: Clock):
    slow, reference = Session(clock, 500.0), Session(clock, 1.0)
    told: list[tuple[int, int]] = []
    found = time_sessions(
        {"slow": slow}, reference=reference, rounds=4, round_s=0.01, warmup=2, progress=lambda *at: told.append(at)
    )
    assert found["slow"].runs == 12 and slow.runs == 14
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_turns_are_interleaved(clock: Clock):
    order: list[str] = []

    class Named(Session):
        def __init__(self, name: str):
            super().__init__(clock, 1.0)
            self.name = name

        def run(self, x_BCHW: np.ndarray) -> np.ndarray:
            if not order or order[-1] != self.name:
                order.append(self.name)
            return super().run(x_BCHW)

    time_sessions({"a": Named("a"), "b": Named("b")}, reference=Named("r"), rounds=3, round_s=0.002, warmup=1)
    assert order == ["a", "b"] + ["r", "a", "b"] * 3


def test_a_timing_by_hand():
    timing = Timing([[1.0, 1.0, 4.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    assert timing.median_ms == 2.0  # of the rounds' medians 1, 2, 3
    assert timing.spread == pytest.approx((3.0 - 1.0) / 2.0)
    assert timing.p90_ms == pytest.approx(np.quantile([1, 1, 4, 2, 2, 2, 3, 3, 3], 0.9))
    assert timing.runs == 9


def timing_file(folder: Path, name: str, size: int) -> Path:
    network = load(name).at(height=size)
    path = folder / f"{name}_{size}.onnx"
    export_for_timing(build(network), network.input_shape, path)
    return path


@pytest.mark.slow
def test_a_measurement_tells_its_protocol_and_the_faster_network_is_faster(tmp_path: Path):
    files = {
        "small": timing_file(tmp_path, "mobilenetv4_conv_small", 32),
        "medium": timing_file(tmp_path, "mobilenetv4_conv_medium", 128),
    }
    found = measure(files, rounds=5, round_s=0.01)
    small, medium = found["small"], found["medium"]
    assert 0 < 2 * small.ms < medium.ms
    for name, latency in found.items():
        assert latency.kind == "measured" and latency.ms <= latency.p90_ms and latency.spread >= 0
        assert latency.runtime == "onnxruntime" and latency.runtime_version == runtime_version("onnxruntime")
        assert (latency.threads, latency.precision, latency.rounds) == (1, "float32", 5)
        assert latency.device and latency.warmup > 0 and latency.runs >= 15
        assert latency.file_bytes == files[name].stat().st_size


def test_an_open_input_size_is_refused_instead_of_timed_as_nothing(clock: Clock):
    unsized = Session(clock, 1.0)
    unsized.input_shape = (3, 0, 0)
    with pytest.raises(InputError, match="leaves its input size open"):
        time_sessions({"a": unsized}, reference=Session(clock, 1.0), rounds=1, round_s=0.01)


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(InputError, match=r"absent\.onnx: there is no such file"):
        measure({"absent": tmp_path / "absent.onnx"})
