"""What people complain of with other detectors, each as a test; those that are not here have one where they belong.

Formats, lost labels, bad boxes and masks: tests/data. Average precision: pycocotools', in test_tasks_detection. Objects
that no anchor can match, told before a training, and anchors for small ones: there too. Suppression inside and outside
of the file: test_tasks_suppression. Detectors in other runtimes: test_tasks_elsewhere, tests/testing. What a board can
bear: tests/fit/test_fit_boxes.py.
"""

import importlib.metadata
import json
import re
import time
import tomllib
from pathlib import Path

import box_helpers as boxes
import numpy as np
import onnxruntime
import pytest
import torch
from alone import run_without
from fences import PAGES, fences
from forks import forks
from mask_helpers import write_discs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from ridgepoint.arch.document import parse_network
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_artefact
from ridgepoint.nn.build import build
from ridgepoint.tasks.boxes import average_precision as scoring
from ridgepoint.tasks.boxes.final import final_boxes
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


PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_it_asks_for_no_version_that_another_package_may_exclude():
    """Detectors' toolboxes pin each other and what they were compiled against; here every bound is a lower one."""
    asked = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
    assert len(asked) > 40
    for each in map(Requirement, asked):
        assert each.url is None and {bound.operator for bound in each.specifier} == {">="}, str(each)


def brought_along() -> set[str]:
    """Packages that come with ridgepoint alone, by name; each has to fit the versions of all others."""
    found, open_ = set(), [Requirement(each) for each in PROJECT["dependencies"]]
    while open_:
        asked = open_.pop()
        if asked.marker and not asked.marker.evaluate({"extra": ""}):
            continue
        version = importlib.metadata.version(asked.name)
        assert asked.specifier.contains(version, prereleases=True), f"{asked} is asked for, and {version} is there"
        if canonicalize_name(asked.name) not in found:
            found.add(canonicalize_name(asked.name))
            open_ += map(Requirement, importlib.metadata.requires(asked.name) or [])
    return found


def test_boxes_and_masks_need_no_package_but_those_that_come_along(tmp_path: Path):
    """Trained, exported and scored where no extra and no tool of tests can be imported."""
    came = brought_along() | {"ridgepoint", "setuptools", "pip"}
    absent = {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & came
    }
    assert {"pycocotools", "timm", "pytest"} <= absent
    raw = {"block": "conv", "stride": 2, "out_channels": 8}
    network = tmp_path / "small.yaml"
    network.write_text(json.dumps({"name": "t", "input": [3, 32, 32], "stem": [raw], "stages": [{"blocks": [raw]}]}))
    boxes.make(tmp_path / "boxes")
    write_discs(tmp_path / "masks")
    commands = []
    for kind in ("boxes", "masks"):
        data, run = str(tmp_path / kind), str(tmp_path / f"of_{kind}")
        commands += [
            ["train", str(network), data, "--size", "32", "--set", "epochs=1", "--out", run],
            ["export", run],
            ["eval", run, data],
        ]
    said = tmp_path / "said.txt"
    process = forks().Process(target=run_without, args=(absent, commands, said))
    process.start()
    process.join(300)
    told = said.read_text()
    assert process.exitcode == 0 and "mAP50-95" in told and "mIoU" in told, told[-2000:]


def crowded(images: int, *, objects: int = 20, sure: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a detector that finds most of many objects and is half sure of many other places; and what is there."""
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 0.9, (images, objects, 2))
    places = np.concatenate([start, start + rng.uniform(0.03, 0.1, (images, objects, 2))], -1)
    labels = rng.integers(0, 3, (images, objects, 1))
    truth = np.concatenate([labels, places, np.zeros((images, objects, 1))], -1).astype(np.float32)
    rows = np.zeros((images, 1000, 7), np.float32)
    corner = rng.uniform(0, 0.9, (images, 1000, 2))
    rows[..., :4] = np.concatenate([corner, corner + rng.uniform(0.02, 0.1, (images, 1000, 2))], -1)
    rows[:, :objects, :4] = places + rng.normal(0, 0.004, places.shape)
    scores = rng.uniform(0.01, 0.3, (images, sure))
    scores[:, :objects] = rng.uniform(0.3, 0.99, (images, objects))
    np.put_along_axis(
        rows[:, :sure, 4:],
        np.where(np.arange(sure) < objects, np.pad(labels[..., 0], ((0, 0), (0, sure - objects))), 0)[..., None],
        scores[..., None],
        -1,
    )
    return rows, truth


@pytest.mark.clock
def test_scoring_costs_no_more_than_pycocotools_and_grows_with_the_images():
    """The whole of it, suppression too, beside their matching alone: CPU time, both in turns, the shorter of two."""
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    def theirs(rows: np.ndarray, truth: np.ndarray) -> float:
        reference = coco.COCO()
        reference.dataset = scoring._documents(truth, 3)
        found = scoring._found_documents([final_boxes(each) for each in rows])
        began = time.process_time()
        reference.createIndex()
        judge = COCOeval(reference, reference.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        return time.process_time() - began

    def ours(rows: np.ndarray, truth: np.ndarray) -> float:
        began = time.process_time()
        assert DETECTION.score(rows, truth).value > 0.3
        return time.process_time() - began

    rows, truth = crowded(80)
    few = 20
    taken = [(ours(rows, truth), ours(rows[:few], truth[:few]), theirs(rows, truth)) for _ in range(2)]
    whole, part, reference = (min(each) for each in zip(*taken, strict=True))
    assert whole < reference, f"{whole:.2f} s, where pycocotools takes {reference:.2f} s"
    assert whole < 2 * (len(rows) / few) * part, f"{whole:.2f} s for four times the images of {part:.2f} s"


def test_small_objects_are_told_before_a_training_and_scored_apart(tmp_path: Path):
    """Specks of 1 % of the image's side beside large things: what no anchor reaches, with advice; what is found."""
    drawn = boxes.draw(tmp_path / "images", 24)
    rng = np.random.default_rng(0)
    for name, objects in drawn.items():
        path = tmp_path / "images" / name
        Image.open(path).resize((360, 360)).save(path)
        corners = rng.integers(0, 355, (6, 2)).tolist()
        drawn[name] = [(label, tuple(6 * side for side in box)) for label, box in objects]
        drawn[name] += [(0, (x, y, x + 5, y + 5)) for x, y in corners]
    content = boxes.coco(drawn)
    for each in content["images"]:
        each.update(width=360, height=360)
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    data = DETECTION.read(tmp_path, seed=0, root=None)
    told = DETECTION.summary(data)
    missed = re.search(r"([\d.]+)% have none that overlaps them by an IoU of 0.5 \(disc (\d+) of (\d+)", told)
    assert missed and int(missed[2]) > 50 and "a larger --size finds more of them" in told
    truth = np.stack([data.test.truth.rows[name] for name in data.test.ids])
    rows = np.zeros((len(truth), truth.shape[1], 6), np.float32)
    for image, objects in enumerate(truth):
        for place, (label, *box, _) in enumerate(objects):
            if label >= 0 and box[2] - box[0] > 0.05:  # all but the specks
                rows[image, place, :4], rows[image, place, 4 + int(label)] = box, 0.9
    score = DETECTION.score(rows, truth)
    assert score.parts["AP_small"] == 0.0 and score.parts["AP_large"] == pytest.approx(1.0)
    (line,) = [each for each in DETECTION.tell(score, data.classes) if "By the side" in each]
    assert line == "By the side of an object in parts of the image's: up to 5% 0.0000, more 1.0000"
