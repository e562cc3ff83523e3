"""The process that cases run in, one after the other."""

import os
import shutil
import subprocess
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from cli_helpers import call
from harness import LIMIT_MB, LONGEST, Case, case_of

from ridgepoint.workers import worker

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def serve(kind: str, seed: int, first: int, count: int, folder: Path, told: Connection) -> None:
    """Run the cases of a kind in a home of their own; say of each when it begins, and what became of it."""
    home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "200"}
    os.environ.update(home)
    worker.POLL_S = 0.01  # what waits for work looks for it once more before it ends
    with (folder / f"{kind}.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    for number in range(first, count):
        place = folder / kind / str(number)
        case = case_of(kind, seed, number, place)
        told.send({})  # the clock of this case starts
        told.send({"kind": kind, "case": f"{seed}:{number}", **_run(case, place)})
        os.chdir(folder)
        shutil.rmtree(place, ignore_errors=True)


def _run(case: Case, place: Path) -> dict:
    os.chdir(place)
    _forget_peak()
    before_mb, began = _megabytes("VmRSS"), time.monotonic()
    try:
        done = call(*case.words)
        why = _wrong(case, done)
        ended = "wrong" if why else "accepted" if done.returncode == 0 else "refused"
    except Exception:
        ended, why = "traceback", traceback.format_exc()[-3000:]
    seconds, mb = time.monotonic() - began, _megabytes("VmHWM") - before_mb
    if mb > LIMIT_MB:
        ended, why = "memory", f"{mb:.0f} MB"
    told = {"ended": ended, "seconds": round(seconds, 3), "mb": round(mb, 1)}
    return told if ended in ("accepted", "refused") else {**told, "why": why, "words": [str(w) for w in case.words]}


def _wrong(case: Case, done: subprocess.CompletedProcess) -> str | None:
    """What is wrong with an answer, in words."""
    everything = f"exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    if done.returncode not in case.may:
        return f"allowed exits: {sorted(case.may)}; {everything}"
    if strange := {each for each in done.stdout + done.stderr if not (each.isprintable() or each in "\n\t")}:
        return f"unprintable {strange}: {everything!r}"
    if done.returncode in (2, 3):
        starts = [line for line in done.stderr.splitlines() if line.startswith(("ridgepoint: ", "Error: "))]
        if len(starts) != 1:
            return f"{len(starts)} messages: {everything}"
        message = done.stderr[done.stderr.index(starts[0]) :]
        if len(message) > LONGEST:
            return f"a message of {len(message)} characters: {everything}"
        if case.names not in message:
            return f"does not name {case.names!r}: {everything}"
    return case.check(done) if case.check else None


def _forget_peak() -> None:
    if _CLEAR.exists():
        _CLEAR.write_text("5")


def _megabytes(key: str) -> float:
    """Memory of this process; 0 where the system does not tell."""
    if not _STATUS.exists():
        return 0.0
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024
