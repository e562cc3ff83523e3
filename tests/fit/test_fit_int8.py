"""A fit whose file is int8: gated, clocked and chosen as such, told, and resumed; refused where nothing can be int8."""

import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import torch
from cli_helpers import call, refused
from fit_helpers import SPACE_FILE
from photographs import write_photographs

from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.companion import read_entry
from ridgepoint.deploy.quantize.onnxruntime import OnnxRuntimeQuantizer
from ridgepoint.errors import InputError
from ridgepoint.fit import bound, forms
from ridgepoint.fit.pipeline import fit
from ridgepoint.fit.settings import make_settings
from ridgepoint.fit.target import Clocked
from ridgepoint.nn.build import build
from ridgepoint.nn.reach import FOLDER
from ridgepoint.nn.weights import save_weights

NAME = "mobilenetv1_100"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs of three colours, and random weights that normalise their features, so that 8 bits tell them too."""
    write_photographs(tmp_path, each=5, weights={})
    torch.manual_seed(0)
    module = build(load(NAME))
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    module.train()(torch.randn(16, 3, 32, 32))
    save_weights(module, tmp_path / "weights" / f"{NAME}.ra4_e3600_r224_in1k.safetensors")
    monkeypatch.setenv(FOLDER, str(tmp_path / "weights"))
    return tmp_path / "photos"


@pytest.mark.clock
def test_the_chosen_file_is_int8_and_a_resume_takes_the_one_that_was_made(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bound, "FIRST_FILE_S", 0.0)
    monkeypatch.setattr(OnnxRuntimeQuantizer, "methods", ("min-max",))
    run, table = tmp_path / "run", tmp_path / "table.json"
    words = ("fit", photos, "--latency", "50ms", "--precision", "int8", "--time", "10s", "--size", "32", "--busy")
    words = (*words, "--set", "epochs=1", "--table", table, "--out", run, "--json")
    done = call(*words)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    training = result["network"]["training"]
    assert (
        result["network"]["name"] == f"{training}-int8" and result["latency"]["precision"] == "int8" and result["met"]
    )
    found = result["int8"][training]
    assert found["accepted"] and found["ratio"] < 1 and found["change"]["split"] == "val"
    stage = next(each for each in result["stages"] if each["name"] == result["network"]["name"])
    assert result["accuracy"]["val"] == stage["val_accuracy"] and result["parity"]["agreement"] > 0.5
    artefact = load_artefact(run)
    assert (
        artefact.session.precision == "int8" and read_entry(run / "model.onnx").quantisation.recipe == found["recipe"]
    )
    assert load_artefact(run / "trainings" / training).session.precision == "float32"
    assert "In 8-bit integers" in (run / "report.html").read_text()
    again = refused(call("export", run, "--int8"), "is int8 already", code=2)
    assert "Traceback" not in again
    made = (run / "trainings" / training / "int8" / "model.onnx").stat().st_mtime_ns
    (run / "steps" / "measured.json").unlink()
    (run / "result.json").write_text(json.dumps(json.loads((run / "result.json").read_text()) | {"finished": False}))
    resumed = json.loads(call(*words, "--resume").stdout)
    assert resumed["network"] == result["network"] and resumed["int8"] == result["int8"]
    assert resumed["accuracy"] == result["accuracy"]
    assert (run / "trainings" / training / "int8" / "model.onnx").stat().st_mtime_ns == made


@pytest.mark.clock
def test_a_refused_int8_file_is_not_taken_for_one_over_the_budget(photos: Path, tmp_path: Path, monkeypatch):
    def refused(*given, **more):
        raise InputError("its operators have no int8 here")

    monkeypatch.setattr(forms, "quantise_for", refused)
    words = ("fit", photos, "--latency", "50ms", "--precision", "int8", "--space", SPACE_FILE, "--busy", "--json")
    counted = ("--evaluations", "1", "--set", "epochs=1", "--set", "short_epochs=1", "--set", "batch_size=16")
    done = call(*words, *counted, "--baselines", "0", "--out", tmp_path / "run")
    assert done.returncode == 3, done.stderr
    assert "over the budget" not in done.stderr and "in int8: its operators" in done.stderr
    result = json.loads(done.stdout)
    opened = [stage["name"] for stage in result["stages"] if stage["name"].endswith("-frozen")]
    assert len(opened) == 1 and not result["met"] and result["latency"]["ms"] < 50


def test_where_int8_is_refused_what_meets_the_budget_in_float_is_taken(photos: Path, tmp_path: Path, monkeypatch):
    """By a clock on which a million MACs take a millisecond, and in int8 a quarter of one."""

    def refused(*given, **more):
        raise InputError("its operators have no int8 here")

    def clock(target, networks, *, patience_s=None, seconds=None):
        faster = 4 if target.host.precision == "auto" else 1
        return {name: SimpleNamespace(ms=millions(network) / faster) for name, network in networks.items()}

    def told(target, files, networks, *, patience_s):
        found = as_clocked(target, files, networks, patience_s=patience_s)
        return {name: msgspec.structs.replace(each, ms=millions(networks[name])) for name, each in found.items()}

    def millions(network) -> float:
        return cost(network, form="deploy").macs / 1e6

    as_clocked = Clocked.files
    monkeypatch.setattr(forms, "quantise_for", refused)
    monkeypatch.setattr(Clocked, "clock", clock)
    monkeypatch.setattr(Clocked, "files", told)
    short = {"evaluations": 1, "changes": {"epochs": 1, "short_epochs": 1, "batch_size": 16}, "baselines": 0}
    settings = make_settings(
        data=str(photos), latency_ms=50.0, precision="auto", space=str(SPACE_FILE), busy=True, **short
    )
    result = fit(settings, out=tmp_path / "run")
    first, *others = [stage["name"] for stage in result["stages"]]
    assert result["met"] and result["network"]["macs"] < 50e6 and result["network"]["name"] in others
    assert (first, others[0]) == (f"{NAME}-112px-frozen", f"{NAME}-64px-frozen")
    assert any("does not ship in int8" in each for each in result["warnings"])
    (over,) = [each for each in result["baselines"] if each["name"] == first]
    assert over["macs"] > 50e6 and not over["met"], "what was refused is told"


def test_precisions_that_are_not_there_are_refused(photos: Path):
    refused(
        call("fit", photos, "--latency", "5ms", "--precision", "int4"), "--precision is 'int4'", "auto, float32, int8"
    )
    refused(call("fit", photos, "--latency", "5ms", "--precision", "int8", "--runtime", "torch"), "has no int8 here")
