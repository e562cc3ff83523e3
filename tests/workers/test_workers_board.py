"""A board of jobs: each is taken once, whoever asks at the same time; what a killed worker held is taken again."""

import threading
from collections import Counter
from pathlib import Path

import pytest
from database import postgresql

from ridgepoint.workers.board import Answer, Board, Claim


@pytest.fixture(scope="module")
def server() -> str:
    return postgresql()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db" if request.param == "sqlite" else request.getfixturevalue("server")


def test_a_job_is_taken_worked_on_and_answered(url: str):
    board = Board(url)
    board.open("run", "terms")
    board.post("run", ["first", "second"])
    mine, theirs = board.claim("mine"), Board(url).claim("theirs")
    assert mine == Claim(run="run", place=0, job="first", worker="mine", tries=1) and theirs.job == "second"
    assert board.claim("third") is None and board.terms("run") == "terms"
    board.beat(mine)
    assert [(job.worker, job.beats) for job in sorted(board.still_open("run"), key=lambda job: job.place)] == [
        ("mine", 1), ("theirs", 0),
    ]  # fmt: skip
    board.deliver(mine, "good")
    assert board.answer("run", 0) == Answer(worker="mine", verdict="good") and board.answer("run", 1) is None
    board.withdraw("run")
    board.deliver(theirs, "too late")
    assert board.still_open("run") == [] and board.claim("mine") is None
    board.close("run")
    assert board.terms("run") is None


def test_what_a_lost_worker_held_is_taken_again_and_its_own_answer_comes_too_late(url: str):
    board = Board(url)
    board.open("run", "")
    board.post("run", ["job"])
    lost = board.claim("lost")
    board.free("lost")
    again = board.claim("other")
    assert (again.job, again.tries) == ("job", 2)
    board.deliver(lost, "from the lost one")
    assert board.answer("run", 0) is None
    board.deliver(again, "from the other")
    assert board.answer("run", 0).verdict == "from the other"
    board.open("run", "")  # a later sitting begins without what this one left
    assert board.still_open("run") == [] and board.claim("other") is None
    board.close("run")


def test_many_workers_take_every_job_once(url: str):
    board = Board(url)
    board.open("run", "")
    board.post("run", [str(number) for number in range(60)])
    taken: list[int] = []

    def work(name: str) -> None:
        own = Board(url)
        while len(taken) < 60:
            claim = own.claim(name)
            if claim is not None:
                own.deliver(claim, name)
                taken.append(claim.place)

    threads = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(taken) == Counter(range(60))
    assert all(board.answer("run", place) for place in range(60))
    board.close("run")
