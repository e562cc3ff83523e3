"""`train` as a run, export of what it leaves, and starting from weights."""

import json
from pathlib import Path

import msgspec
import pytest
import torch
from cli_helpers import call, refused
from toy_runtime import Toy

from ridgepoint.arch.closing import Closing
from ridgepoint.arch.document import dump_network
from ridgepoint.arch.zoo import load
from ridgepoint.cli import export as export_verb
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.runtimes import RUNTIMES
from ridgepoint.display import Silent
from ridgepoint.errors import InputError, RunError
from ridgepoint.fit.pretrained import networks_for
from ridgepoint.nn.build import build
from ridgepoint.nn.weights import save_weights
from ridgepoint.tasks.reading import read
from ridgepoint.train.folder import load_training
from ridgepoint.train.run import run_training
from ridgepoint.train.settings import TrainSettings


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YAML file of a network that trains in a second."""
    network = load("mobilenetv4_conv_small_035")
    stem = msgspec.structs.replace(network.stem[0], out_channels=8)
    network = msgspec.structs.replace(network, name="small", stem=(stem,), stages=network.stages[:2])
    path = tmp_path_factory.mktemp("networks") / "small.yaml"
    path.write_text(dump_network(network))
    return path


@pytest.fixture(scope="module")
def trained(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training of that network on digits."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    settings = TrainSettings(model=str(small), data="digits", changes={"epochs": 3})
    run_training(settings, read=read, out=folder, resume=False, display=Silent())
    return folder


def test_a_training_learns_and_says_so(trained: Path):
    result = json.loads((trained / "result.json").read_text())
    assert result["accuracy"]["test"] > 0.3  # chance is 0.1
    assert result["counts"]["test"] == 359
    assert result["steps"] == 3 * (1079 // 64)


def test_its_folder_exports_for_another_runtime(trained: Path, tmp_path: Path):
    """The runtime, the format or the file's name says which; a file of somebody else is not overwritten."""
    out = tmp_path / "mine.pt2"
    for words in (("--runtime", "torch"), ("--format", "pt2"), ()):
        done = call("export", trained, "--out", out, *words, "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["runtime"], found["format"], found["parity"]["top1_agreement"]) == ("torch", "pt2", 1.0)
    entry = json.loads((tmp_path / "ridgepoint.json").read_text())["artefacts"]["mine.pt2"]
    assert entry["parity"] == found["parity"] and entry["labels"] == list("0123456789")
    assert json.loads(call("eval", out, "digits", "--json").stdout)["trained_on_it"]
    (tmp_path / "theirs.pt2").write_bytes(b"something else")
    refused(call("export", trained, "--out", tmp_path / "theirs.pt2"), "is no such file of ridgepoint")
    refused(call("export", trained, "--format", "onnx", "--runtime", "torch"), "--runtime torch takes .pt2 files")
    refused(call("export", trained, "--out", tmp_path / "x.onnx", "--runtime", "torch"), "a name that ends in .pt2")


def test_a_runtime_that_runs_elsewhere_only_writes(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """No parity is told, and nothing is timed or answered by it."""
    monkeypatch.setattr(Toy, "runs_here", False)
    monkeypatch.setitem(RUNTIMES, "toy", "toy_runtime:Toy")
    out = tmp_path / "m.toy"
    done = call("export", trained, "--out", out)
    assert done.returncode == 0 and "not compared with its source: toy runs no files on this system" in done.stdout
    assert json.loads((tmp_path / "ridgepoint.json").read_text())["artefacts"]["m.toy"]["parity"] is None
    told = "runtime 'toy' runs no files on this system; it only writes them"
    for words in (
        ("eval", out, "digits"),
        ("bench", out, "--rounds", "8"),
        ("calibrate", "--runtime", "toy"),
        ("fit", "digits", "--latency", "5ms", "--runtime", "toy", "--out", tmp_path / "run"),
    ):
        refused(call(*words), told)
    assert not (tmp_path / "run").exists()


def test_its_folder_exports_to_a_file_that_agrees(trained: Path, capsys: pytest.CaptureFixture[str]):
    export_verb.export(trained, dynamic_batch=True, json_output=True)
    parity = json.loads(capsys.readouterr().out)["parity"]
    assert parity["top1_agreement"] == 1.0
    artefact = load_artefact(trained / "model.onnx")
    assert artefact.labels == tuple("0123456789")
    model, about = load_training(trained)
    images = torch.randint(0, 256, (3, 1, 16, 16), dtype=torch.uint8)
    expected = model(about.preprocessing.normalize(images)).detach()
    torch.testing.assert_close(torch.from_numpy(artefact.logits(images.numpy())), expected, rtol=1e-4, atol=1e-4)


def test_a_folder_that_is_taken_or_holds_nothing_is_refused(trained: Path, small: Path, tmp_path: Path):
    settings = TrainSettings(model=str(small), data="digits")
    with pytest.raises(RunError, match="--resume"):
        run_training(settings, read=read, out=trained, resume=False, display=Silent())
    with pytest.raises(RunError, match="no run to resume"):
        run_training(settings, read=read, out=tmp_path, resume=True, display=Silent())
    with pytest.raises(RunError, match="no finished training"):
        load_training(tmp_path)


def test_starting_from_weights_starts_where_they_ended(trained: Path, small: Path, tmp_path: Path):
    """One epoch at a vanishing learning rate keeps what the first training had learnt."""
    weights = str(trained / "weights.safetensors")
    changes = {"epochs": 1, "optimizer.lr": 1e-9, "ema": None}
    settings = TrainSettings(model=str(small), data="digits", weights=weights, changes=changes)
    result = run_training(settings, read=read, out=tmp_path / "again", resume=False, display=Silent())
    assert result["accuracy"]["val"] > 0.3
    with pytest.raises(InputError, match="nowhere"):
        missing = TrainSettings(model=str(small), data="digits", weights="nowhere.safetensors")
        run_training(missing, read=read, out=tmp_path / "none", resume=False, display=Silent())
    assert not (tmp_path / "none").exists()


def test_weights_find_the_networks_they_belong_to(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    save_weights(build(load("tf_mobilenetv3_small_075")), path)
    found = networks_for(str(path), Closing(num_classes=5), channels=3, height=64, width=64)
    assert [network.name for network in found] == ["tf_mobilenetv3_small_075"]  # not its symmetric twin
    assert found[0].num_classes == 5


def test_weights_of_no_network_are_refused(tmp_path: Path, small: Path):
    path = tmp_path / "weights.safetensors"
    save_weights(build(load(small)), path)
    with pytest.raises(InputError, match="no network of the zoo"):
        networks_for(str(path), Closing(num_classes=5), channels=3, height=64, width=64)
