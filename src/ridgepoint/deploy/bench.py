"""Models side by side: every file in every runtime that loads it, with every number of threads."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from ridgepoint.cost.latency import MeasuredLatency
from ridgepoint.deploy.artefact import finite
from ridgepoint.deploy.compare import ALPHA, RESOLUTION, Verdict, compare
from ridgepoint.deploy.measure import PATIENCE_S, ROUND_S, Job, clock
from ridgepoint.deploy.memory_limit import limited_memory
from ridgepoint.deploy.places.place import LOCAL, Place
from ridgepoint.deploy.rounds import example_image
from ridgepoint.deploy.runtimes import find_runtime, open_session
from ridgepoint.deploy.runtimes.session import OperatorTime
from ridgepoint.deploy.timing import doubts
from ridgepoint.errors import InputError

_PROFILED_RUNS = 10


class BenchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model in one runtime with one number of threads.

    `rounds_ms` is the first decile of every round as the clock showed it; `operators` are absent unless asked for.
    """

    name: str
    model: str
    latency: MeasuredLatency
    rounds_ms: tuple[float, ...]
    operators: tuple[OperatorTime, ...] | None = None


class BenchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one bench found, the fastest first, and in words how; `refused` says by model why it was left out."""

    rows: tuple[BenchRow, ...]
    verdicts: tuple[Verdict, ...]
    protocol: str
    refused: dict[str, str] = {}
    doubts: list[str] = []
    legend: str = (
        "Undisturbed: the first decile of all runs in rounds that nothing disturbed. Drift: the last third of the "
        "rounds against the first. Machine: how much slower reference networks ran than when this machine is calm; "
        "times are divided by it. Peak memory: what a process of its own grows by when it loads the file and runs it."
    )
    test: str = (
        f"Ratio: the median over rounds, as the clock showed it. Two differ if Wilcoxon's signed-rank test on the "
        f"rounds they had together says so (p, adjusted for all pairs by Holm's method, below {ALPHA:g}) and the ratio "
        f"is more than {RESOLUTION:.0%} from 1, which loading the same file again may make."
    )


def bench(
    files: Mapping[str, Sequence[tuple[str, Path]]],
    *,
    threads: Sequence[int],
    rounds: int,
    round_s: float = ROUND_S,
    profile: bool = False,
    busy: bool = False,
    place: Place = LOCAL,
    progress: Callable[[float, str], None],
) -> BenchResult:
    """Clock all combinations in the same rounds, then weigh each in a process of its own.

    Args:
        files: For each model its runtimes, and the file that each loads.
        threads: Numbers of threads.
        rounds: How many turns each combination gets.
        round_s: Seconds of one turn.
        busy: Do not wait for a calm machine.
        place: Where they run.
        profile: Also ask the runtimes' profilers for the time of each kind of operator.
        progress: Called with the share done and what is being done.

    Raises:
        InputError: If no file can be loaded and clocked, or a runtime cannot work here.
    """
    if profile and place is not LOCAL:
        raise InputError("--profile asks a runtime on this machine, and --device is another one. Leave one of them out")
    refused = {model: why for model, choices in files.items() if (why := _why_not(choices, threads[0], place))}
    files = {model: choices for model, choices in files.items() if model not in refused}
    if not files:
        raise InputError("; ".join(refused.values()))
    jobs = {
        (model, runtime, count): Job(path, runtime, count, place=place)
        for model, choices in files.items()
        for runtime, path in choices
        for count in threads
    }
    clocked = clock(
        jobs,
        rounds=rounds,
        round_s=round_s,
        patience_s=0.0 if busy else PATIENCE_S,
        progress=lambda done, of: progress(0.8 * done / of, f"round {done} of {of}"),
    )
    rows = []
    for index, (key, job) in enumerate(jobs.items()):
        progress(0.8 + 0.2 * index / len(jobs), f"memory of {key[0]}")
        latency, timing = clocked[key]
        memory = place.peak_memory_bytes(job.path, runtime=job.runtime, threads=job.threads)
        rows.append(
            BenchRow(
                name=_name(key, jobs),
                model=key[0],
                latency=msgspec.structs.replace(latency, peak_memory_bytes=memory),
                rounds_ms=tuple(ms * timing.slowdown for ms in timing.rounds_undisturbed_ms),
                operators=_operators(job) if profile else None,
            )
        )
    rows.sort(key=lambda row: row.latency.ms)
    first = rows[0].latency
    where = first.device if place is LOCAL else f"{first.device} ({place.name})"
    precisions = ", ".join(dict.fromkeys(row.latency.precision for row in rows))
    warm = f"after {first.warmup} runs to warm up" if first.warmup else "each turn warmed up by itself"
    return BenchResult(
        rows=tuple(rows),
        doubts=doubts((row.latency for row in rows), accepted=busy),
        verdicts=tuple(compare({row.name: row.rounds_ms for row in rows})),
        protocol=f"Measured on {where}, {precisions}, batch 1, in {first.rounds} interleaved rounds "
        f"{warm}, one core for each thread where the runtime allows it." + (f" {place.caveat}" if place.caveat else ""),
        refused=refused,
    )


def _why_not(choices: Sequence[tuple[str, Path]], threads: int, place: Place) -> str | None:
    """Why a model cannot be clocked, from running it once in each of its runtimes; None if it can."""
    try:
        for runtime, path in choices:
            session = place.open(path, runtime=runtime, threads=threads)
            if not session.answers:
                continue
            image = example_image(session)
            with limited_memory(find_runtime(runtime).size_bytes(path), image.nbytes):
                finite(session.run(image), path)
    except InputError as error:
        return str(error)
    return None


def _name(key: tuple[str, str, int], every: Mapping[tuple[str, str, int], Job]) -> str:
    """The model, and what tells its combinations apart."""
    model, runtime, threads = key
    parts = [model]
    if len({other[1] for other in every}) > 1:
        parts.append(runtime)
    if len({other[2] for other in every}) > 1:
        parts.append(f"{threads} thread{'s' if threads > 1 else ''}")
    return ", ".join(parts)


def _operators(job: Job) -> tuple[OperatorTime, ...]:
    image = example_image(open_session(job.path, runtime=job.runtime, threads=job.threads))
    kind = find_runtime(job.runtime).session_class()
    return tuple(kind.profile(job.path, image, threads=job.threads, runs=_PROFILED_RUNS))
