"""What kept this process from running, and how busy others keep the machine, by the system's own counts.

A wall clock cannot tell a slow network from one that had to wait for its core. Linux counts, for every thread, the time
that it was ready to run and did not, and for every processor what the host of a virtual machine took away. Elsewhere
the calling thread's own processor time tells how much of the wall time it was given.

Source: Linux, Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat; man 5 proc, /proc/stat.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ridgepoint.deploy.cores import IDLE, ticks

_TASKS, _HERTZ, _STEAL = Path("/proc/self/task"), 100.0, 7


class Disturbance:
    """Counts from its making on; a context manager, for it holds files open. Threads made later do not count."""

    def __init__(self) -> None:
        self._files: list[int] = []
        with contextlib.suppress(OSError):
            for task in _TASKS.iterdir():
                self._files.append(os.open(task / "schedstat", os.O_RDONLY))
        if not any(self._counts(file)[0] for file in self._files):  # a system that has the files and does not count
            self._close()
        self._idle_s = time.perf_counter() - time.thread_time()
        self.look()

    def look(self) -> None:
        """Begin to count what others do to the machine and its host."""
        self._began, self._own_s = _ticks(), time.process_time()

    def lost_s(self, cores: Sequence[int] = ()) -> float:
        """Seconds that this process's threads were ready to run and did not, since the making.

        Args:
            cores: Where they are pinned: what a host took from these counts too.
        """
        return self._waited_s() + self._stolen_s(cores)

    def load(self) -> float:
        """The share of all processors that others have kept busy since the last look, 0 to 1; 0 where nobody tells."""
        now = _ticks()
        passed = [
            [new - old for old, new in zip(self._began[cpu], now[cpu], strict=True)]
            for cpu in self._began
            if cpu in now
        ]
        whole = sum(map(sum, passed))
        if not whole:
            return 0.0
        busy = whole - sum(sum(each[IDLE]) for each in passed)
        own = (time.process_time() - self._own_s) * _HERTZ
        return min(max(busy - own, 0.0) / whole, 1.0)

    def _waited_s(self) -> float:
        if not self._files:
            return time.perf_counter() - time.thread_time() - self._idle_s
        return sum(self._counts(file)[1] for file in self._files) / 1e9

    @staticmethod
    def _counts(file: int) -> tuple[int, int]:
        """Nanoseconds that a thread has run, and that it has waited for a core; none of one that has ended."""
        try:
            ran, waited, _ = os.pread(file, 96, 0).split()
        except OSError:
            return 0, 0
        return int(ran), int(waited)

    def _stolen_s(self, cores: Sequence[int]) -> float:
        now = _ticks() if cores else {}
        return sum(now[cpu][_STEAL] - self._began[cpu][_STEAL] for cpu in cores if cpu in now) / _HERTZ

    def __enter__(self) -> "Disturbance":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        for file in self._files:
            os.close(file)
        self._files.clear()


def _ticks() -> dict[int, list[int]]:
    try:
        return ticks()
    except (OSError, ValueError):
        return {}
