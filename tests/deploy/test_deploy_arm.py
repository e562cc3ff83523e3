"""A device of another architecture: 64-bit Arm, emulated, behind a real sshd on loopback.

What it answers is what the runtime's own kernels for Arm answer; what it takes says nothing, and ridgepoint says so.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from arm_board import board_python
from cli_helpers import call, refused
from cli_helpers import run as ridgepoint
from fit_helpers import COUNTED, command, finish
from ssh_server import Server, ssh_server

from ridgepoint.data import decode, detect
from ridgepoint.deploy.about import About
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.companion import write_entry
from ridgepoint.deploy.find import told_inside
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.places.find import find_device
from ridgepoint.deploy.places.remote import Device
from ridgepoint.deploy.quantize.calibration import calibration_of
from ridgepoint.deploy.quantize.gate import Judges, quantise
from ridgepoint.deploy.quantize.onnxruntime import OnnxRuntimeQuantizer
from ridgepoint.deploy.quantize.quantizer import Recipe
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.deploy.verify import verify
from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.tasks.int8 import change_in
from ridgepoint.train.batches import TrainingData

HERE = os.uname().machine
EMULATED = f"an emulator on {HERE} computes in its place"
DEVICE = f"(aarch64, emulated by {HERE})"
DIGITS = detect("digits", seed=0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    python = board_python()
    with ssh_server(tmp_path_factory.mktemp("ssh") / "server", python=python) as found:
        yield found


@pytest.fixture(scope="module")
def board(server: Server) -> Iterator[Device]:
    found = find_device(server.address)
    yield found
    found.close()
    server.wait_until_left()


def test_a_float_file_answers_there_as_its_source_does_here(
    board: Device, trained: BuiltNetwork, exported: Path, data: TrainingData
):
    assert (board.hello.machine, board.hello.emulated_by) == ("aarch64", HERE) and board.device.endswith(DEVICE)
    found = verify(trained, load_artefact(exported, place=board), data.val.images[:16], agree=CLASSIFICATION.agree)
    assert found.agreement == 1.0 and found.max_relative_diff < 1e-4
    (latency,) = measure({"a": exported}, place=board, rounds=8, round_s=0.004, patience_s=9.0).values()
    assert EMULATED in latency.doubt and latency.device == board.device


@pytest.fixture(scope="module")
def int8(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in int8, whether it is worth it or not."""
    path, runtime = tmp_path_factory.mktemp("int8") / "model.onnx", find_runtime("onnxruntime")
    told = told_inside(exported, runtime)
    about = About(**{name: getattr(told, name) for name in About.__struct_fields__} | {"precision": "int8"})
    shown = calibration_of(DIGITS.train, about.preprocessing, seed=0).images
    tool = OnnxRuntimeQuantizer(exported, about.preprocessing.normalize(shown), path.parent)
    tool.write(Recipe(method=tool.methods[0]), path, about=about)
    write_entry(path, about, runtime)
    return path


def computed_in_float(path: Path, x_BCHW: np.ndarray) -> np.ndarray:
    """What an int8 file means: its integers multiplied in float, by no int8 kernel of any processor."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: x_BCHW[at : at + 1]})[0] for at in range(len(x_BCHW))])


@pytest.mark.soak
def test_an_int8_file_is_judged_by_what_it_answers_there(board: Device, int8: Path):
    """Not by what it answers here: processors with AVX2 and no VNNI saturate, and may answer a third otherwise."""
    told = json.loads(call("eval", int8, "digits", "--device", board.name, "--json").stdout)
    artefact = load_artefact(int8, place=board)
    tests = decode(DIGITS.test, artefact.preprocessing, train=False)
    meant = computed_in_float(int8, artefact.preprocessing.normalize(tests.images.numpy()))
    assert CLASSIFICATION.agree(meant, artefact.logits(tests.images.numpy())).share > 0.98
    right = CLASSIFICATION.score(meant, tests.labels).value
    assert told["precision"] == "int8" and told["accuracy"] == pytest.approx(right, abs=0.01) and right > 0.2


@pytest.mark.soak
def test_the_gate_refuses_to_clock_int8_there(board: Device, exported: Path, tmp_path: Path):
    preprocessing = load_artefact(exported).preprocessing
    judges = Judges(
        images=decode(DIGITS.val, preprocessing, train=False),
        split="val",
        change=change_in(CLASSIFICATION, "val"),
        agree=CLASSIFICATION.agree,
        place=board,
    )
    calibration, target = calibration_of(DIGITS.train, preprocessing, seed=0), tmp_path / "model.onnx"
    found = quantise(exported, target, runtime=find_runtime("onnxruntime"), calibration=calibration, judges=judges)
    assert (found.outcome, found.device) == ("cannot be clocked", board.device) and not target.exists()
    assert f"on an emulated processor: {EMULATED}" in found.reason and "Clock a real device" in found.advice


@pytest.mark.soak
def test_times_of_it_are_kept_only_where_they_are_accepted(
    server: Server, board: Device, exported: Path, tmp_path: Path
):
    told = call("devices", "--probe", server.address)
    assert DEVICE in told.stdout
    done = call("bench", exported, "--device", server.address, "--rounds", "8")
    assert done.returncode == 3 and f"not measurable on an emulated processor: {EMULATED}" in done.stderr + done.stdout
    done = call("calibrate", "--device", server.address, "--time", "5s", "--table", tmp_path / "table.json")
    refused(done, f"not measurable on an emulated processor: {EMULATED}", "Clock a real device", code=3)
    assert not (tmp_path / "table.json").exists()


@pytest.mark.soak
def test_a_whole_fit_is_clocked_and_checked_there(server: Server, tmp_path: Path):
    run, words = tmp_path / "run", ("--device", server.address, "--latency", "2s")
    said = finish([*command(run, *words), *COUNTED])
    assert "taken on an emulated processor, so in doubt" in said
    result = json.loads((run / "result.json").read_text())
    latency = result["latency"]
    assert (latency["kind"], latency["place"]) == ("measured", server.address) and latency["device"].endswith(DEVICE)
    assert result["met"] and EMULATED in latency["doubt"] and any(EMULATED in each for each in result["warnings"])
    assert result["parity"]["top1_agreement"] == 1.0 and result["parity"]["max_abs_diff"] < 1e-3
    assert result["accuracy"]["artefact"] == pytest.approx(result["accuracy"]["float"])
    told = json.loads(ridgepoint("devices", "--probe", server.address, "--json").stdout)
    table = json.loads(Path(told["tables"]["onnxruntime"]).read_text())
    assert table["rows"] and table["conditions"]["device"] == latency["device"]
    assert table["conditions"]["place"] == f"device-{told['identity']}" and told["machine"] == "aarch64"
    without = [word for word in command(tmp_path / "other", *words) if word != "--busy"][3:]
    done = ridgepoint(*without, *COUNTED)
    assert done.returncode == 3 and "not measurable on an emulated processor" in done.stderr, done.stderr
