"""Whole detectors and segmenters as others published them: the released weights answer as they are known to."""

import os
from pathlib import Path

import msgspec
import pytest
import torch
from cli_helpers import call, refused

from ridgepoint.arch.heads.detector import Detector
from ridgepoint.arch.heads.lraspp import LiteRAspp
from ridgepoint.arch.zoo import load
from ridgepoint.data import decode
from ridgepoint.data.boxes.reading import read_boxes
from ridgepoint.data.images import joined
from ridgepoint.errors import InputError
from ridgepoint.nn.anchored import anchor_boxes
from ridgepoint.nn.build import build
from ridgepoint.nn.published import published_weights
from ridgepoint.nn.reach import FOLDER
from ridgepoint.nn.weight_file import read_weight_file
from ridgepoint.nn.weights import load_weights
from ridgepoint.tasks.boxes.final import final_boxes
from ridgepoint.tasks.boxes.hits import precision_and_recall
from ridgepoint.tasks.segmentation import SEGMENTATION
from ridgepoint.train.start import start_from
from ridgepoint.train.whole import find_whole, load_whole

DATA = Path(os.environ.get("RIDGEPOINT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
SSD, DEEPLAB = "ssdlite_mobilenetv2_coco", "deeplabv3_mobilenetv2_voc"


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = DATA / "weights"
    if not (folder / f"{SSD}.tfjs.safetensors").is_file():
        pytest.skip(f"no real weights at {folder}; set RIDGEPOINT_TEST_DATA")
    monkeypatch.setenv(FOLDER, str(folder))
    return folder


def test_a_whole_network_has_a_name_for_every_class():
    rows = [row for row in published_weights() if row.task]
    assert {row.network for row in rows} == {SSD, DEEPLAB}
    for row in rows:
        network = load(row.network)
        assert len(set(row.labels)) == row.classes == network.num_classes and row.size == network.input[1]
        assert row.licence.open and row.padding == "same"


def test_anchors_are_those_of_the_released_file(weights: Path):
    file = read_weight_file(weights / f"{SSD}.tfjs.safetensors", "ssd")
    places_yx = file.tensors["Postprocessor.ExpandDims"][0]
    model = build(load(SSD))
    anchors = anchor_boxes(model.head.get_submodule("classifier").join.anchors, [(s, s) for s in (19, 10, 5, 3, 2, 1)])
    assert torch.allclose(anchors, places_yx[:, [1, 0, 3, 2]], atol=1e-6)


@torch.no_grad()
def test_the_released_detector_finds_what_it_is_known_to_find(weights: Path):
    """On 60 photographs of COCO, score above 0.3, IoU 0.5: precision 0.716 and recall 0.384."""
    model, known = load_whole(find_whole(SSD))
    found = read_boxes(DATA / "det_coco_free", labels=known.labels)
    split = decode(joined(list(found.given.values())), known.preprocessing, train=False)
    rows = [model(known.preprocessing.normalize(images)) for images in split.images.split(20)]
    boxes = [final_boxes(each) for each in torch.cat(rows).numpy()]
    precision, recall = precision_and_recall(boxes, split.labels.numpy(), 0.3)
    assert len(boxes) == 60 and precision == pytest.approx(0.716, abs=0.01) and recall == pytest.approx(0.384, abs=0.01)


def test_the_released_segmenter_fills_its_network_and_tells_classes(weights: Path):
    """Its parameters are all used; of photographs with people it says so."""
    model, known = load_whole(find_whole(DEEPLAB))
    assert known.labels[0] == "background" and known.preprocessing.resizing == "squash"
    for name, wanted in (("000000000785", "person"), ("000000007281", "horse"), ("000000002592", "dining table")):
        (path,) = (DATA / "det_coco_free").rglob(f"{name}.jpg")
        with torch.no_grad():
            answer = model(torch.from_numpy(known.preprocessing(path))).numpy()
        shares = SEGMENTATION.decode(answer, known.labels, top=1)[0].document["shares"]
        assert max((share, name) for name, share in shares.items() if name != "background")[1] == wanted


def test_weights_of_a_whole_detector_start_others(weights: Path):
    """With other classes, all but these; with another head, the body; other bodies are refused as ever."""
    path = weights / f"{SSD}.tfjs.safetensors"
    own = load(SSD).with_classes(3)
    own = msgspec.structs.replace(own, head=own.head.to_learn())
    assert own.head.scores == "softmax"
    model = build(own)
    report = load_weights(model, path)
    assert len(report.reset) == 12 and all(".scores." in key and ".conv." in key for key in report.reset)
    for head in (Detector(), LiteRAspp(low=8)):
        other = build(msgspec.structs.replace(load("tf_mobilenetv2_100").at(height=64), head=head, num_classes=3))
        report = load_weights(other, path)
        assert report.reset and all(key.startswith("head.") for key in report.reset)
        assert torch.equal(other.stem[0].conv.weight, model.stem[0].conv.weight)
    with pytest.raises(InputError, match="these weights are not those of"):
        load_weights(build(load("tf_mobilenetv3_small_100")), path)


def test_names_of_a_whole_network_start_others_with_its_body(weights: Path):
    """As its file does; a network that pads otherwise is refused by the name. A file's name is a name, too."""
    for name in (SSD, f"{SSD}.tfjs", f"{DEEPLAB}.tfjs"):
        start = start_from(name, network="tf_mobilenetv2_100")
        assert Path(start.path).parent == weights and name in start.name and start.normalisation is not None
        with pytest.raises(InputError, match="not of mobilenetv2_100"):
            start_from(name, network="mobilenetv2_100")
    names = ("mobilenetv2_100.tf_in1k_from_int8", "tf_mobilenetv2_100.tf_in1k_from_int8", "tf_in1k_from_int8")
    assert {start_from(name, network="tf_mobilenetv2_100").name for name in names} == {names[1]}


def test_published_weights_become_a_file_that_is_asked(weights: Path, tmp_path: Path):
    picture = next((DATA / "det_coco_free/images").rglob("000000000285.jpg"))
    out = tmp_path / "coco.onnx"
    assert call("export", SSD, "--out", out).returncode == 0
    assert "1 bear" in call("predict", out, picture).stdout
    refused(call("export", SSD, "--int8"), "Train from it on images of your own")
    assert "no names for what they answer" in refused(call("export", "mobilenetv2_100"))
