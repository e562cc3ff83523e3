"""One core for each thread: a thread that the system moves about, or puts beside its own twin, tells no steady time."""

from __future__ import annotations

import contextlib
import operator
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ridgepoint.system import IDLE, allowed_cpus, cpu_fact, cpu_ticks, pin

LOOK_S = 0.1  # the system counts in hundredths of a second


def choose_cores(threads: int, *, anew: bool = False) -> tuple[int, ...]:
    """As many logical processors as threads, each on a core of its own: the fastest kind first, then the idlest.

    Chosen once per process, so that whatever it times is timed in the same place; `anew` where others have come to work
    in that place.

    Returns:
        Their numbers; nothing where the system pins no threads or has too few cores.
    """
    if anew:
        _chosen.cache_clear()
    return _chosen(threads, allowed_cpus())


@lru_cache(maxsize=8)
def _chosen(threads: int, allowed: frozenset[int]) -> tuple[int, ...]:
    busy = _busy() if threads < len(allowed) else {}
    backwards = sorted(allowed, reverse=True)  # the first core serves most interrupts
    first_of_core = {cpu_fact(cpu, "topology/thread_siblings_list") or str(cpu): cpu for cpu in backwards}
    best = sorted(
        first_of_core.values(), key=lambda cpu: (-int(cpu_fact(cpu, "cpu_capacity") or 0), busy.get(cpu, 0.0) > 0.5)
    )
    return tuple(best[:threads]) if len(best) >= threads else ()


def _busy() -> dict[int, float]:
    """The share of a moment that every processor worked, by its number; nothing where the system does not tell."""
    before = cpu_ticks()
    time.sleep(LOOK_S)
    after = cpu_ticks()
    passed = {cpu: list(map(operator.sub, now, before.get(cpu, now))) for cpu, now in after.items()}
    return {cpu: 1.0 - sum(each[IDLE]) / sum(each) for cpu, each in passed.items() if sum(each)}


@contextlib.contextmanager
def on_core(cores: Sequence[int]) -> Iterator[None]:
    """Keep the calling thread on the first of the cores, and let it go where it could before."""
    if not cores:
        yield
        return
    before = allowed_cpus()
    pin({cores[0]})
    try:
        yield
    finally:
        pin(before)
