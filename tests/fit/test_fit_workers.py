"""A search whose candidates are trained by workers: the journal of the one without, though workers are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fit_helpers import SPACE, finish, start

from ridgepoint.errors import InputError
from ridgepoint.fit.prepare import check_settings
from ridgepoint.fit.settings import FitSettings
from ridgepoint.search.board import Board
from ridgepoint.search.study import read_candidates

sys.path.insert(0, str(Path(__file__).parents[1] / "search"))
from database import postgresql


def words(folder: Path, run: Path, *more: str) -> list[str]:
    """Six candidates of random search, which proposes eight together."""
    (folder / "tiny.yaml").write_text(SPACE)
    return [
        sys.executable, "-m", "ridgepoint", "search", str(folder / "tiny.yaml"), "digits", "--method", "random",
        "--latency", "0.5ms", "--size", "16", "--evaluations", "6", "--set", "epochs=1", "--set", "short_epochs=2",
        "--table", str(folder / "table.json"), "--out", str(run), "--seed", "5", *more,
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
        busy = [job.worker for run in open_runs(url) for job in Board(url).still_open(run) if job.worker]
        if busy:
            pid = int(busy[0].rpartition(":")[2])
            os.kill(pid, signal.SIGKILL)
            return pid
        time.sleep(0.05)


def open_runs(url: str) -> list[str]:
    return Board(url).runs()


@pytest.mark.slow
def test_workers_of_this_machine_one_of_them_killed(whole: Path, tmp_path: Path):
    url, run = f"sqlite:///{tmp_path}/jobs.db", tmp_path / "run"
    search = start(words(whole, run, "--workers", "2", "--study", url))
    kill_one(url, search)
    _, told = search.communicate(timeout=300)
    assert search.returncode == 0, told
    assert journal(run) == journal(whole / "run")
    assert open_runs(url) == [], "nothing is left on the board"


@pytest.mark.slow
def test_a_killed_search_takes_its_workers_with_it_and_goes_on(whole: Path, tmp_path: Path):
    url, run = f"sqlite:///{tmp_path}/jobs.db", tmp_path / "run"
    asked = words(whole, run, "--workers", "2", "--study", url)
    search = start(asked)
    while not any(run.glob("study.db")) or len(journal(run)) < 2:
        assert search.poll() is None, search.communicate()[1]
        time.sleep(0.05)
    children = subprocess.run(["pgrep", "-P", str(search.pid)], capture_output=True, text=True).stdout.split()
    search.kill()
    search.communicate()
    assert len(children) == 2
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
