"""Programs of training steps, run in turns: each in processes of its own, one works while the others are frozen.

A frozen group of processes is stopped by SIGSTOP, so that workers who prepare batches ahead do not work in another's
turn either.
"""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

Program = Callable[[int, Callable[..., None]], None]
"""Trains without end; gets its rank among its processes, and what to call after every step, which ends it."""


@dataclass(frozen=True)
class Runner:
    """A program with its processes, all frozen."""

    members: list[tuple[multiprocessing.Process, Connection]]

    def turn(self, steps: int) -> float:
        """Seconds of a step, over so many in a row."""
        self._signal(signal.SIGCONT)
        for _, line in self.members:
            line.send(steps)
        seconds = max(line.recv() for _, line in self.members)
        self._signal(signal.SIGSTOP)
        return seconds / steps

    def end(self) -> None:
        """Kill all of its processes."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for process, _ in self.members:
            os.killpg(process.pid, number)


def start(program: Program, *, count: int = 1) -> Runner:
    """A program in so many processes."""
    context = multiprocessing.get_context("fork")
    members = []
    for rank in range(count):
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(program, rank, theirs))
        process.start()
        ours.recv()  # it leads a group of its own now
        members.append((process, ours))
    return Runner(members)


def interleaved(runners: Mapping[str, Runner], *, rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds of a step in each round, by name; every round gives each a turn, in random order, and one warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    rng = random.Random(0)
    try:
        for number in range(rounds + 1):
            for name in rng.sample(list(runners), len(runners)):
                took = runners[name].turn(steps)
                if number:
                    seconds[name].append(took)
    finally:
        for runner in runners.values():
            runner.end()
    return seconds


def _work(program: Program, rank: int, line: Connection) -> None:
    os.setsid()
    line.send("ready")
    left, started = line.recv(), time.perf_counter()

    def step_done(*_: object) -> None:
        nonlocal left, started
        left -= 1
        if left == 0:
            line.send(time.perf_counter() - started)
            left, started = line.recv(), time.perf_counter()

    program(rank, step_done)
