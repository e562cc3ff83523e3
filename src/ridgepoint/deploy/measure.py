"""Measured latency, with a protocol that is right on a noisy machine or says that it cannot tell.

All files of one call are timed in many short rounds, one after the other in each round, beside reference networks.
Every thread has a core of its own while it is timed. A turn in which a thread had to wait for its core does not count:
it is taken again, on another core if others work on this one, for as long as there is patience. What a run takes is the
first decile of all runs in turns that count. The references tell how much slower than when calm the machine is; what
slows all of them alike is divided out, so that numbers from different minutes can be compared. Where too few turns
count, or beside others the references disagree, all is taken again; what is then in doubt says so. Where the calm
machine was never seen, it is looked at in several moments first.
"""

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np

from ridgepoint.cost.host import cpu_name, most_macs_per_s
from ridgepoint.cost.latency import MeasuredLatency
from ridgepoint.deploy.cores import choose_cores, on_core
from ridgepoint.deploy.disturbance import Disturbance
from ridgepoint.deploy.reference import ENOUGH_RUNS, References, references
from ridgepoint.deploy.runtimes import DEFAULT, find_runtime, open_session
from ridgepoint.deploy.runtimes.session import LEAST_RUNS, Session
from ridgepoint.deploy.timing import Timing, Turn
from ridgepoint.errors import InputError

WARMUP, ROUNDS, ROUND_S = 10, 30, 0.02
REFERENCE_EVERY_S, REFERENCE_S = 0.15, 0.005
PATIENCE_S, PAUSE_S = 15.0, 0.05  # for turns that do not count: in all, and before one is taken again
REST_S = 0.25  # before all rounds are taken again, while there is doubt and patience
LOOKS, LOOK_S = 6, 0.5  # where nobody knows yet how fast the calm machine is: moments, and rest between them
Name = TypeVar("Name")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """A file to clock, and how it is run; `macs` of a run where they are known, to see impossible times by."""

    path: Path
    runtime: str = DEFAULT
    threads: int = 1
    macs: int | None = None


def measure(
    files: Mapping[str, Path],
    *,
    runtime: str = DEFAULT,
    threads: int = 1,
    rounds: int = ROUNDS,
    round_s: float = ROUND_S,
    patience_s: float = PATIENCE_S,
    macs: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> dict[str, MeasuredLatency]:
    """Time exported files side by side, batch 1. A time that is not to be relied on says so: `doubt`.

    Args:
        files: Names and files.
        runtime: The runtime that loads them.
        threads: Threads inside one inference.
        rounds: How many times each file gets its turn.
        round_s: Seconds of one turn; at least three runs are made.
        patience_s: Seconds, at most, for turns that others disturb.
        macs: Of a run of some of the files: times that no processor of this kind could reach are doubted.
        progress: Called with (rounds done, rounds in all).

    Raises:
        InputError: If the runtime is unknown or a file cannot be loaded.
    """
    jobs = {name: Job(path, runtime, threads, (macs or {}).get(name)) for name, path in files.items()}
    clocked = clock(jobs, rounds=rounds, round_s=round_s, patience_s=patience_s, progress=progress)
    return {name: latency for name, (latency, _) in clocked.items()}


def clock(
    jobs: Mapping[Name, Job],
    *,
    rounds: int = ROUNDS,
    round_s: float = ROUND_S,
    patience_s: float = PATIENCE_S,
    progress: Progress | None = None,
) -> dict[Name, tuple[MeasuredLatency, Timing]]:
    """Time files side by side, each in its own runtime and with its own number of threads.

    Raises:
        InputError: If a runtime is unknown or a file cannot be loaded.
    """
    sessions = {name: open_session(job.path, runtime=job.runtime, threads=job.threads) for name, job in jobs.items()}
    timings = time_sessions(
        sessions,
        reference={name: references(job.runtime, job.threads) for name, job in jobs.items()},
        rounds=rounds,
        round_s=round_s,
        patience_s=patience_s,
        progress=progress,
    )
    return {name: (_latency(jobs[name], sessions[name], timings[name]), timings[name]) for name in jobs}


def time_sessions(
    sessions: Mapping[Name, Session],
    *,
    reference: References | Mapping[Name, References],
    rounds: int,
    round_s: float,
    warmup: int = WARMUP,
    patience_s: float = PATIENCE_S,
    progress: Progress | None = None,
) -> dict[Name, Timing]:
    """Time loaded sessions in interleaved rounds; see the module's docstring.

    Args:
        sessions: Names and sessions.
        reference: What is timed beside them, for all or each session's own; `references` gives it.
        rounds: How many turns each session gets that count, unless patience ends.
        round_s: Seconds of one turn.
        warmup: Runs of each session before the first round.
        patience_s: Seconds, at most, for turns that do not count.
        progress: Called with (rounds done, rounds in all), for the first time that they are taken.
    """
    own = reference if isinstance(reference, Mapping) else dict.fromkeys(sessions, reference)
    lanes = {name: _Lane(session) for name, session in sessions.items()}
    groups = {id(each): each for each in own.values()}
    beside = {key: [_Lane(session) for session in each.sessions] for key, each in groups.items()}
    everyone = [*lanes.values(), *(lane for group in beside.values() for lane in group)]
    for lane in everyone:
        lane.warm_up(warmup)
    taken: list[dict[Name, Timing]] = []
    with Disturbance() as disturbance, _no_collection():
        umpire = _Umpire(disturbance, patience_s)
        for key, each in groups.items():
            if not each.known and umpire.patient:
                _get_to_know(each, beside[key], umpire, disturbance)
        while not taken or (_doubted(taken[-1]) and umpire.patient):
            for lane in everyone:
                lane.turns = []
            began = time.perf_counter()
            disturbance.look()
            _take_rounds(lanes, beside, umpire, rounds, round_s, None if taken else progress)
            load = disturbance.load()
            slowdowns = {
                key: each.slowdown([Timing(lane.turns) for lane in beside[key]], load=load)
                for key, each in groups.items()
            }
            taken.append(
                {name: Timing(lane.turns, slowdowns[id(own[name])], load=load) for name, lane in lanes.items()}
            )
            if _doubted(taken[-1]) and umpire.patient:
                time.sleep(REST_S)
                umpire.spend(time.perf_counter() - began)
    return min(taken, key=_doubted)


def _get_to_know(references: References, lanes: Sequence["_Lane"], umpire: "_Umpire", disturbance: Disturbance) -> None:
    """Look at references in several moments, for one alone may not be calm; the calmest of them is remembered."""
    for _ in range(LOOKS):
        disturbance.look()
        for lane in lanes:
            lane.turns = []
        for _ in range(ENOUGH_RUNS // LEAST_RUNS):
            for lane in lanes:
                lane.take_turn(REFERENCE_S, umpire)
        references.slowdown([Timing(lane.turns) for lane in lanes], load=disturbance.load())
        time.sleep(LOOK_S)


def _take_rounds(
    lanes: Mapping[Name, "_Lane"],
    beside: Mapping[int, Sequence["_Lane"]],
    umpire: "_Umpire",
    rounds: int,
    round_s: float,
    progress: Progress | None,
) -> None:
    """Every lane's turn in every round, and the references' now and then."""
    told_at = -math.inf
    for done in range(rounds):
        for lane in lanes.values():
            if time.perf_counter() - told_at > REFERENCE_EVERY_S:
                for group in beside.values():
                    for each in group:
                        each.take_turn(REFERENCE_S, umpire)
                told_at = time.perf_counter()
            lane.take_turn(round_s, umpire)
        if progress:
            progress(done + 1, rounds)


def _doubted(timings: Mapping[Name, Timing]) -> int:
    return sum(timing.doubt is not None for timing in timings.values())


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage is collected while something is timed."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class _Umpire:
    """Decides whether a turn counts, and for how long one that does not is taken again.

    Single threads go where it says: to the idlest core once others have come to the one they had.
    """

    def __init__(self, disturbance: Disturbance, patience_s: float):
        self._disturbance, self._left_s = disturbance, patience_s
        self._single: tuple[int, ...] | None = None

    def cores(self, session: Session) -> tuple[int, ...]:
        """Where a session's turn takes place."""
        return self._single if self._single and len(session.cores) == 1 else session.cores

    @property
    def patient(self) -> bool:
        """Whether there is time left for what is to be taken again."""
        return self._left_s > 0

    def spend(self, seconds: float) -> None:
        """Count time on what did not tell anything."""
        self._left_s -= seconds

    def turn(self, session: Session, image: np.ndarray, seconds: float) -> Turn:
        """A session's turn in its place."""
        cores = self.cores(session)
        return session.turn(image, seconds=seconds, cores=cores, lost_s=lambda: self._disturbance.lost_s(cores))

    def take_again(self, turn: Turn, seconds: float) -> bool:
        """Whether a turn that lasted so long does not count and there is patience for another one."""
        if turn.undisturbed or not self.patient:
            return False
        began = time.perf_counter()
        time.sleep(PAUSE_S)
        self._single = choose_cores(1, anew=True)
        self.spend(seconds + time.perf_counter() - began)
        return True


class _Lane:
    """A session with its image and its turns."""

    def __init__(self, session: Session):
        self.session, self.image = session, example_image(session)
        self.turns: list[Turn] = []

    def warm_up(self, runs: int) -> None:
        with on_core(self.session.cores):
            for _ in range(runs):
                self.session.run(self.image)

    def take_turn(self, seconds: float, umpire: _Umpire) -> None:
        """Runs for the given time, again while others disturb it; the least disturbed turn is kept."""
        best: Turn | None = None
        while True:
            began = time.perf_counter()
            turn = umpire.turn(self.session, self.image, seconds)
            best = turn if best is None or turn.lost < best.lost else best
            if not umpire.take_again(turn, time.perf_counter() - began):
                break
        self.turns.append(best)


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
        undisturbed=timing.undisturbed,
        load=timing.load,
        doubt=timing.doubt or _impossible(job, timing.ms),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        device=cpu_name(),
        runtime=job.runtime,
        runtime_version=session.version,
        threads=job.threads,
        precision=session.precision,
        warmup=WARMUP,
        rounds=len(timing.rounds_ms),
        runs=timing.runs,
        file_bytes=find_runtime(job.runtime).size_bytes(job.path),
    )


def _impossible(job: Job, ms: float) -> str | None:
    """What is wrong with a time that the processor could not reach if it did nothing but multiply."""
    peak = most_macs_per_s(job.threads)
    if job.macs is None or peak is None or job.macs <= peak * ms / 1e3:
        return None
    return (
        f"{job.macs / 1e6:.0f} million MACs in {ms:.3g} ms are more than {job.threads} core(s) of this processor can do"
    )
