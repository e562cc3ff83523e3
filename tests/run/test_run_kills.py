"""Killed at random moments and resumed, a run ends as one that nobody disturbed; more of it: see `kills.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(("verbs", "count"), [(("train", "distill"), 6), (("search", "fit"), 5)])
def test_killed_and_resumed(verbs: tuple[str, ...], count: int, tmp_path: Path):
    words = [Path(__file__).with_name("kills.py"), "--count", count, "--seed", 3, "--verbs", *verbs]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "all ended as undisturbed" in done.stdout


@pytest.mark.slow
def test_a_calibration_that_is_killed_loses_no_row(tmp_path: Path):
    words = [sys.executable, str(Path(__file__).with_name("calibration_kills.py")), "--count", "4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "4 kills" in done.stdout
