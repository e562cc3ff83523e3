"""Workers that are killed at random moments change nothing in the journal; `worker_kills.py` kills any number."""

from pathlib import Path

import pytest
import worker_kills


@pytest.mark.slow
def test_the_journal_is_the_same_however_workers_are_killed(tmp_path: Path):
    assert worker_kills.check(4, 1, tmp_path) >= 1
