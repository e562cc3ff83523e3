"""A worker: judges candidates of runs that post them on a board, on this machine or on another.

What a candidate is taught with comes from the run's settings: so the data, and files that the settings name, must lie
where the run has them; their fingerprint and the recipe are compared.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch

from ridgepoint.display import Display, Silent
from ridgepoint.errors import RidgepointError, RunError
from ridgepoint.fit.judging import ShortTraining
from ridgepoint.fit.prepare import prepare
from ridgepoint.fit.settings import FitSettings
from ridgepoint.run.folder import RunFolder
from ridgepoint.search.board import Board, Claim, worker_name
from ridgepoint.search.judges import Diverged, Job, verdict
from ridgepoint.train.loop import Bound
from ridgepoint.train.recipe import Recipe

POLL_S = 0.2
BEAT_S = 1.0


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker must know of a run.

    Attributes:
        settings: The request.
        recipe: How a candidate is taught that starts fresh.
        finetune: How one is taught that starts from weights.
        bound: How long.
        limit_ms: The search's own budget.
        fingerprint: Of the data.
    """

    settings: FitSettings
    recipe: Recipe
    finetune: Recipe
    bound: Bound
    limit_ms: float
    fingerprint: str


def serve(
    url: str,
    *,
    folder: Path | None = None,
    ended: Callable[[], bool] = lambda: False,
    idle_s: float = float("inf"),
    display: Display | None = None,
) -> int:
    """Judge whatever is posted until there is an end; gives the number of candidates judged.

    Args:
        url: Of the board.
        folder: The run's, where this machine has it; else a temporary one.
        ended: Whether to stop.
        idle_s: Stop after so long without work.
        display: Whoever watches.

    Raises:
        RidgepointError: If the database, the data or the recipe are not what the run has.
    """
    board, me, display = Board(url), worker_name(os.getpid()), display or Silent()
    judged, run, task = 0, None, None
    worked_at = time.monotonic()
    torch.use_deterministic_algorithms(True, warn_only=True)
    with tempfile.TemporaryDirectory() as temporary:
        try:
            while not ended() and time.monotonic() - worked_at < idle_s:
                claim = board.claim(me)
                if claim is None:
                    time.sleep(POLL_S)
                    continue
                terms = board.terms(claim.run)
                if terms is None:
                    continue
                job = msgspec.json.decode(claim.job, type=Job)
                with _beating(board, claim, ended):
                    if task is None or claim.run != run:
                        place = folder or Path(tempfile.mkdtemp(dir=temporary))
                        task, run = open_task(msgspec.json.decode(terms, type=Terms), place), claim.run
                    found = verdict(task, job)
                board.deliver(claim, msgspec.json.encode(found).decode())
                judged, worked_at = judged + 1, time.monotonic()
                told = "diverged" if isinstance(found, Diverged) else f"accuracy {found.accuracy:.4f}"
                display.say(f"{job.candidate.name} of {claim.run}: {told}")
        except BaseException:
            board.free(me)
            raise
    return judged


def open_task(terms: Terms, folder: Path) -> ShortTraining:
    """The task of a run, in this process.

    Raises:
        RunError: If the data or the recipe are others here than where the run is.
    """
    run = RunFolder(folder, terms.settings)
    prepared = prepare(run, Silent())
    if prepared.dataset.fingerprint != terms.fingerprint:
        raise RunError(f"{terms.settings.data}: holds other data here than where the search runs. Give both the same")
    if (prepared.recipe, prepared.finetune) != (terms.recipe, terms.finetune):
        raise RunError(
            f"recipe {terms.recipe.name}: is another one here than where the search runs. Give both the same version "
            "of ridgepoint and the same recipe file"
        )
    return ShortTraining(run, prepared, terms.bound, limit_ms=terms.limit_ms)


@contextmanager
def _beating(board: Board, claim: Claim, ended: Callable[[], bool]) -> Iterator[None]:
    """Say every second that the work goes on; leave at once where nobody waits for it any more."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_S):
            if ended():
                os._exit(0)
            board.beat(claim)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def main(url: str, folder: str, parent: str, threads: str) -> None:
    """A worker of a run on this machine, as long as the run's process lives."""
    torch.set_num_threads(int(threads))
    try:
        serve(url, folder=Path(folder), ended=lambda: os.getppid() != int(parent))
    except RidgepointError as error:
        sys.exit(f"ridgepoint worker: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
