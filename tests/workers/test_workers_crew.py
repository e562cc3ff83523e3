"""A search whose candidates are trained by workers: the journal of the one without, though workers are killed."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from cli_helpers import start, wait_until
from database import postgresql
from forks import Command
from msgspec.json import encode
from worker_kills import command, journal, workers_of

from ridgepoint.arch.zoo import load
from ridgepoint.errors import InputError, RunError
from ridgepoint.fit.prepare import check_settings
from ridgepoint.fit.settings import FitSettings
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.judges import Job
from ridgepoint.search.method import Judgement, Proposal
from ridgepoint.workers.board import Board
from ridgepoint.workers.crew import Crew

CANDIDATES = 3


def words(folder: Path, run: Path, *more: str) -> list[str]:
    return command(folder, run, *more, candidates=CANDIDATES)


def found(search: Command, run: Path) -> list[tuple[object, ...]]:
    """The journal of a search that is under way, when nothing more comes; what would follow is left out."""
    wait_until((run / "steps" / "search.json").exists, search)
    search.kill()
    search.communicate()
    return journal(run)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search in one process, with the latency table that it filled beside it."""
    folder = tmp_path_factory.mktemp("whole")
    assert len(found(start(*words(folder, folder / "run"), cwd=folder), folder / "run")) == CANDIDATES
    return folder


def kill_one(url: str, search: Command) -> int:
    """SIGKILL the first worker that has taken a job; gives its process id."""
    busy: list[str] = []

    def is_busy() -> bool:
        busy.extend(job.worker for run in Board(url).runs() for job in Board(url).still_open(run) if job.worker)
        return bool(busy)

    wait_until(is_busy, search)
    pid = int(busy[0].rpartition(":")[2])
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_worker_of_this_machine_is_killed_and_then_the_search_which_takes_the_next_with_it(
    whole: Path, tmp_path: Path
):
    """Another one takes the place of the first; resumed, the journal is the one of a single process."""
    url, run = f"sqlite:///{tmp_path}/jobs.db", tmp_path / "run"
    asked = words(whole, run, "--workers", "1", "--study", url)
    search = start(*asked, cwd=tmp_path)
    killed = kill_one(url, search)
    wait_until(lambda: workers_of(search.pid) - {killed}, search)
    left = workers_of(search.pid)
    search.kill()
    search.communicate()
    assert found(start(*asked, "--resume", cwd=tmp_path), run) == journal(whole / "run")
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in left):
        assert time.monotonic() < until, "a worker outlives its search"
        time.sleep(0.1)
    assert Board(url).runs() == [], "nothing is left on the board"


def test_workers_elsewhere_over_postgresql_one_of_them_killed(whole: Path, tmp_path: Path):
    """Two workers that only know the address; when the beats of the killed one stand still, the other takes over."""
    url, run = postgresql(), tmp_path / "run"
    soon = {"ridgepoint.workers.crew.LOST_AFTER_S": 3.0}
    search, workers = start(*words(whole, run, "--workers", "0", "--study", url), cwd=tmp_path, changes=soon), []
    try:
        wait_until(lambda: any(Board(url).still_open(run) for run in Board(url).runs()), search)
        workers += [start("worker", url, "--idle", "200s", cwd=tmp_path) for _ in range(2)]
        assert kill_one(url, search) in {worker.pid for worker in workers}
        assert found(search, run) == journal(whole / "run")
    finally:
        for process in [search, *workers]:
            process.kill()
            process.communicate()


def jobs(count: int) -> list[Job]:
    network = load("mobilenetv3_small_050")
    return [
        Job(candidate=Candidate(name=f"candidate-{n}", phase="search", network=network, seed=0, tabled_ms=1.0),
            proposal=Proposal(network=network))
        for n in range(count)
    ]  # fmt: skip


def crew(folder: Path, **given: object) -> Crew:
    """One that starts nobody; the test plays the workers."""
    url = f"sqlite:///{folder}/jobs.db"
    return Crew(**{"url": url, "run": "run", "folder": folder, "terms": "", "local": 0, "threads": 1, **given})


def test_verdicts_come_in_the_order_of_the_jobs_whoever_is_first(tmp_path: Path):
    with crew(tmp_path) as judges:
        verdicts = judges.judge(jobs(3))
        answering = threading.Thread(target=answer, args=(judges.url, [2, 0, 1]))
        answering.start()
        assert [each.accuracy for each in verdicts] == [0.0, 0.1, 0.2]
        answering.join()


def answer(url: str, order: list[int]) -> None:
    """Take all jobs, then answer them in an order of one's own."""
    board, claims = Board(url), []
    while len(claims) < len(order):
        claim = board.claim(f"worker-{len(claims)}")
        claims += [claim] if claim else []
    for place in order:
        board.deliver(claims[place], encode(Judgement(accuracy=place / 10, seconds=1.0)).decode())


def test_what_a_silent_worker_holds_is_given_to_another_and_not_more_often_than_is_sensible(tmp_path: Path):
    with crew(tmp_path, lost_after_s=0.3) as judges:
        verdicts = judges.judge(jobs(1))
        silent = threading.Thread(target=stay_silent, args=(judges.url, 3))
        silent.start()
        with pytest.raises(RunError, match="candidate-0: 3 workers were killed while they trained it"):
            next(verdicts)
        silent.join()
        again = threading.Thread(target=lambda: (stay_silent(judges.url, 1), answer(judges.url, [0])))
        again.start()
        assert [each.accuracy for each in judges.judge(jobs(1))] == [0.0]
        again.join()


def stay_silent(url: str, times: int) -> None:
    """Take a job again and again, and never say a word."""
    board, taken = Board(url), 0
    while taken < times:
        taken += board.claim("silent") is not None
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"workers": 0}, "nobody would train. Give 1 or more, or --study"),
        ({"study": "postgresql://me:secret@host/base"}, "holds a password"),
        ({"study": "nowhere"}, "is no address of a study"),
        ({"method": "netadapt", "space": "mobilenetv3_small_050", "study": "postgresql://host/base"}, "--weights"),
    ],
)
def test_what_workers_cannot_do_is_refused(given: dict[str, object], told: str):
    with pytest.raises(InputError, match=told):
        check_settings(FitSettings(**{"data": "digits", "latency_ms": 1.0, "method": "random", **given}))
