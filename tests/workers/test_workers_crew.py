"""A search whose candidates are trained by workers: the journal of the one without, though workers are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from database import postgresql
from fit_helpers import SPACE, finish, start
from msgspec.json import encode

from ridgepoint.arch.zoo import load
from ridgepoint.errors import InputError, RunError
from ridgepoint.fit.prepare import check_settings
from ridgepoint.fit.settings import FitSettings
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.judges import Job
from ridgepoint.search.method import Judgement, Proposal
from ridgepoint.search.study import read_candidates
from ridgepoint.workers.board import Board
from ridgepoint.workers.crew import Crew


def words(folder: Path, run: Path, *more: str) -> list[str]:
    """Six candidates of random search, which proposes eight together."""
    (folder / "tiny.yaml").write_text(SPACE)
    return [
        sys.executable, "-m", "ridgepoint", "search", str(folder / "tiny.yaml"), "digits", "--method", "random",
        "--latency", "0.5ms", "--size", "16", "--evaluations", "6", "--set", "epochs=1", "--set", "short_epochs=2",
        "--table", str(folder / "table.json"), "--out", str(run), "--seed", "5", "--busy", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search in one process, with the latency table that it filled beside it."""
    folder = tmp_path_factory.mktemp("whole")
    finish(words(folder, folder / "run"))
    return folder


def journal(run: Path) -> list[tuple[object, ...]]:
    return [
        (c.name, c.network.digest, c.tabled_ms, c.short_accuracy) for c in read_candidates(run) if c.phase == "search"
    ]


def kill_one(url: str, search: subprocess.Popen[str]) -> int:
    """SIGKILL the first worker that has taken a job; gives its process id."""
    while True:
        assert search.poll() is None, search.communicate()[1]
        busy = [job.worker for run in Board(url).runs() for job in Board(url).still_open(run) if job.worker]
        if busy:
            pid = int(busy[0].rpartition(":")[2])
            os.kill(pid, signal.SIGKILL)
            return pid
        time.sleep(0.05)


@pytest.mark.slow
def test_workers_of_this_machine_one_of_them_killed(whole: Path, tmp_path: Path):
    url, run = f"sqlite:///{tmp_path}/jobs.db", tmp_path / "run"
    search = start(words(whole, run, "--workers", "2", "--study", url))
    kill_one(url, search)
    _, told = search.communicate(timeout=300)
    assert search.returncode == 0, told
    assert journal(run) == journal(whole / "run")
    assert Board(url).runs() == [], "nothing is left on the board"


@pytest.mark.slow
def test_a_killed_search_takes_its_workers_with_it_and_goes_on(whole: Path, tmp_path: Path):
    url, run = f"sqlite:///{tmp_path}/jobs.db", tmp_path / "run"
    asked = words(whole, run, "--workers", "2", "--study", url)
    search = start(asked)
    children: list[str] = []
    while len(children) < 2 or not any(run.glob("study.db")) or len(journal(run)) < 2:
        assert search.poll() is None, search.communicate()[1]
        if len(children) < 2:
            told = subprocess.run(["pgrep", "-P", str(search.pid)], capture_output=True, text=True).stdout
            children = told.split()
        time.sleep(0.05)
    search.kill()
    search.communicate()
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < until, "a worker outlives its search"
        time.sleep(0.2)
    finish([*asked, "--resume"])
    assert journal(run) == journal(whole / "run")


@pytest.mark.slow
def test_workers_elsewhere_over_postgresql_one_of_them_killed(whole: Path, tmp_path: Path):
    """Two workers that only know the address; when the beats of the killed one stand still, the other takes over."""
    with postgresql() as url:
        run = tmp_path / "run"
        workers = [start([sys.executable, "-m", "ridgepoint", "worker", url, "--idle", "200s"]) for _ in range(2)]
        search = start(words(whole, run, "--workers", "0", "--study", url))
        try:
            killed = kill_one(url, search)
            _, told = search.communicate(timeout=400)
            assert search.returncode == 0, told
            assert killed in {worker.pid for worker in workers}
            assert journal(run) == journal(whole / "run")
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
