"""A fit that was killed and resumed ends like one that was not: same architecture, same weights, bit for bit."""

import json
import random
import shutil
import time
from pathlib import Path

import pytest
from fit_helpers import COUNTED, command, finish, initialisers, kill_when, start
from shared import made_once

from ridgepoint.search.study import read_candidates

# What has appeared when the process is killed, and the longest wait after that.
MOMENTS = [
    ("study.db", 1.0),  # the search: queueing starts, proposing, short trainings
    ("steps/search.json", 0.3),  # finalists
    ("trainings/*/checkpoint.pt", 0.3),  # the first full training
    ("steps/trained-*.json", 0.5),  # the second
    ("trainings/*/model.onnx", 1.0),  # export, measurement, check
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody disturbed."""
    return made_once(tmp_path_factory, "whole_fit", lambda folder: finish(command(folder / "run", *COUNTED))) / "run"


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param([MOMENTS[0], MOMENTS[2]], id="in search and training"),
        pytest.param(MOMENTS, marks=pytest.mark.soak, id="all"),
    ],
)
def test_killed_and_resumed(moments: list[tuple[str, float]], whole: Path, tmp_path: Path):
    run = tmp_path / "run"
    words, rng = command(run, *COUNTED), random.Random(2)
    for number, (pattern, longest) in enumerate(moments):
        kill_when(words if number == 0 else [*words, "--resume"], run, pattern, rng.uniform(0.0, longest))
        assert not (run / "result.json").exists(), "killed too late to tell anything"
    finish([*words, "--resume"])

    mine, other = (json.loads((each / "result.json").read_text()) for each in (run, whole))
    assert (run / "architecture.yaml").read_text() == (whole / "architecture.yaml").read_text()
    name = mine["network"]["name"]
    assert name == other["network"]["name"]
    for training in sorted(path.name for path in (whole / "trainings").iterdir()):
        weights = Path("trainings") / training / "weights.safetensors"
        assert (run / weights).read_bytes() == (whole / weights).read_bytes(), training
    assert initialisers(run / "model.onnx") == initialisers(whole / "model.onnx")
    assert mine["accuracy"] == other["accuracy"]
    assert [(row["name"], row["accuracy"]) for row in mine["finalists"]] == [
        (row["name"], row["accuracy"]) for row in other["finalists"]
    ]
    journal = [
        [(c.name, c.phase, c.network.digest, c.short_accuracy) for c in read_candidates(r)] for r in (run, whole)
    ]
    assert journal[0] == journal[1]


@pytest.mark.clock
def test_an_uninterrupted_fit_holds_what_it_promises(whole: Path):
    result = json.loads((whole / "result.json").read_text())
    assert result["met"] and result["latency"]["kind"] == "measured" and result["latency"]["ms"] <= 0.5
    assert result["latency"]["ms"] <= result["latency"]["p90_ms"]
    assert result["parity"]["top1_agreement"] == 1.0 and result["parity"]["count"] == result["accuracy"]["count"]
    assert result["accuracy"]["split"] == "test"
    assert result["search"]["method"] == "evolution" and "takes" in result["search"]["reason"]
    assert len(result["finalists"]) == 2
    best = max(row["accuracy"]["val"] for row in result["finalists"] if row["met"])
    assert result["accuracy"]["val"] == best, "the best of all that meet the budget was chosen"
    for key in ("artefact", "architecture", "labels", "report"):
        assert Path(result[key]).is_file(), key
    phases = {candidate.phase for candidate in read_candidates(whole)}
    assert "search" in phases and "winner" in phases


def test_resuming_a_finished_fit_changes_nothing(whole: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    before = (run / "result.json").read_bytes(), (run / "model.onnx").read_bytes()
    assert "finished already" in finish([*command(run, *COUNTED), "--resume"])
    assert before == ((run / "result.json").read_bytes(), (run / "model.onnx").read_bytes())


@pytest.mark.clock
def test_by_the_clock_a_resumed_fit_uses_the_time_that_was_left(whole: Path, tmp_path: Path):
    """Killed in the search, then left alone for a while, which does not count."""
    run, bound = tmp_path / "run", 12.0
    words = command(run, "--time", f"{bound:g}s", "--baselines", "1")
    changes = {"ridgepoint.fit.bound.NETWORK_S": 0.2, "ridgepoint.fit.bound.REPORT_S": 1.0}
    kill_when(words, run, "study.db", 0.2, changes)
    used = json.loads((run / "clock.json").read_text())["elapsed_s"]
    assert 0.0 < used < bound
    plan = (run / "steps" / "plan.json").read_text()
    time.sleep(1.0)
    started = time.monotonic()
    finish([*words, "--resume"], changes)
    sitting = time.monotonic() - started
    assert (run / "steps" / "plan.json").read_text() == plan, "what was planned stays"
    result = json.loads((run / "result.json").read_text())
    assert used < result["wall_s"] < bound + 15.0
    assert sitting < 1.5 * (bound - used) + 10.0, "the program's start is not the run's time"
    assert result["wall_s"] == pytest.approx(used + sitting, abs=12.0)


def test_a_run_is_not_begun_twice_in_one_folder(whole: Path):
    process = start(command(whole, *COUNTED))
    _, told = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "holds a run already" in told and "--resume" in told and "Traceback" not in told
