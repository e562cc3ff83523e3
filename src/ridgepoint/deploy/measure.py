"""Measured latency, with a protocol that survives a noisy machine.

All files of one call are timed in many short rounds, one after the other in each round, beside a reference network.
Every thread has a core of its own while it is timed. What a run takes is the first decile of all its runs: a machine
that is shared is disturbed most of the time, and what disturbs it only adds. How much slower than on the calm machine
the reference's first decile was divides all times, so that numbers from different minutes can be compared.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ridgepoint.cost.host import cpu_name
from ridgepoint.cost.latency import MeasuredLatency
from ridgepoint.deploy.cores import on_core
from ridgepoint.deploy.reference import Reference, reference_session
from ridgepoint.deploy.runtimes import Session, artefact_bytes, open_session
from ridgepoint.errors import InputError

WARMUP, ROUNDS, ROUND_S = 10, 30, 0.02
LEAST_RUNS = 3
UNDISTURBED = 0.1
REFERENCE_EVERY_S = 0.1
DISTURBED, ATTEMPTS = 1.15, 3  # the slowdown from which on a machine is not calm, and how often calm is tried for
DOUBTFUL = 1.5  # the slowdown from which on times are not to be relied on
Name = TypeVar("Name")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """A file to clock, and how it is run."""

    path: Path
    runtime: str = "onnxruntime"
    threads: int = 1


class Timing:
    """Times of one session in milliseconds: a list of runs for each round.

    Attributes:
        ms: What a run takes when nothing disturbs it, the first decile of all runs.
        median_ms: The median of the rounds' medians.
        p90_ms: The 90th percentile of all runs.
        spread: Slowest less fastest round's median, over the median.
        drift: By how much the last third of the rounds is slower than the first, as a share.
        slowdown: How much slower than when calm the machine was; all times above are divided by it.
        rounds_ms: Every round's median: rounds of sessions that were timed together can be compared in pairs.
        rounds_undisturbed_ms: Every round's first decile, for the same.
        runs: How many there were.
    """

    def __init__(self, rounds_ms: Sequence[Sequence[float]], slowdown: float = 1.0):
        medians = [statistics.median(runs) / slowdown for runs in rounds_ms]
        everything = np.concatenate([np.asarray(runs) for runs in rounds_ms]) / slowdown
        third = math.ceil(len(medians) / 3)
        self.rounds_ms = tuple(medians)
        self.rounds_undisturbed_ms = tuple(float(np.quantile(runs, UNDISTURBED)) / slowdown for runs in rounds_ms)
        self.ms = float(np.quantile(everything, UNDISTURBED))
        self.median_ms = float(np.median(medians))
        self.p90_ms = float(np.quantile(everything, 0.9))
        self.spread = (max(medians) - min(medians)) / self.median_ms
        self.drift = statistics.median(medians[-third:]) / statistics.median(medians[:third]) - 1
        self.slowdown = slowdown
        self.runs = len(everything)


Clocked = TypeVar("Clocked", Timing, MeasuredLatency)


def measure(
    files: Mapping[str, Path],
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    rounds: int = ROUNDS,
    round_s: float = ROUND_S,
    progress: Progress | None = None,
) -> dict[str, MeasuredLatency]:
    """Time exported files side by side, batch 1.

    Args:
        files: Names and files.
        runtime: The runtime that loads them.
        threads: Threads inside one inference.
        rounds: How many times each file gets its turn.
        round_s: Seconds of one turn; at least three runs are made.
        progress: Called with (rounds done, rounds in all).

    Raises:
        InputError: If the runtime is unknown or a file cannot be loaded.
    """
    jobs = {name: Job(path, runtime, threads) for name, path in files.items()}
    clocked = clock(jobs, rounds=rounds, round_s=round_s, progress=progress)
    return {name: latency for name, (latency, _) in clocked.items()}


def clock(
    jobs: Mapping[Name, Job], *, rounds: int = ROUNDS, round_s: float = ROUND_S, progress: Progress | None = None
) -> dict[Name, tuple[MeasuredLatency, Timing]]:
    """Time files side by side, each in its own runtime and with its own number of threads.

    Raises:
        InputError: If a runtime is unknown or a file cannot be loaded.
    """
    sessions = {name: open_session(job.path, runtime=job.runtime, threads=job.threads) for name, job in jobs.items()}
    timings = time_sessions(
        sessions,
        reference={name: reference_session(job.runtime, job.threads) for name, job in jobs.items()},
        rounds=rounds,
        round_s=round_s,
        progress=progress,
    )
    return {name: (_latency(jobs[name], sessions[name], timings[name]), timings[name]) for name in jobs}


def time_sessions(
    sessions: Mapping[Name, Session],
    *,
    reference: Session | Mapping[Name, Session],
    rounds: int,
    round_s: float,
    warmup: int = WARMUP,
    progress: Progress | None = None,
) -> dict[Name, Timing]:
    """Time loaded sessions in interleaved rounds; see the module's docstring.

    Args:
        sessions: Names and sessions.
        reference: What is timed beside them, one for all or each session's own; `reference_session` gives it.
        rounds: How many turns each session gets.
        round_s: Seconds of one turn.
        warmup: Runs of each session before the first round.
        progress: Called with (rounds done, rounds in all).
    """
    own = reference if isinstance(reference, Mapping) else dict.fromkeys(sessions, reference)
    lanes = {name: _Lane(session) for name, session in sessions.items()}
    references = {id(session): _Lane(session) for session in own.values()}
    for lane in (*lanes.values(), *references.values()):
        lane.warm_up(warmup)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for done in range(rounds):
            told_at = -math.inf
            for lane in lanes.values():
                if time.perf_counter() - told_at > REFERENCE_EVERY_S:
                    for each in references.values():
                        each.take_turn(round_s / 4)
                    told_at = time.perf_counter()
                lane.take_turn(round_s)
            if progress:
                progress(done + 1, rounds)
    finally:
        if collecting:
            gc.enable()
    slowdowns = {key: lane.slowdown() for key, lane in references.items()}
    return {name: Timing(lane.turns_ms, slowdowns[id(own[name])]) for name, lane in lanes.items()}


def when_calm(take: Callable[[], dict[Name, Clocked]], *, usual: float = 1.0) -> dict[Name, Clocked]:
    """What `take` clocks while the machine is calm; taken again while it is not, and then the calmest counts.

    What disturbs a machine for seconds can slow small networks down twice as much as the reference, so no division
    undoes it.

    Args:
        take: Clocks something once.
        usual: How much slower than calm the machine always is these minutes; there is no waiting for better.
    """
    taken: list[dict[Name, Clocked]] = []
    while len(taken) < ATTEMPTS:
        taken.append(take())
        if _slowdown(taken[-1]) < DISTURBED * usual:
            break
    return min(taken, key=_slowdown)


def doubt(clocked: Mapping[Name, Clocked]) -> str | None:
    """What people must know about times that were taken on a busy machine; None if it was calm enough."""
    if (slowdown := _slowdown(clocked)) < DOUBTFUL:
        return None
    return (
        f"the machine was busy while files were clocked: a reference network took {slowdown:.1f} times as long as when "
        "it is calm. Small networks are slowed down less, and so may be slower than told. Clock again when it is calm"
    )


def _slowdown(clocked: Mapping[Name, Clocked]) -> float:
    return max([each.slowdown or 1.0 for each in clocked.values()], default=1.0)


class _Lane:
    """A session with its image and the times of its turns."""

    def __init__(self, session: Session):
        self.session, self.image = session, example_image(session)
        self.turns_ms: list[list[float]] = []

    def warm_up(self, runs: int) -> None:
        with on_core(self.session.cores):
            for _ in range(runs):
                self.session.run(self.image)

    def take_turn(self, seconds: float) -> None:
        """Milliseconds of single runs, for the given time; the first finds the caches full of others' data."""
        times: list[float] = []
        with on_core(self.session.cores):
            self.session.run(self.image)
            end = time.perf_counter() + seconds
            while len(times) < LEAST_RUNS or time.perf_counter() < end:
                start = time.perf_counter()
                self.session.run(self.image)
                times.append((time.perf_counter() - start) * 1e3)
        self.turns_ms.append(times)

    def slowdown(self) -> float:
        """How much slower than on the calm machine it ran, if it knows that."""
        timing = Timing(self.turns_ms)
        calm = self.session.calm_ms(timing.ms, timing.runs) if isinstance(self.session, Reference) else timing.ms
        return timing.ms / calm


def example_image(session: Session) -> np.ndarray:
    """A random float32 image, (1, C, H, W), that a session takes.

    Raises:
        InputError: If its file leaves the size open.
    """
    shape = (1, *session.input_shape)
    if 0 in shape:
        raise InputError(f"{session.path}: leaves its input size open: {shape}, 0 is open. Export it with a fixed size")
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _latency(job: Job, session: Session, timing: Timing) -> MeasuredLatency:
    return MeasuredLatency(
        ms=timing.ms,
        median_ms=timing.median_ms,
        p90_ms=timing.p90_ms,
        spread=timing.spread,
        drift=timing.drift,
        slowdown=timing.slowdown,
        device=cpu_name(),
        runtime=job.runtime,
        runtime_version=session.version,
        threads=job.threads,
        precision="float32",
        warmup=WARMUP,
        rounds=len(timing.rounds_ms),
        runs=timing.runs,
        file_bytes=artefact_bytes(job.path),
    )
