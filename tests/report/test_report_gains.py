"""Where the accuracy comes from: one step for every network that was finished on the way, gain or none."""

from pathlib import Path

import pytest
from report_helpers import words, write_result

from ridgepoint.report.gains import gains, waterfall
from ridgepoint.run.result import Stage

STAGES = [
    {"name": "net-frozen", "what": "its classifier alone", "at_s": 40.0, "val_accuracy": 0.8, "ms": 2.0},
    {"name": "net-finetuned", "what": "all of it", "at_s": 200.0, "val_accuracy": 0.86, "ms": 2.0},
    {"name": "other-finetuned", "what": "all of it", "at_s": 300.0, "val_accuracy": 0.85, "ms": 2.5},
    {"name": "last", "what": "taught by others", "at_s": 400.0, "val_accuracy": 0.87, "ms": 2.5},
]


def test_a_gain_is_over_the_best_before():
    found = gains([*(Stage(**stage) for stage in STAGES), Stage(name="never judged")])
    assert [each.stage.name for each in found] == [stage["name"] for stage in STAGES]
    assert [each.points for each in found] == pytest.approx([80.0, 6.0, -1.0, 1.0])
    (bars,) = waterfall(found, "accuracy").data
    assert list(bars.base) == [0.0, 0.8, 0.86, 0.86] and list(bars.text) == ["80.0 %", "+6.0", "-1.0", "+1.0"]
    assert gains([]) == []


def test_the_page_tells_it_and_what_was_looked_at(run: Path):
    looked = [{"network": "net", "weights": "net.in1k", "size": 144, "ms": 2.0, "promise": 0.79}]
    write_result(run, stages=STAGES, looked_at=looked)
    text = words(run)
    told = text.split("Where the accuracy comes from")[1].split("Training")[0]
    assert (
        "net-finetuned all of it 86.0 % +6.0 points" in told and "other-finetuned all of it 85.0 % -1.0 points" in told
    )
    assert "net net.in1k 144 px" in told and "79.0 %" in told
    write_result(run, stages=[], looked_at=[])
    assert "Where the accuracy comes from" not in words(run)
