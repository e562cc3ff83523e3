"""Malformed and hostile input, run in a process that is watched: every case ends in a refusal or is accepted rightly.

A kind of input is one file in `kinds/` with `make(rng, folder) -> Case`, deterministic in `rng`. One process runs the
cases of a kind one after the other through the program's own entry; when a case ends it, or lasts too long, the case is
a failure and another process goes on with the next. All are forked from one that has loaded the program.
"""

import contextlib
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
HELPERS = HERE.parent / "helpers"
sys.path[1:1] = [str(HELPERS)] * (str(HELPERS) not in sys.path)  # where this is no test but a program

from forks import forks  # noqa: E402

START_S = 120.0  # importing torch on a busy machine
LIMIT_S, LIMIT_MB, LONGEST = 10.0, 1024, 2100
DRAWS = 3  # of a case


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        words: The command, `ridgepoint` left out. It runs in the folder that `make` filled.
        names: What a refusal must name.
        may: Exit codes that are right.
        check: Looks at the folder and what was printed afterwards; what is wrong in words, or nothing.
    """

    words: Sequence[object]
    names: str = ""
    may: frozenset[int] = frozenset({0, 2, 3})
    check: Callable[[subprocess.CompletedProcess], str | None] | None = None


@dataclass
class Tally:
    """What became of the cases of one kind."""

    cases: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    failures: list[dict] = field(default_factory=list)
    slowest_s: float = 0.0
    largest_mb: float = 0.0

    def add(self, outcome: dict) -> None:
        """Count one outcome."""
        self.cases += 1
        self.ended[outcome["ended"]] += 1
        self.slowest_s = max(self.slowest_s, outcome.get("seconds", 0.0))
        self.largest_mb = max(self.largest_mb, outcome.get("mb", 0.0))
        if outcome["ended"] not in ("accepted", "refused"):
            self.failures.append(outcome)


def kinds() -> list[str]:
    """The names of all kinds of input."""
    return sorted(path.stem for path in (HERE / "kinds").glob("[a-z]*.py"))


def fuzz(
    kind: str, *, count: int, seed: int, folder: Path, limit_s: float = LIMIT_S, told: Callable[[int], None] = id
) -> Tally:
    """Run the cases `seed:0` to `seed:count - 1` of a kind below an empty folder."""
    tally = Tally()
    while tally.cases < count:
        for outcome in _one_process(kind, seed, tally.cases, count, folder, limit_s):
            tally.add(outcome)
            told(tally.cases)
    return tally


def _one_process(kind: str, seed: int, first: int, count: int, folder: Path, limit_s: float) -> Iterator[dict]:
    """Outcomes until all cases are done, or one of them has ended the process, or had to be ended."""
    from child import serve  # which imports this file

    reading, writing = forks().Pipe(duplex=False)
    process = forks().Process(target=serve, args=(kind, seed, first, count, folder, writing))
    process.start()
    writing.close()
    number, wait_s = first, START_S
    with reading:
        while number < count:
            if not reading.poll(wait_s):
                yield _broken(kind, seed, number, "hang", f"over {wait_s:g} s")
                break
            try:
                outcome = reading.recv()
            except EOFError:
                process.join()
                code = process.exitcode or 0
                yield _broken(kind, seed, number, "signal" if code < 0 else "ended the process", f"exit {code}")
                break
            wait_s = limit_s
            if "ended" in outcome:
                yield outcome
                number += 1
    process.kill()
    process.join()


def _broken(kind: str, seed: int, number: int, ended: str, why: str) -> dict:
    return {"kind": kind, "case": f"{seed}:{number}", "ended": ended, "why": why}


def case_of(kind: str, seed: int, number: int, folder: Path) -> Case:
    """The case of a seed and a number, made in an empty folder.

    What cannot be made, say of a file that was damaged beyond reading before it is damaged again, is drawn anew.
    """
    make = import_module(f"kinds.{kind}").make
    for again in range(DRAWS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with contextlib.suppress(Exception):
            return make(random.Random(f"{kind} {seed} {number}" + f" {again}" * (again > 0)), folder)
    raise RuntimeError(f"kinds/{kind}.py makes no case of seed {seed}, number {number}")
