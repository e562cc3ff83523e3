"""Every method keeps the contract, in every process, killed or not."""

import os
import random
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from forks import forks

from ridgepoint.search.methods import OWN
from ridgepoint.search.study import Study
from ridgepoint.testing.methods import check, main
from ridgepoint.testing.problems import journal, make_problem, middle, search


def journals(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    return {name: journal(Study(folder / name).candidates()) for name in OWN}


@pytest.fixture(scope="module")
def reference() -> dict[str, list[tuple[object, ...]]]:
    problems = {name: make_problem(name, budget_ms=middle(name)) for name in OWN}
    return {name: journal(search(name, problem)) for name, problem in problems.items()}


LONG = ("mnasnet", "nsga2", "tunas", "tunas_one_stage")
"""Methods that take seconds to check."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in OWN])
def test_every_method_keeps_the_contract(name: str, tmp_path: Path):
    check(name, tmp_path)


@pytest.mark.slow
def test_another_process_with_another_hash_seed_writes_the_same_journals(reference, tmp_path: Path):
    words = [sys.executable, "-m", "ridgepoint.testing.methods", str(tmp_path), "0", *OWN]
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "OMP_NUM_THREADS": "1"}
    subprocess.run(words, stdout=subprocess.DEVNULL, env=environment, check=True)
    assert journals(tmp_path) == reference


def judge_all(folder: Path, said: Connection) -> None:
    """The process that is killed: a line whenever a judgement begins."""
    os.dup2(said.fileno(), 1)
    main(str(folder), "0.02", *OWN)


@pytest.mark.slow
def test_killed_at_random_moments_and_continued(reference, tmp_path: Path):
    """While a study is made, while a candidate is judged, between two methods: whenever."""
    rng, killed = random.Random(1), 0
    while True:
        reading, writing = forks().Pipe(duplex=False)
        process = forks().Process(target=judge_all, args=(tmp_path, writing))
        process.start()
        writing.close()
        begun = os.read(reading.fileno(), 1)
        if begun:
            time.sleep(rng.uniform(0.0, 1.2))
            killed += process.is_alive()
            process.kill()
        process.join()
        reading.close()
        if not begun:  # nothing was left to judge
            break
    assert process.exitcode == 0 and killed >= 4
    assert journals(tmp_path) == reference
