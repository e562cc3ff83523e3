"""Which detector a board can bear is what `fit` answers: the whole file, head and decoding too, holds the budget."""

import json
from pathlib import Path

import box_helpers as boxes
import pytest
from cli_helpers import call

import ridgepoint as rp
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.tasks.detection import DETECTION

SPACE = """
name: tiny_boxes
input: [3, 32, 32]
stem:
  - {block: conv, kernel: 3, stride: 2, out_channels: {choice: [8, 16]}}
stages:
  - blocks: [{block: conv, kernel: 3, stride: 2, out_channels: {choice: [16, 32]}}]
"""
COUNTED = ("--evaluations", 1, "--set", "epochs=1", "--set", "short_epochs=1", "--baselines", 0, "--size", 32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("boxes")
    boxes.make(root / "data")
    (root / "space.yaml").write_text(SPACE)
    return root


def words(folder: Path, out: str, budget: str) -> tuple[object, ...]:
    space = ("--space", folder / "space.yaml")
    return ("fit", folder / "data", *space, "--out", folder / out, *COUNTED, "--busy", "--latency", budget)


def test_the_budget_is_held_by_the_whole_detector_and_suppression_is_told_beside(folder: Path):
    """Measured on the file that decodes boxes; what suppression takes depends on the image, and is told apart."""
    done = call(*words(folder, "wide", "50ms"))
    assert done.returncode == 0, done.stderr
    result = json.loads((folder / "wide" / "result.json").read_text())
    assert result["met"] and result["latency"]["kind"] == "measured"
    assert 0 < result["latency"]["ms"] <= 50 and result["decoding_ms"] > 0
    artefact = load_artefact(folder / "wide")
    assert artefact.task == "detection" and artefact.network.head.anchors


def test_a_board_that_can_bear_none_of_them_is_told_what_it_would_take(folder: Path):
    done = call(*words(folder, "narrow", "0.001ms"))
    assert done.returncode == 3 and "no network meets 0.001 ms: the fastest one of tiny_boxes takes" in done.stderr
    assert "Allow at least" in done.stderr and "a smaller --size" in done.stderr


def test_what_a_board_takes_counts_the_head_and_grows_with_the_input(folder: Path):
    """Published figures are of other boards and of 80 classes: predicted for a phone from the layers that there are."""
    data = DETECTION.read(folder / "data", seed=0, root=None)
    bare = rp.load("mobilenetv4_conv_small").at(height=320, width=320)
    network = DETECTION.head(data).close(bare)
    taken = [rp.predict_latency(network.at(height=side, width=side), device="pixel6-cpu") for side in (160, 224, 320)]
    assert [each.ms for each in taken] == sorted(each.ms for each in taken) and taken[2].ms > 2 * taken[0].ms
    assert taken[2].kind == "predicted" and taken[2].ms > rp.predict_latency(bare, device="pixel6-cpu").ms
