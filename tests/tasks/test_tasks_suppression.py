"""Files of detectors that make final boxes themselves: the same boxes as outside, by ONNX Runtime and OpenVINO."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import box_helpers as boxes
import msgspec
import numpy as np
import pytest
import torch
from cli_helpers import call, refused

from ridgepoint.arch.document import dump_network, parse_network
from ridgepoint.arch.network import Network
from ridgepoint.arch.suppression import Suppression
from ridgepoint.data import Dataset, Preprocessing, decode
from ridgepoint.deploy.artefact import load_artefact, rows_of
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.errors import InputError, ParityError
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.suppress import Suppressing
from ridgepoint.tasks.boxes.final import USUAL, Boxes, final_boxes
from ridgepoint.tasks.boxes.same import difference
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.tasks.detection import DETECTION
from ridgepoint.tasks.suppression import expect_suppression, verify_suppressed

RUNTIMES = [
    "onnxruntime",
    pytest.param("openvino", marks=pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="an extra")),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("boxes")
    boxes.make(root)
    return root


@pytest.fixture(scope="module")
def data(folder: Path) -> tuple[Dataset, Preprocessing, Network]:
    found = DETECTION.read(folder, seed=0, root=None)
    prepared, _ = DETECTION.input(found, 32)
    raw = {"block": "conv", "stride": 2, "out_channels": 8}
    own = parse_network({"name": "t", "input": [3, 32, 32], "stem": [raw], "stages": [{"blocks": [raw]}]}, source="t")
    return found, prepared, DETECTION.head(found).close(own)


def telling(network: Network, seed: int) -> BuiltNetwork:
    """A network whose scores are far from each other, so that none of them tie."""
    torch.manual_seed(seed)
    model = build(network).eval()
    torch.nn.init.normal_(model.head.classifier.scores.map0.conv.weight, 0.0, 1.0)
    return model


def written(model: BuiltNetwork, path: Path, data, runtime: str = "onnxruntime", **more):
    found, prepared, network = data
    about = {"network": network, "preprocessing": prepared, "labels": found.classes, "task": "detection"}
    export_artefact(model, path, runtime=runtime, suppression=USUAL, **about | more)
    return load_artefact(path, runtime=runtime)


def test_a_process_that_did_nothing_before_writes_such_a_file(data, tmp_path: Path):
    """The exporter knows suppression only where torchvision was loaded before it."""
    found, prepared, network = data
    (tmp_path / "network.yaml").write_text(dump_network(network))
    program = f"""
from pathlib import Path
from ridgepoint.arch.suppression import Suppression
from ridgepoint.arch.zoo import load
from ridgepoint.data import Preprocessing
from ridgepoint.deploy.export import export_artefact
from ridgepoint.nn.build import build
network = load({str(tmp_path / "network.yaml")!r})
pixels = Preprocessing(**{msgspec.to_builtins(prepared)!r})
about = dict(preprocessing=pixels, labels={found.classes!r}, task="detection", suppression=Suppression())
export_artefact(build(network).eval(), Path({str(tmp_path / "m.onnx")!r}), network=network, **about)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and load_artefact(tmp_path / "m.onnx").suppression, done.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
@torch.no_grad()
def test_a_file_makes_the_boxes_that_are_made_outside(runtime: str, data, tmp_path: Path):
    model, (found, prepared, _) = telling(data[2], 0), data
    artefact = written(model, tmp_path / f"m{find_runtime(runtime).suffix}", data, runtime)
    assert artefact.suppression == USUAL
    images = decode(found.val, prepared, train=False)
    same = verify_suppressed(model, artefact, images, DETECTION)
    assert same.parity.agreement == 1.0 and same.parity.count == len(found.val)
    assert same.in_file == pytest.approx(same.score, abs=1e-3)
    answers = artefact.session.run(prepared.normalize(images.images.numpy()[:1]))
    assert answers.shape == (1, USUAL.most_boxes, 6) and (np.diff(answers[0, :, 4]) <= 0).all()
    with pytest.raises(ParityError, match="share of images with the same final boxes"):
        verify_suppressed(telling(data[2], 1), artefact, images, DETECTION)
    told = json.loads((tmp_path / "ridgepoint.json").read_text())["artefacts"][artefact.session.path.name]
    assert told["outputs"] == ["boxes"] and told["suppression"] == {
        "least_score": 0.01, "most_iou": 0.55, "candidates": 400, "most_boxes": 100,
    }  # fmt: skip


@torch.no_grad()
def test_rows_without_a_box_are_zeros_of_no_class():
    """Two boxes of one class on one place, one of another class there, one that is too unsure."""
    place = [0.1, 0.1, 0.5, 0.5]
    rows = torch.tensor([[*place, 0.9, 0.0], [*place, 0.8, 0.7], [0.6, 0.6, 0.9, 1.2, 0.3, 0.0], [*place, 0.02, 0.0]])
    how = Suppression(least_score=0.05, most_boxes=5)
    (found,) = Suppressing(torch.nn.Identity(), how)(rows[None])
    wanted = [
        [*place, 0.9, 0],
        [*place, 0.7, 1],
        [0.6, 0.6, 0.9, 1.0, 0.3, 0],
        [0, 0, 0, 0, 0, -1],
        [0, 0, 0, 0, 0, -1],
    ]
    assert torch.allclose(found, torch.tensor(wanted))
    outside = final_boxes(rows.numpy(), least_score=0.05)
    again = final_boxes(rows_of(found[None].numpy(), 2)[0], least_score=0.05)
    assert difference(outside, again) < 1e-6 and len(again.scores) == 3


def test_boxes_are_the_same_only_where_each_has_its_like():
    one = Boxes(
        np.array([[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.8, 0.8]], np.float32), np.array([0, 1]), np.array([0.9, 0.5])
    )
    assert difference(one, one) == 0.0
    moved = one._replace(places=one.places + np.float32(0.004))
    assert difference(one, moved) == pytest.approx(0.004, abs=1e-6)
    for other in (
        one._replace(labels=np.array([1, 1])),
        one._replace(places=one.places + np.float32(0.02)),
        Boxes(*(values[:1] for values in one)),
    ):
        assert difference(one, other) == difference(other, one) == np.inf
    unsure = one._replace(scores=np.array([0.9, 0.04]))
    assert difference(unsure, Boxes(*(values[:1] for values in one))) == 0.0


def test_who_cannot_suppress_says_so(data, tmp_path: Path):
    model = telling(data[2], 0)
    for runtime in ("torch", "ncnn"):
        if find_runtime(runtime).missing() is None:
            with pytest.raises(InputError, match="holds no suppression in its files"):
                written(model, tmp_path / f"m{find_runtime(runtime).suffix}", data, runtime)
    with pytest.raises(InputError, match="Suppression is of one image"):
        written(model, tmp_path / "m.onnx", data, batch="dynamic")
    with pytest.raises(InputError, match="answers of classification are none"):
        expect_suppression(CLASSIFICATION)


def test_a_classifier_that_says_it_suppresses_is_refused(data, tmp_path: Path):
    """`ridgepoint.json` is a text that anybody can change."""
    network = parse_network({"name": "t", "input": [3, 32, 32], "stem": [], "stages": [], "num_classes": 2}, source="t")
    about = {"network": network, "preprocessing": data[1], "labels": ["a", "b"]}
    export_artefact(build(network).eval(), tmp_path / "m.onnx", **about)
    document = tmp_path / "ridgepoint.json"
    told = json.loads(document.read_text())
    told["artefacts"]["m.onnx"]["suppression"] = {}
    document.write_text(json.dumps(told))
    with pytest.raises(InputError, match="says that it makes final boxes, but its network gives classes"):
        load_artefact(tmp_path / "m.onnx")
    told["artefacts"]["m.onnx"]["suppression"] = {"most_boxes": -1}
    document.write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"ridgepoint\.json: is damaged"):
        load_artefact(tmp_path / "m.onnx")


def test_exported_evaluated_and_asked_with_and_without(folder: Path, tmp_path: Path):
    network, run = tmp_path / "small.yaml", tmp_path / "run"
    raw = {"block": "conv", "stride": 2, "out_channels": 8}
    network.write_text(json.dumps({"name": "t", "input": [3, 32, 32], "stem": [raw], "stages": [{"blocks": [raw]}]}))
    done = call("train", network, folder, "--size", 32, "--set", "epochs=3", "--out", run)
    assert done.returncode == 0, done.stderr
    told = call("export", run, "--nms", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["nms"]["parity"]["agreement"] == 1.0 and found["parity"]["agreement"] == 1.0
    assert found["nms"]["mAP50-95"]["in_file"] == pytest.approx(found["nms"]["mAP50-95"]["outside"], abs=0.005)
    scores = [json.loads(call("eval", path, folder, "--json").stdout)["mAP50-95"] for path in (run, run / "nms")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    picture = next((folder / "images").rglob("*.png"))
    assert call("predict", run / "nms", picture).returncode == 0
    refused(call("export", run, "--nms", "--dynamic-batch"), "Suppression is of one image")
    refused(call("export", run, "--nms", "--int8"), "Give one")
