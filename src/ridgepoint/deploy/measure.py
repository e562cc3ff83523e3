"""Measured latency, with a protocol that is right on a noisy machine or says that it cannot tell.

All files of one call are timed in many short rounds, one after the other in each round, beside reference networks.
Every thread has a core of its own while it is timed. A turn in which a thread had to wait for its core does not count:
it is taken again, on another core if others work on this one, for as long as there is patience. What a run takes is the
first decile of all runs in turns that count. The references tell how much slower than when calm the machine is; what
slows all of them alike is divided out, so that numbers from different minutes can be compared. Where too few turns
count, or beside others the references disagree, all is taken again; what is then in doubt says so. Where the calm
machine was never seen, it is looked at in several moments first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from ridgepoint.cost.latency import MeasuredLatency
from ridgepoint.deploy.companion import precision_of
from ridgepoint.deploy.places.place import LOCAL, Place, Remote, Turning
from ridgepoint.deploy.reference import ENOUGH_RUNS, References, references
from ridgepoint.deploy.rounds import rounds_of
from ridgepoint.deploy.runtimes import DEFAULT, find_runtime
from ridgepoint.deploy.runtimes.session import LEAST_RUNS, Session
from ridgepoint.deploy.timing import Timing, lasts

WARMUP, ROUNDS, ROUND_S = 10, 30, 0.02
PATIENCE_S = 15.0  # for turns that do not count
REST_S = 0.25  # before all rounds are taken again, while there is doubt and patience
LOOKS, LOOK_S = 6, 0.5  # where nobody knows yet how fast the calm machine is: moments, and rest between them
Name = TypeVar("Name")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """A file to clock, how and where it is run; all of one call are in one place.

    `macs` of a run are for those where they are known, to see impossible times by.
    """

    path: Path
    runtime: str = DEFAULT
    threads: int = 1
    macs: int | None = None
    place: Place = LOCAL


def measure(
    files: Mapping[str, Path],
    *,
    runtime: str = DEFAULT,
    threads: int = 1,
    place: Place = LOCAL,
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
        place: Where they run.
        rounds: How many times each file gets its turn.
        round_s: Seconds of one turn; at least three runs are made.
        patience_s: Seconds, at most, for turns that others disturb.
        macs: Of a run of some of the files: times that no processor of this kind could reach are doubted.
        progress: Called with (rounds done, rounds in all).

    Raises:
        InputError: If the runtime is unknown or a file cannot be loaded.
    """
    jobs = {name: Job(path, runtime, threads, (macs or {}).get(name), place) for name, path in files.items()}
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
    sessions = {name: job.place.open(job.path, runtime=job.runtime, threads=job.threads) for name, job in jobs.items()}
    timings = time_sessions(
        sessions,
        reference={name: references(job.runtime, job.threads, job.place) for name, job in jobs.items()},
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
    groups = {id(each): each for each in own.values()}
    taken: list[dict[Name, Timing]] = []
    with _opened(sessions, {key: each.sessions for key, each in groups.items()}, warmup, patience_s) as turning:
        for key, each in groups.items():
            if not each.known and turning.left_s > 0:
                _get_to_know(each, key, turning)
        while not taken or (_doubted(taken[-1]) and turning.left_s > 0):
            began = time.perf_counter()
            found = turning.take(rounds, round_s, None if taken else progress)
            slowdowns = {
                key: each.slowdown([Timing(turns) for turns in found.beside[key]], load=found.load)
                for key, each in groups.items()
            }
            taken.append(
                {
                    name: Timing(found.turns[name], slowdowns[id(own[name])], load=found.load, state=found.state)
                    for name in sessions
                }
            )
            if _doubted(taken[-1]) and turning.left_s > 0:
                time.sleep(REST_S)
                turning.left_s -= time.perf_counter() - began
    return min(taken, key=_doubted)


def _opened(
    sessions: Mapping[Name, Session], beside: Mapping[int, Sequence[Session]], warmup: int, patience_s: float
) -> contextlib.AbstractContextManager[Turning]:
    """Where sessions take turns: this process, or the one that has them open elsewhere."""
    named: Mapping[Hashable, Session] = dict(sessions.items())
    groups: Mapping[Hashable, Sequence[Session]] = dict(beside.items())
    place = next((session.place for session in sessions.values()), None)
    if isinstance(place, Remote):
        return place.rounds_of(named, beside, warmup=warmup, patience_s=patience_s)
    return rounds_of(named, groups, warmup=warmup, patience_s=patience_s)


def _get_to_know(references: References, key: int, turning: Turning) -> None:
    """Look at references in several moments, for one alone may not be calm; the calmest of them is remembered."""
    for _ in range(LOOKS):
        turns, load = turning.look(key, ENOUGH_RUNS // LEAST_RUNS)
        references.slowdown([Timing(each) for each in turns], load=load)
        time.sleep(LOOK_S)


def _doubted(timings: Mapping[Name, Timing]) -> int:
    """How many times are in doubt that others, taken later, may not be."""
    return sum(timing.doubt is not None and not lasts(timing.doubt) for timing in timings.values())


def _latency(job: Job, session: Session, timing: Timing) -> MeasuredLatency:
    return MeasuredLatency(
        ms=timing.ms,
        median_ms=timing.median_ms,
        p90_ms=timing.p90_ms,
        spread=timing.spread,
        drift=timing.drift,
        slowdown=None if job.place.bare else timing.slowdown,
        undisturbed=None if job.place.bare else timing.undisturbed,
        load=None if job.place.bare else timing.load,
        doubt=timing.doubt or _impossible(job, timing.ms),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        device=job.place.device,
        place=job.place.name,
        runtime=job.runtime,
        runtime_version=session.version,
        threads=job.threads,
        precision=precision_of(job.path, session.precision),
        warmup=WARMUP if session.answers else 0,
        rounds=len(timing.rounds_ms),
        runs=timing.runs,
        temperature_c=timing.state.temperature_c,
        frequency_mhz=timing.state.frequency_mhz,
        governor=timing.state.governor,
        means=timing.means,
        checked=session.answers,
        file_bytes=find_runtime(job.runtime, here=not job.place.bare).size_bytes(job.path),
    )


def _impossible(job: Job, ms: float) -> str | None:
    """What is wrong with a time that the processor could not reach if it did nothing but multiply."""
    peak = job.place.most_macs_per_s(job.threads)
    if job.macs is None or peak is None or job.macs <= peak * ms / 1e3:
        return None
    return (
        f"{job.macs / 1e6:.0f} million MACs in {ms:.3g} ms are more than {job.threads} core(s) of this processor can do"
    )
