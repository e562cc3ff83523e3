"""Measured latencies: the arithmetic on a clock that obeys, and real files on this machine's clock."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from train_helpers import small_network

import ridgepoint.deploy.measure as measuring
import ridgepoint.deploy.rounds as turning
import ridgepoint.deploy.timing as timings
from ridgepoint import system
from ridgepoint.deploy import cores
from ridgepoint.deploy.cores import choose_cores, on_core
from ridgepoint.deploy.disturbance import Disturbance
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure, time_sessions
from ridgepoint.deploy.reference import References
from ridgepoint.deploy.rounds import State
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.deploy.runtimes import session as running
from ridgepoint.deploy.timing import Slowdown, Timing, cannot_tell, doubts
from ridgepoint.deploy.turn import Turn
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build


class Clock:
    """Time that passes only while a session runs, and a machine that gets slower by `drift` per second.

    `lost` is what its threads have waited for a core, in seconds, `busy` how busy others keep the machine.
    """

    def __init__(self, drift: float = 0.0):
        self.now, self.drift, self.lost, self.busy, self.pauses = 0.0, drift, 0.0, 0.0, 0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses += 1

    def lost_s(self, cores: object) -> float:
        return self.lost

    def look(self) -> None:
        pass

    def load(self) -> float:
        return self.busy


class Session(running.Session):
    """Takes `ms` on a fresh machine; `also` is what it adds in some runs, which no reference sees."""

    path, runtime, version, metadata, input_shape, threads, cores = Path("f"), "fake", "0", {}, (1, 2, 2), 1, ()

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
    for module in (measuring, turning, running):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=found.perf_counter, sleep=found.sleep))
    monkeypatch.setattr(turning, "REFERENCE_EVERY_S", -1.0)
    monkeypatch.setattr(turning, "Disturbance", lambda: contextlib.nullcontext(found))
    return found


class Beside:
    """References that remember nothing: whatever they take now is calm."""

    def __init__(self, *sessions: "Session"):
        self.sessions, self.known = sessions, True

    def slowdown(self, timings: list[Timing], *, load: float) -> Slowdown:
        return Slowdown()


def test_without_drift_the_time_is_the_time(clock: Clock):
    sessions = {"a": Session(clock, 2.0), "b": Session(clock, 5.0)}
    found = time_sessions(sessions, reference=Beside(Session(clock, 1.0)), rounds=6, round_s=0.05)
    for name, ms in {"a": 2.0, "b": 5.0}.items():
        assert found[name].ms == pytest.approx(ms) and found[name].median_ms == pytest.approx(ms)
    assert found["a"].drift == pytest.approx(0.0, abs=1e-9) and found["a"].slowdown == 1.0
    assert found["a"].p90_ms == pytest.approx(2.0) and found["a"].spread == pytest.approx(0.0, abs=1e-9)
    assert found["a"].runs == 6 * 25 and found["b"].runs == 6 * 10


def test_drift_of_the_machine_cancels(clock: Clock):
    """The machine becomes several times slower while it is measured; what is compared keeps its proportion."""
    clock.drift = 2.0
    sessions = {"a": Session(clock, 2.0), "b": Session(clock, 5.0)}
    found = time_sessions(sessions, reference=Beside(Session(clock, 1.0)), rounds=20, round_s=0.02)
    assert found["b"].ms / found["a"].ms == pytest.approx(2.5, rel=0.1)
    slowest = 1.0 + clock.drift * clock.now
    assert slowest > 2.0
    assert 2.0 < found["a"].ms < 0.7 * found["a"].median_ms, "what is told is close to the undisturbed machine"
    assert found["a"].drift > 0.3


def test_what_only_one_session_suffers_stays_visible(clock: Clock):
    """One round of eight is disturbed while the reference is not: median unmoved, spread and p90 tell."""
    disturbed = Session(clock, 1.0, also=lambda run: 4.0 if 50 <= run < 60 else 0.0)
    found = time_sessions({"a": disturbed}, reference=Beside(Session(clock, 1.0)), rounds=8, round_s=0.01)
    assert found["a"].median_ms == pytest.approx(1.0, rel=0.05)
    assert found["a"].spread > 1.0


def test_slow_sessions_run_at_least_three_times_a_round_after_the_warm_up(clock: Clock):
    slow, reference = Session(clock, 500.0), Session(clock, 1.0)
    told: list[tuple[int, int]] = []
    found = time_sessions(
        {"slow": slow},
        reference=Beside(reference),
        rounds=4,
        round_s=0.01,
        warmup=2,
        progress=lambda *at: told.append(at),
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

    time_sessions({"a": Named("a"), "b": Named("b")}, reference=Beside(Named("r")), rounds=3, round_s=0.002, warmup=1)
    assert order == ["a", "b"] + ["r", "a", "r", "b"] * 3


def test_a_timing_by_hand():
    timing = Timing([Turn([1.0, 1.0, 4.0]), Turn([2.0, 2.0, 2.0]), Turn([3.0, 3.0, 3.0])])
    assert timing.median_ms == 2.0  # of the rounds' medians 1, 2, 3
    assert timing.spread == pytest.approx((3.0 - 1.0) / 2.0)
    assert timing.drift == pytest.approx(3.0 / 1.0 - 1)
    assert timing.ms == pytest.approx(np.quantile([1, 1, 4, 2, 2, 2, 3, 3, 3], 0.1))
    assert timing.p90_ms == pytest.approx(np.quantile([1, 1, 4, 2, 2, 2, 3, 3, 3], 0.9))
    assert timing.runs == 9


def test_a_machine_that_is_slower_than_usual_is_divided_out(clock: Clock, tmp_path: Path):
    """Another measurement, minutes later, on a machine on which everything takes 1.2 times as long."""

    def clocked(slower: float, unequally: float = 1.0) -> Timing:
        sessions = [Session(clock, 1.0 * slower), Session(clock, 3.0 * slower * unequally)]
        reference = References(sessions, tmp_path / "folder" / "reference.json")
        return time_sessions({"a": Session(clock, 2.0 * slower)}, reference=reference, rounds=120, round_s=0.01)["a"]

    first, second, third = clocked(1.0), clocked(1.2), clocked(0.8)
    assert (first.ms, first.slowdown, first.doubt) == (pytest.approx(2.0), pytest.approx(1.0), None)
    assert (second.ms, second.slowdown, second.doubt) == (pytest.approx(2.0), pytest.approx(1.2), None)
    assert second.rounds_ms == pytest.approx([2.0] * 120) and second.p90_ms == pytest.approx(2.0)
    assert (third.ms, third.slowdown) == (pytest.approx(1.6), pytest.approx(1.0)), "a calmer machine is the new measure"
    clock.busy = 0.5
    assert "1.50 times as long as when" in clocked(1.2).doubt
    assert "slowed down unequally" in clocked(0.8, unequally=1.3).doubt


class SlowFrom(Session):
    """Takes half as long again from a moment on."""

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        self.clock.drift = 0.5 / self.clock.now if self.clock.now > 3.0 else 0.0
        return super().run(x_BCHW)


def test_where_the_calm_machine_was_never_seen_it_is_looked_at_in_several_moments(clock: Clock, tmp_path: Path):
    """The measurement itself falls into a slow minute."""
    reference = References([SlowFrom(clock, 1.0), SlowFrom(clock, 3.0)], tmp_path / "reference.json")
    found = time_sessions({"a": SlowFrom(clock, 2.0)}, reference=reference, rounds=120, round_s=0.01)["a"]
    assert (found.ms, found.slowdown, found.doubt) == (pytest.approx(2.0), pytest.approx(1.5), None)


def test_what_the_references_remember(tmp_path: Path, monkeypatch):
    """The calmest moment of all together, not the least of each; nothing of a busy machine, nothing for ever."""
    path = tmp_path / "reference.json"
    references = References([None, None], path)

    def told(first: float, second: float, *, runs: int = 24, load: float = 0.0, lost: float = 0.0) -> Slowdown:
        timings = [Timing([Turn([ms] * runs, lost)]) for ms in (first, second)]
        return references.slowdown(timings, load=load)

    for busy in ({"runs": 23}, {"load": 0.2}, {"lost": 0.5}):
        assert not told(3.0, 4.0, **busy).known and not path.exists(), "told, not remembered"
    assert told(3.0, 4.0) == Slowdown(1.0, 1.0)
    assert told(2.0, 7.0) == Slowdown(pytest.approx(2.0 / 3), 1.75)
    assert told(2.0, 7.0).middle == pytest.approx((2.0 / 3 * 1.75) ** 0.5)
    assert told(1.5, 4.0) == Slowdown(1.0, 1.0), "calmer than ever"
    assert told(3.0, 4.0).most == 2.0
    now = time.time()
    monkeypatch.setattr("ridgepoint.deploy.reference.time", SimpleNamespace(time=lambda: now + 8 * 24 * 3600))
    assert told(5.0, 5.0) == Slowdown(1.0, 1.0), "after a week the machine may be another"
    for damaged in ("nonsense", '{"ms": [1.0], "at": 1e10}', '{"ms": [1e999, 0.0], "at": 1.0}', "\x80"):
        path.write_text(damaged, encoding="latin-1")
        assert told(6.0, 6.0) == Slowdown(1.0, 1.0)
    references.path = Path("/proc/no/reference.json")
    assert told(7.0, 7.0).middle == 1.0


class Disturbed(Session):
    """Every run waits for its core as long as `until` says, by the number of the run."""

    def __init__(self, clock: Clock, ms: float, until):
        super().__init__(clock, ms)
        self.until = until

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        if self.until(self.runs):
            self.clock.lost += 5e-3
            self.clock.now += 5e-3
        return super().run(x_BCHW)


def test_turns_that_waited_for_their_core_do_not_count_and_are_taken_again(clock: Clock):
    """A burst of others' work in the middle: as many rounds as asked for, all of them undisturbed, told as if calm."""
    disturbed = Disturbed(clock, 1.0, lambda run: 40 <= run < 90)
    found = time_sessions({"a": disturbed}, reference=Beside(Session(clock, 1.0)), rounds=8, round_s=0.01)["a"]
    assert clock.pauses >= 2
    assert (found.ms, found.p90_ms, found.undisturbed, found.doubt) == (
        pytest.approx(1.0),
        pytest.approx(1.0),
        1.0,
        None,
    )
    assert 8 * 10 <= found.runs <= 8 * 11


@pytest.mark.parametrize("patience_s", [0.0, 0.2])
def test_what_is_never_undisturbed_is_doubted_when_patience_ends(clock: Clock, patience_s: float):
    sessions = {"a": Disturbed(clock, 1.0, lambda run: True), "b": Session(clock, 2.0)}
    found = time_sessions(
        sessions, reference=Beside(Session(clock, 1.0)), rounds=4, round_s=0.01, warmup=0, patience_s=patience_s
    )
    assert found["a"].undisturbed == 0.0 and "took its core in 100% of 4 rounds" in found["a"].doubt
    assert found["b"].doubt is None and found["b"].ms == pytest.approx(2.0)
    assert (clock.pauses > 0) == (patience_s > 0) and clock.now < 1.0


def test_on_a_busy_machine_whose_calm_was_never_seen_times_are_doubted():
    seen, unseen = (Timing([Turn([5.0])] * 9, Slowdown(known=known), load=0.5) for known in (True, False))
    assert seen.doubt is None and "50% of this machine busy" in unseen.doubt
    assert Timing([Turn([5.0])] * 9, Slowdown(known=False), load=0.01).doubt is None


def test_on_an_emulated_processor_times_are_doubted_at_once_and_nobody_is_told_to_wait(clock: Clock, monkeypatch):
    monkeypatch.setattr(turning, "emulated_by", lambda: "x86_64")
    found = time_sessions(
        {"a": Session(clock, 1.0)}, reference=Beside(Session(clock, 1.0)), rounds=4, round_s=0.01, patience_s=9.0
    )
    assert found["a"].doubt.startswith("an emulator on x86_64") and clock.now < 1.0
    told = cannot_tell(found["a"].doubt)
    assert "not measurable on an emulated processor: " in told and "Clock a real device" in told and "--busy" in told
    assert "busy:" not in told and "Wait" not in told
    hot = Timing([Turn([5.0])] * 9, state=State(temperature_c=90.0, hot=0.5)).doubt
    assert "while this machine is too hot: " in cannot_tell(hot) and "until it has cooled" in cannot_tell(hot)


def test_what_no_processor_could_do_is_doubted(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("ridgepoint.deploy.places.place.most_macs_per_s", lambda threads: 1e9 * threads)
    monkeypatch.setattr(timings, "LEAST_SHARE", 0.0)  # whatever else goes on here
    monkeypatch.setattr(timings, "AGREE", 1e9)
    monkeypatch.setattr(timings, "BUSY", 1.0)
    path = timing_file(tmp_path, 16)
    found = measure({"it": path}, rounds=3, round_s=0.005, patience_s=0.0, macs={"it": 10**12})["it"]
    assert "1000000 million MACs" in found.doubt and "1 core(s)" in doubts([found])[0]


@pytest.mark.clock
def test_this_process_is_told_that_it_had_to_wait_for_its_core():
    if not Path("/proc/self/schedstat").exists() or not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not tell")
    (core,) = choose_cores(1)
    spinning = f"import os\nos.sched_setaffinity(0, {{{core}}})\nprint(flush=True)\nwhile True: pass"
    with on_core([core]), Disturbance() as disturbance:
        other = subprocess.Popen([sys.executable, "-c", spinning], stdout=subprocess.PIPE)
        other.stdout.readline()
        try:
            before, end = disturbance.lost_s([core]), time.monotonic() + 0.5
            while time.monotonic() < end:
                pass
            assert disturbance.lost_s([core]) - before > 0.05
        finally:
            other.kill()
            other.wait()


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
        time_sessions(
            {"a": Looking(clock, 1.0)}, reference=Beside(Session(clock, 1.0)), rounds=3, round_s=0.001, warmup=1
        )
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

    monkeypatch.setattr(system, "_TICKS", counters)
    for busy in choose_cores(2):
        cores._chosen.cache_clear()
        count(busy, 0)
        monkeypatch.setattr(cores.time, "sleep", lambda seconds, busy=busy: count(busy, 10))
        assert busy not in choose_cores(1)
    counters.write_text("nothing of the kind")
    cores._chosen.cache_clear()
    assert len(choose_cores(1)) == len(usual) == 1
    cores._chosen.cache_clear()


def timing_file(folder: Path, size: int) -> Path:
    network = small_network().at(height=size)
    path = folder / f"{size}.onnx"
    export_for_timing(build(network), network.input_shape, path)
    return path


@pytest.mark.clock
def test_a_measurement_tells_its_protocol_and_the_faster_network_is_faster(tmp_path: Path):
    files = {"small": timing_file(tmp_path, 16), "large": timing_file(tmp_path, 128)}
    found = measure(files, rounds=5, round_s=0.01, patience_s=0.0)
    small, large = found["small"], found["large"]
    assert 0 < 2 * small.ms < large.ms
    for name, latency in found.items():
        assert latency.kind == "measured" and latency.ms <= latency.p90_ms and latency.spread >= 0
        assert latency.runtime == "onnxruntime" and latency.runtime_version == find_runtime("onnxruntime").version
        assert (latency.threads, latency.precision, latency.rounds) == (1, "float32", 5)
        assert latency.device and latency.warmup > 0 and latency.runs >= 3
        assert latency.file_bytes == files[name].stat().st_size


def test_an_open_input_size_is_refused_instead_of_timed_as_nothing(clock: Clock):
    unsized = Session(clock, 1.0)
    unsized.input_shape = (3, 0, 0)
    with pytest.raises(InputError, match="leaves its input size open"):
        time_sessions({"a": unsized}, reference=Beside(Session(clock, 1.0)), rounds=1, round_s=0.01)


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(InputError, match=r"absent\.onnx: there is no such file"):
        measure({"absent": tmp_path / "absent.onnx"})
