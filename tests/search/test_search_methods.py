"""Every method keeps the contract, in every process, killed or not."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ridgepoint.search.methods import OWN
from ridgepoint.search.study import Study
from ridgepoint.testing.methods import check
from ridgepoint.testing.problems import journal, make_problem, middle, search


def start(folder: Path, *, pause_s: float = 0.0, hash_seed: str = "0") -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "ridgepoint.testing.methods", str(folder), str(pause_s), *OWN]
    return subprocess.Popen(words, stdout=subprocess.PIPE, env=environment)


def journals(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    return {name: journal(Study(folder / name).candidates()) for name in OWN}


@pytest.fixture(scope="module")
def reference() -> dict[str, list[tuple[object, ...]]]:
    problems = {name: make_problem(name, budget_ms=middle(name)) for name in OWN}
    return {name: journal(search(name, problem)) for name, problem in problems.items()}


@pytest.mark.parametrize("name", OWN)
def test_every_method_keeps_the_contract(name: str, tmp_path: Path):
    check(name, tmp_path)


def test_another_process_with_another_hash_seed_writes_the_same_journals(reference, tmp_path: Path):
    process = start(tmp_path, hash_seed="4242")
    process.communicate()
    assert process.returncode == 0
    assert journals(tmp_path) == reference


@pytest.mark.slow
def test_killed_at_random_moments_and_continued(reference, tmp_path: Path):
    """While a study is made, while a candidate is judged, between two methods: whenever."""
    rng, killed = random.Random(1), 0
    while True:
        process = start(tmp_path, pause_s=0.02)
        assert process.stdout is not None
        if not process.stdout.readline():  # nothing was left to judge
            break
        time.sleep(rng.uniform(0.0, 1.2))
        killed += process.poll() is None
        process.kill()
        process.communicate()
    assert killed >= 4
    assert journals(tmp_path) == reference
