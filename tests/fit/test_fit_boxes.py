"""Which detector a board can bear is what `fit` answers: the whole file, head and decoding too, holds the budget."""

import json
from pathlib import Path

import box_helpers as boxes
import msgspec
import pytest
from cli_helpers import call, refused
from PIL import Image

import ridgepoint as rp
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.fit import early, fresh, share
from ridgepoint.fit.share import Share
from ridgepoint.nn.build import build
from ridgepoint.nn.reach import FOLDER
from ridgepoint.nn.weights import save_weights
from ridgepoint.tasks.detection import DETECTION
from ridgepoint.train.recipe import load_recipe

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


def test_a_method_whose_weights_are_shared_is_refused_before_anything_is_clocked(folder: Path):
    done = call(*words(folder, "shared", "50ms"), "--method", "tunas")
    assert "take maps from within" in refused(done, "--method tunas", "evolution")
    assert "Data\n" in done.stderr and "This machine" not in done.stderr and "latency table" not in done.stderr


def photographs_and_weights(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Images with boxes that are large enough for weights of photographs, and such weights; their network."""
    name = "mobilenetv3_small_050"
    save_weights(build(rp.load(name)), root / f"{name}.lamb_in1k.safetensors")
    monkeypatch.setenv(FOLDER, str(root))
    boxes.make(root / "data", "YOLO texts")
    for path in (root / "data").rglob("*.png"):
        Image.open(path).resize((100, 80)).save(path)
    return name


def test_beside_weights_a_small_network_learns_from_nothing_and_validation_chooses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Weights of photographs may know less of other images than a network that does several times the steps."""
    chosen, name = fresh._chosen, photographs_and_weights(tmp_path, monkeypatch)
    monkeypatch.setattr(early, "share_of_time", lambda *_, **__: Share(seconds=1.0, searched=False, fresh=True))
    monkeypatch.setattr(fresh, "_chosen", lambda *given: msgspec.structs.replace(chosen(*given), seconds=5.0))
    done = call("fit", tmp_path / "data", "--latency", "500ms", "--time", "9m", "--busy", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    learnt = {rival["name"].split("-")[0]: rival for rival in result["baselines"]}
    assert learnt.keys() == {name, "mobilenetv4_conv_small"} and learnt["mobilenetv4_conv_small"]["weights"] is None
    assert all(rival["steps"] and rival["met"] for rival in learnt.values())
    best = max(learnt.values(), key=lambda rival: rival["accuracy"]["val"])
    assert result["accuracy"]["val"] == best["accuracy"]["val"] and len(result["stages"]) == 2
    assert call("fit", tmp_path / "data", "--latency", "500ms", "--resume", "--out", tmp_path / "run").returncode == 0


def test_where_the_beginning_took_all_of_the_time_a_detector_learns_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """On a slow or busy machine: it learnt for the recipe's epochs then, however long these take."""
    photographs_and_weights(tmp_path, monkeypatch)
    monkeypatch.setattr(share, "kept_s", lambda *_, **__: 1e9)
    done = call("fit", tmp_path / "data", "--latency", "500ms", "--time", "9m", "--busy", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["network"]["steps"] and result["network"]["epochs"] < load_recipe("boxes_finetune").epochs / 2
    assert any("has hardly learnt: there was time for" in warning for warning in result["warnings"])
    assert "Give more --time" in done.stdout + done.stderr


def test_without_weights_a_small_network_learns_for_all_of_a_short_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A search would leave seconds to each training; it follows where it gets half an hour, or is asked for."""
    chosen = fresh._chosen
    monkeypatch.setattr(fresh, "_chosen", lambda *given: msgspec.structs.replace(chosen(*given), seconds=5.0))
    done = call("fit", folder / "data", "--latency", "500ms", "--time", "9m", "--busy", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [each["name"].split("-")[0] for each in result["baselines"]] == ["mobilenetv4_conv_small"]
    assert result["search"] is None and not result["finalists"] and result["network"]["steps"]
    assert any("No shape was searched from nothing" in note for note in result["notes"])


def test_what_a_board_takes_counts_the_head_and_grows_with_the_input(folder: Path):
    """Published figures are of other boards and of 80 classes: predicted for a phone from the layers that there are."""
    data = DETECTION.read(folder / "data", seed=0, root=None)
    bare = rp.load("mobilenetv4_conv_small").at(height=320, width=320)
    network = DETECTION.head(data).close(bare)
    taken = [rp.predict_latency(network.at(height=side, width=side), device="pixel6-cpu") for side in (160, 224, 320)]
    assert [each.ms for each in taken] == sorted(each.ms for each in taken) and taken[2].ms > 2 * taken[0].ms
    assert taken[2].kind == "predicted" and taken[2].ms > rp.predict_latency(bare, device="pixel6-cpu").ms
