"""Measured latency, with a protocol that survives a noisy machine.

All files of one call are timed in many short rounds, one after the other in each round, beside a fixed reference
network. A round's times are divided by how slow the reference was in that round, so that drift of the machine (other
load, frequency) cancels; what is left is reported as spread.
"""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ridgepoint.arch.zoo import load
from ridgepoint.cost.host import cpu_name
from ridgepoint.cost.latency import MeasuredLatency
from ridgepoint.deploy.runtimes import Session, find_runtime, open_session
from ridgepoint.errors import InputError

WARMUP, ROUNDS, ROUND_S = 10, 20, 0.02


def measure(
    files: Mapping[str, Path],
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    rounds: int = ROUNDS,
    round_s: float = ROUND_S,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, MeasuredLatency]:
    """Time exported files side by side, batch 1.

    Args:
        files: Names and files.
        runtime: The runtime that loads them.
        threads: Threads inside one inference.
        rounds: How many times each file gets its turn.
        round_s: Seconds of one turn; at least three runs are made.
        progress: Called with (rounds done, rounds in all).

    Returns:
        For each name: median and 90th percentile of all runs, corrected by the reference, and the spread of rounds.

    Raises:
        InputError: If the runtime is unknown or a file cannot be loaded.
    """
    sessions = {name: open_session(path, runtime=runtime, threads=threads) for name, path in files.items()}
    return {
        name: MeasuredLatency(
            ms=timing.median_ms,
            p90_ms=timing.p90_ms,
            spread=timing.spread,
            device=cpu_name(),
            runtime=runtime,
            runtime_version=sessions[name].version,
            threads=threads,
            precision="float32",
            warmup=WARMUP,
            rounds=rounds,
            runs=timing.runs,
            file_bytes=files[name].stat().st_size,
        )
        for name, timing in time_sessions(
            sessions, reference=reference_session(runtime, threads), rounds=rounds, round_s=round_s, progress=progress
        ).items()
    }


class Timing:
    """Times of one session: a list of runs for each round, in milliseconds, corrected by the reference.

    `rounds_ms` keeps every round's median: rounds of sessions that were timed together can be compared in pairs.
    """

    def __init__(self, rounds_ms: Sequence[Sequence[float]]):
        medians = [statistics.median(runs) for runs in rounds_ms]
        self.rounds_ms = tuple(medians)
        everything = np.concatenate([np.asarray(runs) for runs in rounds_ms])
        self.median_ms = float(np.median(medians))
        self.p90_ms = float(np.quantile(everything, 0.9))
        self.spread = (max(medians) - min(medians)) / self.median_ms
        self.runs = len(everything)


def time_sessions(
    sessions: Mapping[str, Session],
    *,
    reference: Session,
    rounds: int,
    round_s: float,
    warmup: int = WARMUP,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Timing]:
    """Time loaded sessions in interleaved rounds; see the module's docstring."""
    images = {name: _image(session) for name, session in sessions.items()}
    reference_image = _image(reference)
    for name, session in sessions.items():
        _runs(session, images[name], 0.0, warmup)
    _runs(reference, reference_image, 0.0, warmup)
    raw: dict[str, list[list[float]]] = {name: [] for name in sessions}
    speed: list[float] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        for done in range(rounds):
            speed.append(statistics.median(_runs(reference, reference_image, round_s / 4, 3)))
            for name, session in sessions.items():
                raw[name].append(_runs(session, images[name], round_s, 3))
            if progress:
                progress(done + 1, rounds)
    finally:
        if collecting:
            gc.enable()
    usual = statistics.median(speed)
    factors = [usual / now for now in speed]
    return {
        name: Timing([[ms * factor for ms in runs] for runs, factor in zip(turns, factors, strict=True)])
        for name, turns in raw.items()
    }


def _runs(session: Session, image: np.ndarray, seconds: float, least: int) -> list[float]:
    """Milliseconds of single runs, for the given time and at least so many."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        session.run(image)
        times.append((time.perf_counter() - start) * 1e3)
    return times


def _image(session: Session) -> np.ndarray:
    shape = (1, *session.input_shape)
    if 0 in shape:
        raise InputError(f"the file leaves its input size open: {shape}, 0 is open. Export it with a fixed size")
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@lru_cache(maxsize=4)
def reference_session(runtime: str, threads: int) -> Session:
    """A small fixed network; only how its time moves between rounds matters."""
    from ridgepoint.deploy.export import export_for_timing
    from ridgepoint.nn.build import build

    network = load("mobilenetv3_small_050").at(height=64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"reference{find_runtime(runtime).suffix}"
        export_for_timing(build(network), network.input_shape, path, runtime)
        return open_session(path, runtime=runtime, threads=threads)
