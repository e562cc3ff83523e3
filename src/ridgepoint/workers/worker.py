"""A worker: judges candidates of runs that post them on a board, on this machine or on another.

What a candidate is taught with comes from the run's terms; only the images must lie where the run has them, and their
fingerprint is compared. Whatever is posted, a worker goes on with the next: a job that cannot be judged is answered so,
and a run whose terms cannot be kept here is left alone.
"""

import contextlib
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch

from ridgepoint.display import Display, Silent
from ridgepoint.errors import RidgepointError, RunError, shown, stopped_by_user
from ridgepoint.run.process import as_found
from ridgepoint.search.judges import Verdict, verdict
from ridgepoint.search.method import Judgement
from ridgepoint.tasks.reading import read
from ridgepoint.workers.board import TRIES, Board, Claim, worker_name
from ridgepoint.workers.judging import ShortTraining
from ridgepoint.workers.peers import Allowed, Failed, read_job, read_terms
from ridgepoint.workers.terms import OwnTerms, open_judge

POLL_S = 0.2
BEAT_S = 1.0
MOST_LEFT_ALONE = 100

JudgeOf = Callable[[Claim], ShortTraining | None]


@as_found()
def serve(
    url: str,
    *,
    allowed: Allowed,
    ended: Callable[[], bool] = lambda: False,
    idle_s: float = float("inf"),
    display: Display | None = None,
) -> int:
    """Judge whatever is posted until there is an end; gives the number of candidates judged.

    Args:
        url: Of the board.
        allowed: What those who post may use.
        ended: Whether to stop.
        idle_s: Stop after so long without work.
        display: Whoever watches.

    Raises:
        RidgepointError: If the database cannot be used, or too many of its runs cannot be served.
    """
    board, me = Board(url), worker_name(os.getpid(), secrets.token_hex(4))
    with tempfile.TemporaryDirectory() as folder:
        runs = _Runs(board, allowed, Path(folder), display or Silent())
        return _work(board, me, runs.judge, without=runs.left_alone, ended=ended, idle_s=idle_s, display=runs.display)


class _Runs:
    """The runs of a board, as others have described them: the judge of one at a time, and those that are left alone."""

    def __init__(self, board: Board, allowed: Allowed, folder: Path, display: Display):
        self.board, self.allowed, self.folder, self.display = board, allowed, folder, display
        self.left_alone: set[str] = set()
        self._open: tuple[str, ShortTraining] | None = None

    def judge(self, claim: Claim) -> ShortTraining | None:
        """The judge that a job is of; None if its run has ended or cannot be served.

        Raises:
            RunError: If too many cannot.
        """
        if self._open is None or self._open[0] != claim.run:
            text = self.board.terms(claim.run)
            if text is None:
                return None
            try:
                terms = read_terms(text)
                judge = open_judge(terms, *self.allowed.images(terms), Path(tempfile.mkdtemp(dir=self.folder)))
            except Exception as error:
                self._leave_alone(claim, _told(error))
                return None
            self._open = claim.run, judge
        return self._open[1]

    def _leave_alone(self, claim: Claim, why: str) -> None:
        self.board.give_back(claim)
        self.left_alone.add(claim.run)
        self.display.warn(f"the run {shown(claim.run, limit=200)} is left alone: {why}")
        if len(self.left_alone) >= MOST_LEFT_ALONE:
            raise RunError(f"{MOST_LEFT_ALONE} runs of this study cannot be served here, the last one because {why}")


def _work(
    board: Board,
    me: str,
    judge_of: JudgeOf,
    *,
    run: str | None = None,
    without: Collection[str] = (),
    ended: Callable[[], bool],
    idle_s: float,
    display: Display,
) -> int:
    """Take jobs, of one run or of all but some, and answer them."""
    torch.set_deterministic_debug_mode("warn")
    judged, worked_at = 0, time.monotonic()
    try:
        while not ended() and time.monotonic() - worked_at < idle_s:
            claim = board.claim(me, run=run, without=without)
            if claim is None:
                time.sleep(POLL_S)
                continue
            with _beating(board, claim, ended):
                judge = judge_of(claim)
                found = None if judge is None else _answer(judge, claim)
            worked_at = time.monotonic()
            if found is None:
                continue
            board.deliver(claim, msgspec.json.encode(found).decode())
            job = f"{shown(claim.run, limit=200)}, job {claim.place}"
            if isinstance(found, Failed):
                display.warn(f"{job} cannot be judged: {found.told}")
                continue
            judged += 1
            display.say(f"{job}: {f'score {found.accuracy:.4f}' if isinstance(found, Judgement) else found.told}")
    except BaseException:
        with contextlib.suppress(RunError):
            board.free(me)
        raise
    return judged


def _answer(judge: ShortTraining, claim: Claim) -> Verdict | Failed:
    """The verdict on a job, or why there can be none: what a peer has posted must not end a worker."""
    try:
        if claim.tries > TRIES:
            raise RunError(f"{TRIES} workers have begun it, and ended or were refused")
        return verdict(judge, read_job(claim.job, judge.setup))
    except Exception as error:
        return Failed(told=_told(error))


def _told(error: Exception) -> str:
    """An error for a board or a line of a log; Ctrl-C goes on being one."""
    if stopped_by_user(error):
        raise KeyboardInterrupt from error
    if isinstance(error, RidgepointError):
        return str(error)
    return str(RidgepointError(f"{type(error).__name__}: {' '.join(str(error).split())}"))


@contextmanager
def _beating(board: Board, claim: Claim, ended: Callable[[], bool]) -> Iterator[None]:
    """Say every second that the work goes on; leave at once where nobody waits for it any more."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_S):
            if ended():
                os._exit(0)
            with contextlib.suppress(RunError):  # the database may come back before the verdict is there
                board.beat(claim)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def main(url: str, run: str, folder: str, parent: str, token: str, threads: str) -> None:
    """A worker of one run on its own machine, as long as the run's process lives; stdin holds its terms."""
    torch.set_num_threads(int(threads))
    try:
        own = msgspec.json.decode(sys.stdin.buffer.read(), type=OwnTerms)
        data_root = None if own.data_root is None else Path(own.data_root)
        task, dataset = read(own.terms.data, seed=own.terms.seed, root=data_root)
        judge = open_judge(own.terms, task, dataset, Path(folder), start=own.start, preprocessing=own.preprocessing)
        _work(
            Board(url),
            worker_name(os.getpid(), token),
            lambda claim: judge,
            run=run,
            ended=lambda: os.getppid() != int(parent),
            idle_s=float("inf"),
            display=Silent(),
        )
    except RidgepointError as error:
        sys.exit(f"ridgepoint worker: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
