"""The workers of a run: processes of this machine, and whoever else takes jobs from the same board."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ridgepoint.errors import RunError
from ridgepoint.fit.judging import ShortTraining
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.threads import ALL
from ridgepoint.fit.worker import Terms
from ridgepoint.run.folder import RunFolder
from ridgepoint.search.board import Board, worker_name
from ridgepoint.search.judges import Job, Verdict

POLL_S = 0.1
LOST_AFTER_S = 30.0
TRIES = 3


@contextmanager
def hire(run: RunFolder, prepared: Prepared, task: ShortTraining) -> Iterator["Crew"]:
    """The workers that a run's settings ask for, until its search ends."""
    settings = run.settings
    terms = Terms(
        settings=settings,
        recipe=prepared.recipe,
        finetune=prepared.finetune,
        bound=task.bound,
        limit_ms=task.limit_ms,
        fingerprint=prepared.dataset.fingerprint,
    )
    with tempfile.TemporaryDirectory() as folder:
        crew = Crew(
            url=settings.study or f"sqlite:///{folder}/jobs.db",
            run=f"{socket.gethostname()}:{run.path.resolve()}",
            folder=run.path,
            terms=msgspec.json.encode(terms).decode(),
            local=settings.workers,
            threads=max(ALL // max(settings.workers, 1), 1),
        )
        with crew:
            yield crew


@dataclass(kw_only=True)
class Crew:
    """Judges side by side. A worker that is killed loses the candidate it had; another one begins it anew.

    Attributes:
        url: Of the board.
        run: What the run is called there.
        folder: The run's.
        terms: What workers must know of it.
        local: How many workers this machine starts.
        threads: Of each of those.
        lost_after_s: A worker whose beats stand still for so long is given up.
    """

    url: str
    run: str
    folder: Path
    terms: str
    local: int
    threads: int
    lost_after_s: float = LOST_AFTER_S
    together: bool = True
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _heard: dict[tuple[str, int], tuple[int, float]] = field(default_factory=dict)  # (worker, place): (beats, since)

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
        self.board.post(self.run, [msgspec.json.encode(job).decode() for job in jobs])
        if jobs and not self._processes:  # not before: latencies of what is proposed are measured on a calm machine
            self._processes = [self._start() for _ in range(self.local)]
        try:
            for place in range(len(jobs)):
                while (found := self.board.verdict(self.run, place)) is None:
                    self._look_after(jobs)
                    time.sleep(POLL_S)
                yield msgspec.json.decode(found, type=Verdict)
        finally:
            self.board.withdraw(self.run)

    def _look_after(self, jobs: Sequence[Job]) -> None:
        """Put killed workers of this machine up again, and take back what lost ones held."""
        for number, process in enumerate(self._processes):
            code = process.poll()
            if code is None:
                continue
            if code > 0:
                raise RunError(f"a worker ended with exit code {code}, and said why. Resume when that is set right")
            self.board.free(worker_name(process.pid))
            self._processes[number] = self._start()
        now = time.monotonic()
        for job in self.board.still_open(self.run):
            if job.worker is None and job.tries >= TRIES:
                raise RunError(
                    f"{jobs[job.place].candidate.name}: {TRIES} workers were killed while they trained it, perhaps for "
                    "want of memory. Resume with fewer --workers"
                )
            if job.worker is not None:
                beats, since = self._heard.get((job.worker, job.place), (-1, now))
                if job.beats != beats:
                    self._heard[job.worker, job.place] = job.beats, now
                elif now - since > self.lost_after_s:
                    self.board.free(job.worker)

    def _start(self) -> subprocess.Popen[bytes]:
        words = [self.url, str(self.folder), str(os.getpid()), str(self.threads)]
        # In a session of its own, so that Ctrl-C is heard by the run alone, which then ends its workers.
        return subprocess.Popen([sys.executable, "-m", "ridgepoint.fit.worker", *words], start_new_session=True)
