"""Workers killed one by one at random moments while a search goes on: `python worker_kills.py KILLS [SEED]`.

The search must end by itself, and its journal must be that of one whose workers were left alone.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
import cli_helpers
from fit_helpers import SPACE

from ridgepoint.search.study import read_candidates


def command(folder: Path, run: Path, *more: str, candidates: int = 10) -> list[str]:
    """A search of some candidates, whose trainings last about a second; up to eight are proposed together."""
    (folder / "tiny.yaml").write_text(SPACE)
    return [
        "search", str(folder / "tiny.yaml"), "digits", "--method", "random", "--latency", "50ms", "--size", "16",
        "--evaluations", str(candidates), "--set", "epochs=1", "--set", "short_epochs=2",
        "--table", str(folder / "table.json"), "--out", str(run), "--seed", "5", "--busy", *more,
    ]  # fmt: skip


def journal(run: Path) -> list[tuple[object, ...]]:
    """What a search has found; accuracies included, times left out."""
    found = [each for each in read_candidates(run) if each.phase == "search"]
    return [(c.name, c.network.digest, c.tabled_ms, c.short_accuracy, c.note) for c in found]


def killed_search(folder: Path, run: Path, *, kills: int, rng: random.Random) -> int:
    """A search with two workers, of which one is killed again and again; gives the number of kills.

    Where a job has ended three of them, the search stops as it should, and is resumed.
    """
    words, killed = command(folder, run, "--workers", "2"), 0
    while True:
        search = cli_helpers.start(*words, cwd=folder)
        while search.poll() is None:
            time.sleep(rng.uniform(0.0, 4.0))
            workers = workers_of(search.pid)
            if killed < kills and workers:
                os.kill(rng.choice(sorted(workers)), signal.SIGKILL)
                killed += 1
        told = search.communicate()[1]
        if search.returncode in (0, 3):
            return killed
        assert search.returncode == 2 and "workers were killed while they trained it" in told, told
        words = [*command(folder, run, "--workers", "2"), "--resume"]


def check(kills: int, seed: int, folder: Path) -> int:
    """Searches until so many workers were killed; gives the number of searches.

    Raises:
        AssertionError: If a journal is another one.
    """
    rng, killed, searches = random.Random(seed), 0, 0
    assert cli_helpers.run(*command(folder, folder / "whole")).returncode in (0, 3)
    expected = journal(folder / "whole")
    while killed < kills:
        run = folder / f"killed-{searches}"
        killed += killed_search(folder, run, kills=kills - killed, rng=rng)
        searches += 1
        assert journal(run) == expected, f"seed {seed}, search {searches}"
        print(f"{killed} of {kills} kills, {searches} searches: journals are equal", flush=True)
    return searches


def workers_of(pid: int) -> set[int]:
    """The processes that a search has started as workers, and that are ready."""
    found = subprocess.run(["pgrep", "-P", str(pid), "-f", "ridgepoint.workers.worker"], capture_output=True, text=True)
    return {int(each) for each in found.stdout.split()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        check(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, Path(temporary))
