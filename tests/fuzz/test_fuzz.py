"""A few cases of every kind of malformed input; `tests/fuzz/run.py` runs as many as one likes."""

from pathlib import Path

import pytest
from harness import fuzz, kinds

COUNT, LIMIT_S = 15, 60.0  # the machine of a test may be busy; ten seconds are asked of a calm one


@pytest.mark.parametrize("kind", kinds())
def test_every_input_is_refused_in_one_message_or_accepted(kind: str, tmp_path: Path) -> None:
    tally = fuzz(kind, count=COUNT, seed=0, folder=tmp_path, limit_s=LIMIT_S)
    assert tally.cases == COUNT
    assert not tally.failures, tally.failures[:3]
    assert tally.ended["refused"], "nothing here was malformed"
