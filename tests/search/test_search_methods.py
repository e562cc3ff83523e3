"""Every method keeps the contract, in every process, killed or not."""

import itertools
import os
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from forks import forks

from ridgepoint.search.methods import OWN
from ridgepoint.search.study import Study
from ridgepoint.testing.methods import check, main
from ridgepoint.testing.problems import journal, make_problem, middle, search

Journals = dict[str, list[tuple[object, ...]]]


def found(names: Iterable[str] = OWN) -> Journals:
    """What methods find that nobody stops."""
    problems = {name: make_problem(name, budget_ms=middle(name)) for name in names}
    return {name: journal(search(name, problem)) for name, problem in problems.items()}


FIRST = ("netadapt", "random")
"""A method of networks and one of spaces."""


@pytest.mark.parametrize("name", OWN)
def test_every_method_keeps_the_contract(name: str, tmp_path: Path):
    check(name, tmp_path)


def tell(said: Connection) -> None:
    said.send(found())


def test_another_process_with_another_hash_seed_finds_the_same():
    here, there = forks().Pipe(duplex=False)
    process = forks().Process(target=tell, args=(there,))
    process.start()
    expected = found()
    assert here.recv() == expected
    process.join()


def judge_all(folder: Path, said: Connection) -> None:
    """The process that is killed: a line whenever a judgement begins."""
    os.dup2(said.fileno(), 1)
    main(str(folder), "0", *FIRST)


def test_killed_and_continued_by_processes_with_another_hash_seed(tmp_path: Path):
    """After so many judgements, or soon after: while a study is made, while a candidate is judged, between methods."""
    reference = found(FIRST)
    judgements = sum(each[4] is not None for candidates in reference.values() for each in candidates)
    killed = []
    for judged, later_s in ((1, 0.0), (judgements // 3, 0.05), (judgements // 3, 0.1), (None, 0.0)):
        reading, writing = forks().Pipe(duplex=False)
        process = forks().Process(target=judge_all, args=(tmp_path, writing))
        process.start()
        writing.close()
        with os.fdopen(os.dup(reading.fileno())) as lines:
            begun = len(list(itertools.islice(lines, judged)))
        if begun == judged:  # else it ended by itself: on a fast machine, many are judged before it is killed
            time.sleep(later_s)
            process.kill()
        process.join()
        killed.append(process.exitcode != 0)
        reading.close()
    assert killed[0] and not killed[-1]
    assert {name: journal(Study(tmp_path / name).candidates()) for name in FIRST} == reference
