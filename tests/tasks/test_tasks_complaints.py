"""What people complain of with other detectors, each as a test; those that are not here have one where they belong.

Formats, lost labels, bad boxes and masks: tests/data. Average precision: pycocotools', in test_tasks_detection. Objects
that no anchor can match, told before a training, and anchors for small ones: there too. Suppression inside and outside
of the file: test_tasks_suppression.
"""

import importlib.metadata
import json
import re
from pathlib import Path

import box_helpers as boxes
import numpy as np
import onnxruntime
import pytest
import torch
from fences import PAGES, fences
from PIL import Image

from ridgepoint.arch.document import parse_network
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_artefact
from ridgepoint.nn.build import build
from ridgepoint.tasks.boxes.multibox import multibox
from ridgepoint.tasks.detection import DETECTION
from ridgepoint.tasks.predict import predict


def test_an_app_that_reads_the_document_alone_finds_the_same_boxes(tmp_path: Path):
    """Size, squashing, order of colours, mean and deviation, suppression: all by `ridgepoint.json` and the page."""
    boxes.make(tmp_path / "data")
    data = DETECTION.read(tmp_path / "data", seed=0, root=None)
    prepared, _ = DETECTION.input(data, 32)
    raw = {"block": "conv", "stride": 2, "out_channels": 8}
    own = parse_network({"name": "t", "input": [3, 32, 32], "stem": [raw], "stages": [{"blocks": [raw]}]}, source="t")
    torch.manual_seed(0)
    network = DETECTION.head(data).close(own)
    model = build(network).eval()
    last = model.head.classifier.scores.map0.conv
    torch.nn.init.normal_(last.weight, 0.0, 1.0)
    last.bias.data[:: len(data.classes) + 1] = 6.0  # the background's: few places are sure of something
    path = tmp_path / "m.onnx"
    about = {"network": network, "preprocessing": prepared, "labels": data.classes, "task": "detection"}
    export_artefact(model, path, **about, outputs=DETECTION.outputs)

    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)  # red, green and blue differ, and the sides
    picture = tmp_path / "wide.png"
    Image.fromarray(pixels).resize((120, 70), Image.Resampling.BICUBIC).save(picture)

    told = json.loads((tmp_path / "ridgepoint.json").read_text())["artefacts"]["m.onnx"]
    how = told["preprocessing"]
    assert how["resizing"] == "squash" and how["interpolation"] == "bilinear"
    shown = Image.open(picture).convert("RGB").resize((how["width"], how["height"]), Image.Resampling.BILINEAR)
    x_HWC = (np.asarray(shown, np.float32) / 255 - np.float32(how["mean"])) / np.float32(how["std"])
    session = onnxruntime.InferenceSession(path)
    (rows,) = session.run(told["outputs"], {session.get_inputs()[0].name: x_HWC.transpose(2, 0, 1)[None]})
    scope: dict = {}
    (page,) = (each for each in PAGES if each.name == "detection.md")
    exec(next(each.text for each in fences(page, "python") if each.title == "final_boxes.py"), scope)
    found = [(told["labels"][label], box) for box, label, _ in scope["final_boxes"](rows[0], least_score=0.4)]

    said = predict(load_artefact(path), picture).document["boxes"]
    assert 3 < len(found) < 100 and [each["label"] for each in said] == [label for label, _ in found]
    for each, (_, box) in zip(said, found, strict=True):
        assert np.allclose(each["box"], box, atol=2e-4)


def test_boxes_without_extent_give_a_finite_loss():
    """They are left out when data are read; what comes through all the same costs no training its numbers."""
    anchors = torch.tensor([[0.1, 0.1, 0.3, 0.3], [0.4, 0.4, 0.8, 0.8], [0.0, 0.0, 1.0, 1.0]])
    learnt = torch.zeros(1, 3, 7, requires_grad=True)
    rows = torch.cat([learnt[..., :4], anchors[None], learnt[..., 4:]], -1)
    for place in ([0.5, 0.5, 0.5, 0.5], [0.2, 0.2, 0.2, 0.9], [0.6, 0.6, 0.4, 0.4], [0.0, 0.0, 1e-9, 1e-9]):
        truth = torch.tensor([[[0.0, *place, 0.0], [1.0, 0.4, 0.4, 0.8, 0.8, 0.0]]])
        (gradient,) = torch.autograd.grad(multibox(rows, truth), learnt)
        assert gradient.isfinite().all(), place


def test_nothing_that_comes_along_has_a_licence_that_binds_what_is_made_with_it():
    needed = importlib.metadata.requires("ridgepoint") or []
    names = {re.split(r"[^\w.-]", each)[0] for each in needed if "extra ==" not in each}
    assert "torch" in names
    for name in names:
        told = importlib.metadata.metadata(name)
        words = " ".join([told.get("License-Expression") or "", *(told.get_all("Classifier") or [])])
        assert not re.search(r"\bA?GPL\b|Affero|GNU General Public", words), name


@pytest.mark.parametrize("count", [0, 1])
def test_an_image_where_nothing_is_says_so(count: int, tmp_path: Path):
    """Neither an error nor an empty line."""
    rows = np.zeros((1, 4, 6), np.float32)
    rows[0, :count] = [0.1, 0.1, 0.5, 0.5, 0.9, 0.0]
    (said,) = DETECTION.decode(rows, ("disc", "square"), top=1)
    assert said.text == ("1 disc" if count else "nothing") and len(said.document["boxes"]) == count
