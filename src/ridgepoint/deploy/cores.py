"""One core for each thread: a thread that the system moves about, or puts beside its own twin, tells no steady time."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")


def choose_cores(threads: int) -> tuple[int, ...]:
    """As many logical processors as threads, each on a core of its own, the fastest kind first.

    Returns:
        Their numbers; nothing where the system pins no threads or has too few cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return ()
    allowed = sorted(os.sched_getaffinity(0), reverse=True)  # the first core serves most interrupts
    first_of_core = {_read(cpu, "topology/thread_siblings_list", str(cpu)): cpu for cpu in allowed}
    fastest = sorted(first_of_core.values(), key=lambda cpu: -int(_read(cpu, "cpu_capacity", "0")))
    return tuple(fastest[:threads]) if len(fastest) >= threads else ()


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
