"""One core for each thread: a thread that the system moves about, or puts beside its own twin, tells no steady time."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

_CPUS, _TIMES = Path("/sys/devices/system/cpu"), Path("/proc/stat")
LOOK_S = 0.1  # the system counts in hundredths of a second
IDLE = slice(3, 5)  # of the times in /proc/stat: doing nothing, and waiting for a disk


def choose_cores(threads: int, *, anew: bool = False) -> tuple[int, ...]:
    """As many logical processors as threads, each on a core of its own: the fastest kind first, then the idlest.

    Chosen once per process, so that whatever it times is timed in the same place; `anew` where others have come to work
    in that place.

    Returns:
        Their numbers; nothing where the system pins no threads or has too few cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return ()
    if anew:
        _chosen.cache_clear()
    return _chosen(threads, frozenset(os.sched_getaffinity(0)))


@lru_cache(maxsize=8)
def _chosen(threads: int, allowed: frozenset[int]) -> tuple[int, ...]:
    busy = _busy() if threads < len(allowed) else {}
    backwards = sorted(allowed, reverse=True)  # the first core serves most interrupts
    first_of_core = {_read(cpu, "topology/thread_siblings_list", str(cpu)): cpu for cpu in backwards}
    best = sorted(
        first_of_core.values(), key=lambda cpu: (-int(_read(cpu, "cpu_capacity", "0")), busy.get(cpu, 0.0) > 0.5)
    )
    return tuple(best[:threads]) if len(best) >= threads else ()


def _busy() -> dict[int, float]:
    """The share of a moment that every processor worked, by its number; nothing where the system does not tell."""
    try:
        before = ticks()
        time.sleep(LOOK_S)
        after = ticks()
    except (OSError, ValueError):
        return {}
    passed = {
        cpu: [new - old for old, new in zip(before.get(cpu, now), now, strict=True)] for cpu, now in after.items()
    }
    return {cpu: 1.0 - sum(each[IDLE]) / sum(each) for cpu, each in passed.items() if sum(each)}


def ticks() -> dict[int, list[int]]:
    """Hundredths of a second that every processor has spent in each state, by its number."""
    lines = [line.split() for line in _TIMES.read_text().splitlines() if line.startswith("cpu") and line[3] != " "]
    return {int(name.removeprefix("cpu")): [int(ticks) for ticks in times[:8]] for name, *times in lines}


@contextlib.contextmanager
def on_core(cores: Sequence[int]) -> Iterator[None]:
    """Keep the calling thread on the first of the cores, and let it go where it could before."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _read(cpu: int, name: str, otherwise: str) -> str:
    try:
        return (_CPUS / f"cpu{cpu}" / name).read_text().strip()
    except OSError:
        return otherwise
