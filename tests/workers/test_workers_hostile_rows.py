"""A study's tables as somebody else has filled or made them: workers and runs pass over what cannot be theirs."""

import sqlite3
import threading
import tracemalloc
from pathlib import Path

import pytest
from database import postgresql

from ridgepoint.errors import RunError
from ridgepoint.workers import board as board_module
from ridgepoint.workers.board import LONGEST, Answer, Board

VALUES = (None, -1, 2**62, 1e300, float("inf"), "", "text", "\x1b[2J\n", b"\xff\x00\xfe", "x" * 3_000_000)
COLUMNS = ("run", "place", "job", "worker", "tries", "beats", "verdict")


@pytest.fixture
def board(tmp_path: Path) -> Board:
    board = Board(f"sqlite:///{tmp_path}/jobs.db")
    board.open("run", "terms")
    return board


def untyped(path: Path) -> sqlite3.Connection:
    """The tables of a peer who has made them himself: any value in any column."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE ridgepoint_runs (run, terms)")
    connection.execute(f"CREATE TABLE ridgepoint_jobs ({', '.join(COLUMNS)})")
    return connection


@pytest.mark.parametrize("column", COLUMNS)
def test_any_value_in_any_column_is_passed_over(column: str, tmp_path: Path):
    """The rows of a peer lie before the honest one in every order."""
    with untyped(tmp_path / "jobs.db") as connection:
        for number, value in enumerate((*VALUES, "notUTF8")):
            row = {"run": "a", "place": number, "job": "evil", "worker": None, "tries": 0, "beats": 0, "verdict": None}
            row[column] = value
            marks = ["CAST(x'ff80' AS TEXT)" if each == "notUTF8" else "?" for each in row.values()]
            given = [each for each in row.values() if each != "notUTF8"]
            connection.execute(f"INSERT INTO ridgepoint_jobs VALUES ({', '.join(marks)})", given)
    board = Board(f"sqlite:///{tmp_path}/jobs.db")
    board.open("run", "terms")
    board.post("run", ["first", "second"])
    claims = []
    while (claim := board.claim("me")) is not None:
        claims.append(claim)
        board.beat(claim)
        assert len(claims) < 50 and len(claim.job) <= LONGEST
    mine = [claim for claim in claims if claim.run == "run"]
    assert [claim.job for claim in mine] == ["first", "second"]
    for place in range(len(VALUES) + 1):
        answer = board.answer("a", place)
        assert answer is None or (isinstance(answer.verdict, str) and len(answer.verdict) <= LONGEST)
    assert all(0 <= job.tries < 2**31 for job in board.still_open("a"))
    board.deliver(mine[1], "good")
    assert board.answer("run", 1).verdict == "good"


def test_a_text_of_forty_megabytes_is_not_read(board: Board, tmp_path: Path):
    board.post("run", ["job"])
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        connection.execute("UPDATE ridgepoint_jobs SET verdict = ?", ["x" * 40_000_000])
        connection.execute("UPDATE ridgepoint_runs SET terms = ?", ["x" * 40_000_000])
    tracemalloc.start()
    try:
        assert board.answer("run", 0) == Answer(worker=None, verdict="") and board.terms("run") == ""
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_hundred_thousand_rows_of_others_do_not_hide_the_own_ones(board: Board, tmp_path: Path):
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        into = "INSERT INTO ridgepoint_jobs (run, place, job, tries, beats, verdict) VALUES (?, ?, 'evil', 1, 0, ?)"
        connection.executemany(into, ((f"run{number % 2}", number, "{}") for number in range(100_000)))
        connection.executemany(into, (("run", number, None) for number in range(10, 5000)))
    board.post("run", ["job"])
    assert board.claim("me").job == "job"
    open_jobs = board.still_open("run")
    assert open_jobs[0].place == 0 and len(open_jobs) <= 5000


def test_tables_of_another_program_or_version_are_told(tmp_path: Path):
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        connection.execute("CREATE TABLE ridgepoint_jobs (run TEXT, place INTEGER, tries INTEGER)")
    with pytest.raises(
        RunError, match=r"its table ridgepoint_jobs has no column beats, job, verdict, worker: .*Give another"
    ):
        Board(f"sqlite:///{tmp_path}/jobs.db")
    with sqlite3.connect(tmp_path / "view.db") as connection:
        connection.execute("CREATE VIEW ridgepoint_runs AS SELECT 1 AS run, 2 AS terms")
    board = Board(f"sqlite:///{tmp_path}/view.db")
    with pytest.raises(RunError, match="because it is a view"):
        board.open("run", "terms")


def test_a_database_that_another_process_holds_is_waited_for_and_then_told(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(board_module, "PATIENCE_S", 0.2)
    with sqlite3.connect(tmp_path / "jobs.db", isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunError, match=r"database is locked\. Check the address"):
            Board(f"sqlite:///{tmp_path}/jobs.db")
        connection.execute("ROLLBACK")
    Board(f"sqlite:///{tmp_path}/jobs.db").post("run", ["job"])


def test_two_workers_that_are_called_alike_each_keep_what_they_took(board: Board, tmp_path: Path):
    twin = Board(f"sqlite:///{tmp_path}/jobs.db")
    board.post("run", ["first", "second"])
    one, other = board.claim("worker"), twin.claim("worker")
    assert (one.job, other.job) == ("first", "second")
    board.deliver(one, "of one")
    twin.deliver(other, "of the other")
    assert [board.answer("run", place).verdict for place in (0, 1)] == ["of one", "of the other"]
    board.restore("run", 0, "first", tries=1)
    again = twin.claim("worker")
    board.deliver(one, "too late")  # fewer tries: it is not what the twin has
    assert again.tries == 2 and board.answer("run", 0) is None


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_open_a_new_study_at_one_moment_all_get_it(kind: str, tmp_path: Path):
    def race(url: str) -> None:
        failed: list[str] = []
        together = threading.Barrier(6)

        def work(number: int) -> None:
            together.wait()
            try:
                Board(url).open(f"run-{number}", "terms")
            except RunError as error:
                failed.append(str(error))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == [] and len(Board(url).runs()) == 6

    if kind == "sqlite":
        for number in range(5):
            race(f"sqlite:///{tmp_path}/{number}.db")
    else:
        race(postgresql())


def test_a_table_that_another_connection_holds_is_told_by_a_server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(board_module, "PATIENCE_S", 1)
    url = postgresql()
    import psycopg

    board = Board(url)
    with psycopg.connect(url) as held:
        held.execute("LOCK TABLE ridgepoint_jobs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(RunError, match="lock timeout"):
            board.post("run", ["job"])
