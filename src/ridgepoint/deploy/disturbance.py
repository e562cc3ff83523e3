"""What kept this process from running, and how busy others keep the machine, by the system's own counts.

A wall clock cannot tell a slow network from one that had to wait for its core. Linux counts, for every thread, the time
that it was ready to run and did not, and for every processor what the host of a virtual machine took away. Elsewhere
the calling thread's own processor time tells how much of the wall time it was given.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Sequence
from types import TracebackType

from ridgepoint.system import IDLE, STOLEN, TICKS_PER_S, ThreadWaits, cpu_ticks

ELSEWHERE_S: dict[int, float] = {}
"""Seconds that other processes of ours have computed, by their numbers: they are not others."""


class Disturbance:
    """Counts from its making on; a context manager, for it holds files open. Threads made later do not count."""

    def __init__(self) -> None:
        self._waits = ThreadWaits()
        self._idle_s = time.perf_counter() - time.thread_time()
        self.look()

    def look(self) -> None:
        """Begin to count what others do to the machine and its host."""
        self._began, self._own_s = cpu_ticks(), _own_s()

    def lost_s(self, cores: Sequence[int] = ()) -> float:
        """Seconds that this process's threads were ready to run and did not, since the making.

        Args:
            cores: Where they are pinned: what a host took from these counts too.
        """
        return self._waited_s() + self._stolen_s(cores)

    def load(self) -> float:
        """The share of all processors that others have kept busy since the last look, 0 to 1; 0 where nobody tells."""
        now = cpu_ticks()
        passed = [list(map(operator.sub, now[cpu], self._began[cpu])) for cpu in self._began if cpu in now]
        whole = sum(map(sum, passed))
        if not whole:
            return 0.0
        busy = whole - sum(sum(each[IDLE]) for each in passed)
        own = (_own_s() - self._own_s) * TICKS_PER_S
        return min(max(busy - own, 0.0) / whole, 1.0)

    def _waited_s(self) -> float:
        waited = self._waits.seconds()
        if waited is None:  # two clocks, of which one may tick a little before the other
            waited = max(time.perf_counter() - time.thread_time() - self._idle_s, 0.0)
        return waited

    def _stolen_s(self, cores: Sequence[int]) -> float:
        now = cpu_ticks() if cores else {}
        return sum(now[cpu][STOLEN] - self._began[cpu][STOLEN] for cpu in cores if cpu in now) / TICKS_PER_S

    def __enter__(self) -> Disturbance:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._waits.close()


def _own_s() -> float:
    """Seconds that we have computed, here and in the processes that we have others' libraries run in."""
    return time.process_time() + sum(ELSEWHERE_S.values())
