"""LiteRT's own program for clocking a file, `benchmark_model`: what it is told, and what it tells.

It loads the file, runs it on random inputs until a time is over, and tells how many runs there were and what they took
on average; single runs it does not tell. Between versions its lines differ: of statistics, each is a name, `=` and a
number; where all runs took the same microseconds there is no average.

Source: tensorflow/lite/tools/benchmark/benchmark_model.cc; tsl/util/stats_calculator.h, `Stat::OutputToStream`.
"""

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ridgepoint.errors import InputError

WARM_S = 0.2  # before each turn: a process that has just begun finds the clock slow
LEAST_S, MOST_S = 0.2, 20.0  # of a turn; begun runs are ended
_STATISTIC = re.compile(r"\b(count|curr|avg)=([0-9][0-9.e+]{0,20})")
_ERRORS = re.compile(r"^(?:ERROR|FATAL): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """What a turn of it told: how many runs, and what they took on average, in milliseconds."""

    runs: int
    mean_ms: float


def command(program: str, graph: str, *, threads: int, seconds: float, cores: Sequence[int]) -> str:
    """The line of a shell that runs it in place of the shell, with all that it writes in one stream.

    Args:
        program: Its path there.
        graph: The file's path there.
        threads: Threads inside one run.
        seconds: How long it runs the file; 0 for once.
        cores: Where it is kept; nothing where the device pins no programs.
    """
    pinned = ["taskset", f"{sum(1 << core for core in cores):x}"] if cores else []
    flags = {
        "graph": graph,
        "num_threads": threads,
        "num_runs": 1,
        "min_secs": f"{seconds:g}",
        "max_secs": f"{MOST_S:g}",
        "warmup_runs": 1,
        "warmup_min_secs": WARM_S if seconds else 0,
    }
    words = [*pinned, program, *(f"--{name}={value}" for name, value in flags.items())]
    return f"exec {shlex.join(words)}"


def read(told: str, code: int) -> Ran:
    """What it told of the runs that were clocked, which come last.

    Args:
        told: All that it wrote.
        code: What it ended with.

    Raises:
        InputError: If it failed, with what it said of it; or told no time.
    """
    if code:
        said = _ERRORS.findall(told) or told.strip().splitlines()[-1:]
        kept = [each for each in said if each != "Benchmarking failed."][:2]
        raise InputError(f"benchmark_model ended with {code}{': ' + '; '.join(kept) if kept else ''}")
    lines = [dict(_STATISTIC.findall(line)) for line in told.splitlines() if "count=" in line]
    try:
        last = lines[-1]
        found = Ran(int(last["count"]), float(last.get("avg") or last["curr"]) / 1e3)
    except (IndexError, KeyError, ValueError):
        found = Ran(0, 0.0)
    if found.runs < 1 or not 0 < found.mean_ms < math.inf:
        raise InputError("benchmark_model told no time of a run. Give a build of it from 2019 or later")
    return found
