"""A fit for another runtime than the usual one: what it ships is that runtime's, checked and clocked in it."""

import json
from pathlib import Path

import pytest
from cli_helpers import FIT, call


def test_fit_ships_a_program_of_pytorch(tmp_path: Path):
    run = tmp_path / "run"
    done = call(*FIT, "--out", run, "--runtime", "torch", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["artefact"] == str(run / "model.pt2") and Path(result["artefact"]).is_file()
    assert not list(run.rglob("*.onnx"))
    assert (result["latency"]["runtime"], result["latency"]["place"]) == ("torch", "host")
    assert result["latency"]["runtime_version"] == result["versions"]["torch"]
    assert "onnxruntime" not in result["versions"]
    entry = json.loads((run / "ridgepoint.json").read_text())["artefacts"]["model.pt2"]
    assert entry["parity"]["top1_agreement"] == result["parity"]["top1_agreement"] == 1.0
    assert entry["trained_on"]["seed"] == 0 and entry["runtime"] == "torch"
    found = json.loads(call("eval", run, "digits", "--json").stdout)
    assert found["accuracy"] == pytest.approx(result["accuracy"]["artefact"]) and found["trained_on_it"]
    assert f"ridgepoint eval {run}/model.pt2 DATA" in result["reproduce"]
