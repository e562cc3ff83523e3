"""Files of a run that were cut off or edited by hand: one clear refusal that names the file, never a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest
from report_helpers import write_result

from ridgepoint.errors import RunError
from ridgepoint.report.page import build_report

TRAINING: dict[str, Any] = {
    "model": "mobilenetv3_small_050",
    "data": "shapes",
    "counts": {"train": 10, "val": 5, "test": 5},
    "accuracy": {"val": 0.8, "test": 0.6},
    "steps": 10,
    "train_s": 3.0,
    "recipe": {"name": "small_images"},
    "seed": 0,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"accuracy": {"artefact": 1.4, "count": 200}},
        {"accuracy": {"artefact": -0.1}},
        {"accuracy": {"artefact": 0.5, "count": -3}},
        {"budget_ms": 0.0},
        {"network": {"name": "x"}},
        {"latency": {"kind": "guessed", "ms": 1.0}},
        {"phases": [{"name": "search", "seconds": -1}]},
        {"data": None},
    ],
)
def test_a_result_that_cannot_be(run: Path, changes: dict[str, Any]) -> None:
    write_result(run, **changes)
    with pytest.raises(RunError, match=r"result\.json: is damaged.*Run the command that wrote it again"):
        build_report(run)


NONE = (b"", b"\xff\xfe", b"[" * 100_000, b"[1]", b'{"name": "' + b"x" * 90)


@pytest.mark.parametrize(
    ("name", "content"),
    [(name, content) for name in ("result.json", "evaluation.json") for content in NONE]
    + [("trainings/winner/metrics.jsonl", content) for content in NONE if content],  # no rows are no damage
)
def test_a_file_that_is_none(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)
    with pytest.raises(RunError, match=rf"{Path(name).name}.*is damaged"):
        build_report(run)


def test_metrics_without_their_step(run: Path) -> None:
    (run / "trainings" / "winner" / "metrics.jsonl").write_text('{"progress": 0.5, "loss": 1.0}\n')
    with pytest.raises(RunError, match=r"metrics\.jsonl, line 1: is damaged.*step"):
        build_report(run)


@pytest.mark.parametrize(
    "changes",
    [
        {"confusion": [[1, 2], [3, 4]]},
        {"classes": []},
        {"mistakes": [{"true": 99, "predicted": 0}]},
        {"per_class": [{"class": "circle", "count": 3, "recall": 1.5}]},
    ],
)
def test_an_evaluation_that_does_not_fit_its_classes(run: Path, changes: dict[str, Any]) -> None:
    document = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps(document | changes))
    with pytest.raises(RunError, match=r"evaluation\.json: is damaged"):
        build_report(run)


@pytest.mark.parametrize(
    "changes",
    [
        {"accuracy": {"test": 0.6}},
        {"accuracy": {"val": 2.0, "test": 0.6}},
        {"counts": {"val": 5, "test": 0}},
        {"teacher": {}},
    ],
)
def test_a_training_that_cannot_be(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "training.json").write_text("{}")
    (tmp_path / "result.json").write_text(json.dumps(TRAINING))
    assert "60.0 %" in build_report(tmp_path).read_text(), "without metrics, samples, batch size or balanced accuracy"
    (tmp_path / "result.json").write_text(json.dumps(TRAINING | changes))
    with pytest.raises(RunError, match=r"result\.json: is damaged"):
        build_report(tmp_path)


@pytest.mark.parametrize("content", [b"[1]", b"\xff", b"{}"])
def test_samples_that_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "training.json").write_text("{}")
    (tmp_path / "result.json").write_text(json.dumps(TRAINING))
    (tmp_path / "samples.json").write_bytes(content)
    with pytest.raises(RunError, match=r"samples\.json: is damaged.*Remove it"):
        build_report(tmp_path)


def test_a_picture_that_is_none_is_left_out(run: Path) -> None:
    (run / "mistakes" / "0.png").write_bytes(b"no picture")
    (run / "mistakes" / "1.png").write_bytes((run / "mistakes" / "2.png").read_bytes()[:40])
    assert "Recorded mistakes without an image in this folder: 2." in build_report(run).read_text()
