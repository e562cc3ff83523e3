"""Measured latencies: the arithmetic on a clock that obeys, and real files on this machine's clock."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ridgepoint.deploy.measure as measuring
from ridgepoint.arch.zoo import load
from ridgepoint.deploy import cores
from ridgepoint.deploy.cores import choose_cores
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import Timing, doubt, measure, time_sessions, when_calm
from ridgepoint.deploy.reference import Reference
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

    runtime, version, metadata, input_shape, threads, cores = "fake", "0", {}, (1, 2, 2), 1, ()

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
    for name, ms in {"a": 2.0, "b": 5.0}.items():
        assert found[name].ms == pytest.approx(ms) and found[name].median_ms == pytest.approx(ms)
    assert found["a"].drift == pytest.approx(0.0, abs=1e-9) and found["a"].slowdown == 1.0
    assert found["a"].p90_ms == pytest.approx(2.0) and found["a"].spread == pytest.approx(0.0, abs=1e-9)
    assert found["a"].runs == 6 * 25 and found["b"].runs == 6 * 10


def test_drift_of_the_machine_cancels(clock: Clock):
    """The machine becomes several times slower while it is measured; what is compared keeps its proportion."""
    clock.drift = 2.0
    sessions = {"a": Session(clock, 2.0), "b": Session(clock, 5.0)}
    found = time_sessions(sessions, reference=Session(clock, 1.0), rounds=20, round_s=0.02)
    assert found["b"].ms / found["a"].ms == pytest.approx(2.5, rel=0.1)
    slowest = 1.0 + clock.drift * clock.now
    assert slowest > 2.0
    assert 2.0 < found["a"].ms < 0.7 * found["a"].median_ms, "what is told is close to the undisturbed machine"
    assert found["a"].drift > 0.3


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
    assert found["slow"].runs == 12
    assert slow.runs == 2 + 4 * (1 + 3), "each turn's first run refills the caches and does not count"
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
    assert timing.drift == pytest.approx(3.0 / 1.0 - 1)
    assert timing.ms == pytest.approx(np.quantile([1, 1, 4, 2, 2, 2, 3, 3, 3], 0.1))
    assert timing.p90_ms == pytest.approx(np.quantile([1, 1, 4, 2, 2, 2, 3, 3, 3], 0.9))
    assert timing.runs == 9


def test_a_machine_that_is_slower_than_usual_is_divided_out(clock: Clock, tmp_path: Path):
    """Another measurement, minutes later, on a machine that is 1.5 times slower all the time."""

    def clocked(slower: float) -> Timing:
        reference = Reference(Session(clock, 1.0 * slower), tmp_path / "folder" / "reference.json")
        return time_sessions({"a": Session(clock, 2.0 * slower)}, reference=reference, rounds=30, round_s=0.01)["a"]

    first, second, third = clocked(1.0), clocked(1.5), clocked(0.8)
    assert (first.ms, first.slowdown) == (pytest.approx(2.0), pytest.approx(1.0))
    assert (second.ms, second.slowdown) == (pytest.approx(2.0), pytest.approx(1.5))
    assert second.rounds_ms == pytest.approx([2.0] * 30) and second.p90_ms == pytest.approx(2.0)
    assert (third.ms, third.slowdown) == (pytest.approx(1.6), pytest.approx(1.0)), "a calmer machine is the new measure"


def test_what_the_reference_remembers(tmp_path: Path, monkeypatch):
    path = tmp_path / "reference.json"
    reference = Reference(None, path)
    assert reference.calm_ms(3.0, runs=59) == 3.0 and not path.exists(), "a few runs are told, not remembered"
    assert reference.calm_ms(4.0, runs=60) == 4.0
    assert reference.calm_ms(3.0, runs=59) == 4.0
    assert Reference(None, path).calm_ms(5.0, runs=1000) == 4.0
    now = time.time()
    monkeypatch.setattr("ridgepoint.deploy.reference.time", SimpleNamespace(time=lambda: now + 8 * 24 * 3600))
    assert reference.calm_ms(5.0, runs=60) == 5.0, "after a week the machine may be another"
    path.write_text("nonsense")
    assert reference.calm_ms(6.0, runs=60) == 6.0
    assert Reference(None, Path("/proc/no/reference.json")).calm_ms(7.0, runs=60) == 7.0


def test_the_caller_has_a_core_of_its_own_in_its_turn_and_is_free_after_it(clock: Clock):
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system pins no threads")
    before, seen = os.sched_getaffinity(0), []
    (core,) = choose_cores(1)

    class Looking(Session):
        cores = (core,)

        def run(self, x_BCHW: np.ndarray) -> np.ndarray:
            seen.append(os.sched_getaffinity(0))
            if len(seen) == 5:
                raise KeyboardInterrupt
            return super().run(x_BCHW)

    with pytest.raises(KeyboardInterrupt):
        time_sessions({"a": Looking(clock, 1.0)}, reference=Session(clock, 1.0), rounds=3, round_s=0.001, warmup=1)
    assert seen == [{core}] * 5 and os.sched_getaffinity(0) == before


def test_cores_are_distinct_and_none_are_given_where_they_do_not_suffice():
    count = len(choose_cores(1)) and len(os.sched_getaffinity(0))
    for threads in range(1, count + 1):
        cores = choose_cores(threads)
        assert len(cores) in (0, threads) and set(cores) <= os.sched_getaffinity(0) and len(set(cores)) == len(cores)
    assert choose_cores(count + 1) == ()


def test_a_core_on_which_others_work_is_left_to_them(tmp_path: Path, monkeypatch):
    """By the system's own counters, here of a moment in which one processor worked and all others did nothing."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    cores._chosen.cache_clear()
    usual = choose_cores(1)
    if len(choose_cores(2)) < 2:
        pytest.skip("one core only")
    counters = tmp_path / "stat"

    def count(busy: int, ticks: int) -> None:
        worked = {cpu: ticks if cpu == busy else 0 for cpu in allowed}
        lines = [f"cpu{cpu} {worked[cpu]} 0 0 {ticks - worked[cpu]} 0 0 0 0 0 0" for cpu in allowed]
        counters.write_text("\n".join(["cpu  9 9 9 9 9 9 9 9 9 9", *lines, "intr 1"]))

    monkeypatch.setattr(cores, "_TIMES", counters)
    for busy in choose_cores(2):
        cores._chosen.cache_clear()
        count(busy, 0)
        monkeypatch.setattr(cores.time, "sleep", lambda seconds, busy=busy: count(busy, 10))
        assert busy not in choose_cores(1)
    counters.write_text("nothing of the kind")
    cores._chosen.cache_clear()
    assert len(choose_cores(1)) == len(usual) == 1
    cores._chosen.cache_clear()


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


@pytest.mark.parametrize(
    ("usual", "taken", "chosen"),
    [(1.0, 3, 1.2), (1.1, 2, 1.2), (1.3, 1, 1.4)],
    ids=["never calm: the calmest of three", "calm at the second", "as slow as always: at once"],
)
def test_what_is_timed_while_the_machine_is_disturbed_is_timed_again(usual: float, taken: int, chosen: float):
    """From 15 % above the usual on, it is."""
    slowdowns = iter([1.4, 1.2, 1.3, 1.0])
    attempts: list[Timing] = []

    def take() -> dict[str, Timing]:
        attempts.append(Timing([[5.0]], next(slowdowns)))
        return {"a": attempts[-1]}

    assert when_calm(take, usual=usual)["a"].slowdown == chosen
    assert len(attempts) == taken


@pytest.mark.parametrize(("slowdown", "told"), [(1.0, False), (1.4, False), (2.24, True)])
def test_times_of_a_busy_machine_are_told_as_doubtful(slowdown: float, told: bool):
    text = doubt({"calm": Timing([[5.0]], 1.0), "other": Timing([[5.0]], slowdown)})
    assert (text is not None) == told and (not told or "took 2.2 times as long" in text)
