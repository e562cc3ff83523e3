"""The workers of a run: processes of this machine, and whoever else takes jobs from the same board."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ridgepoint.display import Display, Silent
from ridgepoint.errors import RunError, shown
from ridgepoint.search.judges import Job, Verdict
from ridgepoint.train.accelerator import ALL_THREADS
from ridgepoint.workers.board import TRIES, Board, worker_name
from ridgepoint.workers.judging import ShortTraining
from ridgepoint.workers.peers import read_verdict
from ridgepoint.workers.terms import OwnTerms

POLL_S = 0.1
LOST_AFTER_S = 30.0
HELD_AT_MOST_S = 86_400.0


@contextmanager
def hire(
    folder: Path, judge: ShortTraining, own: OwnTerms, *, study: str | None, workers: int, display: Display
) -> Iterator["Crew"]:
    """The workers of a search, until it ends.

    Args:
        folder: The run's.
        judge: What they judge by.
        own: What those of this machine are told.
        study: The database where they find their jobs, others' workers too; one of its own if left open.
        workers: How many this machine starts.
        display: Whoever watches.
    """
    with tempfile.TemporaryDirectory() as place:
        crew = Crew(
            url=study or f"sqlite:///{place}/jobs.db",
            run=f"{socket.gethostname()}:{folder.resolve()}#{secrets.token_hex(4)}",
            folder=folder,
            terms=msgspec.json.encode(own.terms).decode(),
            own_terms=msgspec.json.encode(own),
            local=workers,
            threads=max(ALL_THREADS // max(workers, 1), 1),
            weights_of=lambda job: judge.weights_of(job.candidate, job.proposal),
            display=display,
            lost_after_s=LOST_AFTER_S,
        )
        with crew:
            yield crew


@dataclass(kw_only=True)
class Crew:
    """Judges side by side. A worker that is killed loses the candidate it had; another one begins it anew.

    An answer that cannot be true is refused, and the job offered again: so the journal never holds any.

    Attributes:
        url: Of the board.
        run: What this sitting of the run is called there.
        folder: The run's.
        terms: What workers must know of it.
        own_terms: What those know that this machine starts.
        local: How many workers this machine starts.
        threads: Of each of those.
        weights_of: Where in the folder a job leaves weights, if it does.
        display: Hears of answers that are refused.
        lost_after_s: A worker whose beats stand still for so long is given up.
        held_at_most_s: So is one that has had a job for so long.
    """

    url: str
    run: str
    folder: Path
    terms: str
    own_terms: bytes = b""
    local: int
    threads: int
    weights_of: Callable[[Job], str | None] = lambda job: None
    display: Display = field(default_factory=Silent)
    lost_after_s: float = LOST_AFTER_S
    held_at_most_s: float = HELD_AT_MOST_S
    together: bool = True
    _token: str = field(default_factory=lambda: secrets.token_hex(4))
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _heard: dict[tuple[str, int, int], tuple[int, float, float]] = field(default_factory=dict)
    _refused: Counter[int] = field(default_factory=Counter)

    def __enter__(self) -> "Crew":
        self.board = Board(self.url)
        self.board.open(self.run, self.terms)
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self.board.close(self.run)

    def judge(self, jobs: Sequence[Job]) -> Generator[Verdict, None, None]:
        """In the order of the jobs, whoever is first.

        Raises:
            RunError: If a worker fails, or a candidate ends several of them.
        """
        self._refused.clear()
        self._heard.clear()
        self.board.post(self.run, [_encoded(job) for job in jobs])
        if jobs and not self._processes:  # not before: latencies of what is proposed are measured on a calm machine
            self._processes = [self._start() for _ in range(self.local)]
        try:
            for place, job in enumerate(jobs):
                while (found := self._verdict(place, job)) is None:
                    self._look_after(jobs)
                    time.sleep(POLL_S)
                yield found
        finally:
            self.board.withdraw(self.run)

    def _verdict(self, place: int, job: Job) -> Verdict | None:
        """What was answered, if that can be believed; else the job is offered again.

        Raises:
            RunError: If too many answers were refused.
        """
        answer = self.board.answer(self.run, place)
        if answer is None:
            return None
        try:
            return read_verdict(answer.verdict, weights=self.weights_of(job), folder=self.folder)
        except RunError as error:
            self._check_open()
            name, who = job.candidate.name, "a worker" if answer.worker is None else shown(answer.worker)
            self._refused[place] += 1
            if self._refused[place] >= TRIES:
                raise RunError(
                    f"{name}: {TRIES} answers of workers were refused, the last one of {who}: {error}. Resume when "
                    "that is set right"
                ) from None
            self.display.warn(f"{name}: the answer of {who} is refused: {error}. It is offered again")
            self.board.restore(self.run, place, _encoded(job), tries=self._refused[place])
            return None

    def _look_after(self, jobs: Sequence[Job]) -> None:
        """Put killed workers of this machine up again, and take back what lost ones held."""
        self._check_open()
        for number, process in enumerate(self._processes):
            code = process.poll()
            if code is None:
                continue
            if code > 0:
                raise RunError(f"a worker ended with exit code {code}, and said why. Resume when that is set right")
            self.board.free(worker_name(process.pid, self._token))
            self._processes[number] = self._start()
        now = time.monotonic()
        for job in self.board.still_open(self.run):
            if job.place >= len(jobs):
                continue
            if job.worker is None and job.tries >= TRIES:
                raise RunError(
                    f"{jobs[job.place].candidate.name}: {TRIES} workers were killed while they trained it, perhaps for "
                    "want of memory. Resume with fewer --workers"
                )
            if job.worker is not None:
                held = (job.worker, job.place, job.tries)
                beats, heard, since = self._heard.get(held, (-1, now, now))
                heard = heard if job.beats == beats else now
                self._heard[held] = job.beats, heard, since
                if now - heard > self.lost_after_s or now - since > self.held_at_most_s:
                    self.board.free(job.worker)

    def _check_open(self) -> None:
        """Stop where the run was ended on the board.

        Raises:
            RunError: If it was.
        """
        if not self.board.is_open(self.run):
            raise RunError(
                f"{self.folder}: the run was taken off its study: another process has opened the same run, or somebody "
                "has cleared the database. Resume when that is set right"
            )

    def _start(self) -> subprocess.Popen[bytes]:
        words = [self.url, self.run, str(self.folder), str(os.getpid()), self._token, str(self.threads)]
        with tempfile.TemporaryFile() as terms:
            terms.write(self.own_terms)
            terms.seek(0)
            # In a session of its own, so that Ctrl-C is heard by the run alone, which then ends its workers.
            return subprocess.Popen(
                [sys.executable, "-m", "ridgepoint.workers.worker", *words], stdin=terms, start_new_session=True
            )


def _encoded(job: Job) -> str:
    return msgspec.json.encode(job).decode()
