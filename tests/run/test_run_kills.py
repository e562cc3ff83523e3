"""Killed at random moments and resumed, a run ends as one that nobody disturbed; more of it: see `kills.py`."""

from pathlib import Path

import calibration_kills
import kills
import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_killed_and_resumed(tmp_path: Path):
    """Distillings; trainings, searches and fits are killed at chosen moments elsewhere."""
    assert kills.kill(2, seed=7, verbs=["distill"], folder=tmp_path)["distill killed"] == 2


def test_a_calibration_that_is_killed_loses_no_row(tmp_path: Path):
    assert len(calibration_kills.kill(2, seed=0, folder=tmp_path, networks=5)) == 1 + 2 * 5
