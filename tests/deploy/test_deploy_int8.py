"""int8: what is made of a float file, what the gate lets through, and how it refuses."""

import json
import re
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
import torch
from cli_helpers import call, refused
from onnxruntime.quantization import QuantType, quantize_static
from PIL import Image
from train_helpers import small_network

import ridgepoint as rp
from ridgepoint.arch.document import parse_network
from ridgepoint.cost.host import overflows_in
from ridgepoint.data import choose_input, decode, detect
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.deploy import quantize
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.companion import read_entry
from ridgepoint.deploy.compare import Verdict
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.places.place import LOCAL
from ridgepoint.deploy.quantize import gate
from ridgepoint.deploy.quantize.calibration import calibration_of, stratified
from ridgepoint.deploy.quantize.gate import FEWEST_WATCHED, Judges, quantise
from ridgepoint.deploy.quantize.onnxruntime import OnnxRuntimeQuantizer, _Reader, after_the_layers
from ridgepoint.deploy.quantize.paired import change_between, change_of_score, images_needed
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.documents import dump_document
from ridgepoint.errors import InputError, NotMetError
from ridgepoint.fit.frozen import linear_classifier, put
from ridgepoint.nn.build import build
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.tasks.int8 import change_in
from ridgepoint.train.batches import training_data
from ridgepoint.train.folder import About, load_training, save_training

DIGITS = detect("digits", seed=0)
PREPROCESSING = choose_input(DIGITS, size=16)[0]
CONVOLUTION = {"block": "conv", "kernel": 3, "out_channels": 64}
WIDE = {
    "name": "wide",
    "input": [1, 16, 16],
    "num_classes": 10,
    "stem": [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": 32}],
    "stages": [{"blocks": [CONVOLUTION, CONVOLUTION]}],
    "head": {"head": "pooled", "conv_channels": 64},
}


def taught(folder: Path, network, *, change=lambda model: None) -> Path:
    """A network whose classifier alone knows the digits, as a training leaves it; in seconds."""
    torch.manual_seed(0)
    model, data = build(network).eval(), training_data(DIGITS, PREPROCESSING)
    change(model)
    found = linear_classifier(model, data.train, data.val, PREPROCESSING, classes=10)
    put(model, found)
    about = About(
        labels=DIGITS.classes,
        preprocessing=PREPROCESSING,
        val_accuracy=found.val_accuracy,
        steps=0,
        seconds=1.0,
        data=TrainedOn.of(DIGITS, 0),
    )
    save_training(folder, model, about)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has learnt the digits: what int8 costs a network of random weights says nothing."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "wide.yaml").write_text(dump_document(WIDE))
    changes = ("--set", "epochs=10", "--set", "ema=null")
    done = call("train", folder / "wide.yaml", "digits", "--size", "16", *changes, "--out", folder / "wide")
    assert done.returncode == 0, done.stderr
    return folder / "wide"


@pytest.fixture(scope="module")
def source(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("float") / "model.onnx"
    model, about = load_training(run)
    export_artefact(model, path, network=model.network, preprocessing=PREPROCESSING, labels=about.labels)
    return path


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """By whose clock int8 takes half as long, as on processors made for it: what is told here is how good it is."""
    verdict = Verdict(first="int8", second="float", ratio=0.5, p=0.0, differ=True)
    monkeypatch.setattr(gate, "compare", lambda rounds: [verdict])


def judged(source: Path, target: Path, *, images: int, split: str = "test", time_left=lambda: True, **more):
    part = decode(DIGITS.test.at(np.arange(images)), PREPROCESSING, train=False)
    judges = Judges(
        images=part, split=split, change=change_in(CLASSIFICATION, split), agree=CLASSIFICATION.agree, busy=True, **more
    )
    calibration = calibration_of(DIGITS.train, PREPROCESSING, seed=0)
    runtime = find_runtime("onnxruntime")
    return quantise(source, target, runtime=runtime, calibration=calibration, judges=judges, time_left=time_left)


def test_the_interval_of_a_change_is_that_of_its_source_and_needs_images_even_where_nothing_changes():
    right = np.ones(98, bool)
    change = change_between(right, right, split="val")
    assert (change.value, change.count) == (0.0, 98)
    assert change.low == pytest.approx(-1.645 * np.sqrt(2 / 100 / 100)) and change.high == pytest.approx(-change.low)
    before, after = np.repeat([True, False, True], [10, 2, 188]), np.repeat([False, True, True], [10, 2, 188])
    change = change_between(before, after, split="val")
    assert change.value == pytest.approx(-8 / 200) and change.low < -0.06 < change.value < change.high < 0
    assert images_needed(change, 0.01) is None and images_needed(change, 0.05) > 200


def test_calibration_images_are_of_train_alone_of_all_classes_and_the_same_again():
    first, again, other = (calibration_of(DIGITS.train, PREPROCESSING, seed=seed) for seed in (3, 3, 4))
    assert first.about == again.about and first.about.digest != other.about.digest and first.about.count == 128
    labels = np.repeat([0, 1, 2], [100, 50, 3])
    order = stratified(labels, 0)
    assert sorted(order) == list(range(153))
    assert np.bincount(labels[order[:9]]).tolist() == [3, 3, 3] and np.bincount(labels[order[:29]]).tolist() == [
        13,
        13,
        3,
    ]


@pytest.mark.clock
def test_a_file_that_is_as_good_faster_and_smaller_ships_with_all_that_is_known_of_it(run: Path):
    done = call("export", run, "--int8", "--data", "digits", "--max-drop", "2", "--busy", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    found, path = told["int8"], Path(told["int8"]["file"])
    assert path == run / "int8" / "model.onnx" and Path(told["file"]) == run / "model.onnx"
    assert found["accepted"] and found["ratio"] < 1 and found["int8_bytes"] < found["float_bytes"] / 2
    assert found["change"]["count"] == len(DIGITS.val) + len(DIGITS.test) and found["change"]["low"] > -0.02
    assert sum(each["share"] for each in found["sensitivity"]) == pytest.approx(1)
    entry = read_entry(path)
    assert entry.precision == "int8" and entry.quantisation.calibrated.count == 128
    assert entry.quantisation.calibrated == calibration_of(DIGITS.train, PREPROCESSING, seed=0).about
    artefact = load_artefact(run / "int8")
    assert artefact.session.precision == "int8" and load_artefact(run).session.precision == "float32"
    scales = [tensor for tensor in onnx.load(path).graph.initializer if tensor.name.endswith("weight_scale")]
    assert scales and all(tensor.dims for tensor in scales[:-1]), "every weight has a scale for each channel"
    seen = json.loads(call("eval", path, "digits", "--json").stdout)
    assert seen["precision"] == "int8" and seen["split"] == "test" and seen["accuracy"] > 0.9


@pytest.mark.usefixtures("faster")
def test_too_few_images_to_tell_are_no_pass(source: Path, tmp_path: Path):
    found = judged(source, tmp_path / "int8" / "model.onnx", images=40)
    assert not found.accepted and not (tmp_path / "int8" / "model.onnx").exists()
    assert "40 test images are too few to tell that int8 loses less than 1.0 points" in found.reason
    assert "accept this uncertainty with --max-drop" in found.advice
    mixed = [each.left_float for each in found.attempts if each.left_float]
    assert len(found.attempts) > len(mixed) > 0 and mixed[0] == (found.sensitivity[0].layer,)
    assert sum(each.share for each in found.sensitivity) == pytest.approx(1)
    lenient = judged(source, tmp_path / "int8" / "model.onnx", images=40, strict=False)
    assert lenient.accepted and lenient.reason and load_artefact(tmp_path / "int8").session.precision == "int8"


@pytest.mark.usefixtures("faster")
def test_where_time_is_short_the_first_recipe_is_tried_and_nothing_else(source: Path, tmp_path: Path):
    left = iter([True, True, False])
    found = judged(source, tmp_path / "model.onnx", images=40, time_left=lambda: next(left))
    assert len(found.attempts) == 3 and found.hurried and not found.accepted
    found = judged(source, tmp_path / "model.onnx", images=40, time_left=lambda: False)
    assert len(found.attempts) == 1 and found.hurried and not found.sensitivity
    assert "; there was time for 1 recipe alone" in found.reason and "--time" in found.advice
    lenient = judged(source, tmp_path / "model.onnx", images=40, time_left=lambda: False, strict=False)
    assert lenient.accepted and load_artefact(tmp_path / "model.onnx").session.precision == "int8"


class Elsewhere(type(LOCAL)):
    """A device on which int8 answers what float does not."""

    def open(self, path: Path, **how):
        session = super().open(path, **how)
        if session.precision == "int8":
            right = session.run
            session.run = lambda x_BCHW: -right(x_BCHW)
        return session


@pytest.mark.usefixtures("faster")
def test_a_file_is_judged_by_what_it_answers_on_the_device(source: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(quantize.QUANTIZERS, "onnxruntime", f"{__name__}:PerTensor")
    found = judged(source, tmp_path / "int8" / "model.onnx", images=100, strict=False, place=Elsewhere())
    assert not found.accepted and found.outcome == "loses" and found.change.value < -0.5
    assert not (tmp_path / "int8" / "model.onnx").exists()


def uneven(run: Path):
    """The trained network, the same function in float: some channels a thousandfold, and as much less after them."""
    model, about = load_training(run)
    with torch.no_grad():
        convolutions = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
        norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        norms[1].weight[::2] *= 1000
        norms[1].bias[::2] *= 1000
        convolutions[2].weight[:, ::2] /= 1000
    return model, about


def exported(model, about, path: Path, *, calibration: str | None = "digits", **more) -> Path:
    """As Python asks for int8."""
    known = {"network": model.network, "preprocessing": about.preprocessing, "labels": about.labels}
    return rp.export(model, path, precision="int8", calibration=calibration, busy=True, **known, **more)


@pytest.mark.usefixtures("faster")
def test_the_allowance_that_a_refusal_advises_is_enough_and_the_report_tells_of_both(run: Path, tmp_path: Path):
    folder = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("int8"))
    words = ("export", folder, "--int8", "--data", "digits", "--busy", "--max-drop")
    refusal = call(*words, "0.1")
    assert (
        refusal.returncode == 3 and "images are too few to tell that int8 loses less than 0.1 points" in refusal.stdout
    )
    (advised,) = re.findall(r"--max-drop ([\d.]+)", refusal.stdout)
    page = report(folder)
    assert "Refused: " in page and "too few to tell" in page and "What int8 costs where" in page
    assert "stem.0.conv" in page and not (folder / "int8" / "model.onnx").exists()
    done = call(*words, advised, "--force")
    assert done.returncode == 0, done.stdout
    page = report(folder)
    assert "Refused: " not in page and "What int8 costs where" in page and "points on" in page


def report(folder: Path) -> str:
    done = call("report", folder)
    assert done.returncode == 0, done.stderr
    return re.sub(r"\s+", " ", (folder / "report.html").read_text())


@pytest.mark.usefixtures("faster")
def test_one_scale_for_all_channels_of_weights_is_refused(run: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(quantize.QUANTIZERS, "onnxruntime", f"{__name__}:PerTensor")
    with pytest.raises(NotMetError, match=r"model\.onnx: not written\. int8 loses .* and 1\.0 are allowed") as refusal:
        exported(*uneven(run), tmp_path / "model.onnx")
    assert "--max-drop" in str(refusal.value) and not list(tmp_path.iterdir())


@pytest.mark.usefixtures("faster")
def test_uneven_channels_between_convolutions_are_equalised_where_nothing_else_helps(run: Path, tmp_path: Path):
    path = exported(*uneven(run), tmp_path / "model.onnx", max_drop=2.0)
    found = read_entry(path).quantisation
    assert found.recipe.startswith("min-max, equalised") and not found.left_float and found.agreement > 0.97
    *others, last = found.attempts
    unequal = [each.outcome for each in others if "equalised" not in each.recipe]
    assert len(unequal) >= 2 and set(unequal) == {"loses"} and last.outcome == "passed"


@pytest.mark.usefixtures("faster")
@pytest.mark.parametrize("overflows", [False, True])
def test_weights_of_7_bits_are_tried_for_a_device_whose_sums_overflow_whatever_this_machine_does(
    source: Path, tmp_path: Path, overflows: bool
):
    place = type("There", (type(LOCAL),), {"overflows": overflows})()
    found = judged(source, tmp_path / "int8" / "model.onnx", images=40, most_drop=-1.0, place=place)
    assert found.overflows is overflows and found.outcome == "loses"
    assert any("7-bit" in each.recipe for each in found.attempts) is overflows


def test_which_processors_let_sums_overflow():
    told = [("flags : avx2 avx512_vnni", "x86_64"), ("flags : avx2", "x86_64"), ("", "AMD64"), ("", "aarch64")]
    assert [overflows_in(*each) for each in told] == [False, True, True, False]


OUTLIERS = {
    "name": "outliers",
    "input": [1, 16, 16],
    "num_classes": 10,
    "stem": [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": width} for width in (32, 64)],
    "stages": [{"blocks": [{"block": "fused_ib", "expand_channels": 64, "out_channels": 64}] * 3}],
    "head": {"head": "pooled", "conv_channels": 64},
}


@pytest.mark.usefixtures("faster")
def test_an_activation_with_outliers_is_refused(tmp_path: Path):
    """One channel of a sum, of which no pair of convolutions has a say, is ten thousand times what the others are."""
    folder = taught(tmp_path, parse_network(OUTLIERS, source="outliers"), change=with_outliers)
    done = call("export", folder, "--int8", "--data", "digits", "--busy", "--json")
    assert done.returncode == 3 and "Not in int8: int8 loses" in done.stderr and "norms: sum" in done.stderr
    found = json.loads(done.stdout)["int8"]
    assert found["file"] is None and found["outcome"] == "loses" and found["change"]["high"] < -0.01
    tried = [(each["recipe"], len(each["left_float"]), each["outcome"]) for each in found["attempts"]]
    assert [count for _, count, _ in tried][-2:] == [1, 4] and {outcome for *_, outcome in tried} == {"loses"}


def with_outliers(model) -> None:
    writers = [model.stem[-1].norm, *(block.body.project.norm for block in model.stages[0])]
    readers = [*(block.body.expand.conv for block in model.stages[0]), model.head.conv.conv]
    with torch.no_grad():
        for norm in writers:
            norm.weight[0] *= 1e4
            norm.bias[0] *= 1e4
        for conv in readers:
            conv.weight[:, 0] /= 1e4


class PerTensor(OnnxRuntimeQuantizer):
    methods = ("min-max",)

    def write(self, recipe, path, *, about):
        quantize_static(
            self._prepared,
            path,
            _Reader(self._input, self._images[:32]),
            per_channel=False,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        model = onnx.load(path)
        onnx.helper.set_model_props(model, {f"ridgepoint.{name}": text for name, text in about.texts().items()})
        onnx.save(model, path)

    def sensitivity(self, images, *, method=None):
        return ()


class Watching(OnnxRuntimeQuantizer):
    watched: ClassVar[list[tuple[int, str | None]]] = []

    def sensitivity(self, images, *, method=None):
        self.watched.append((len(images), method))
        return super().sensitivity(images, method=method)


@pytest.mark.usefixtures("faster")
def test_layers_are_looked_at_by_few_images_where_no_file_depends_on_them(source: Path, tmp_path: Path, monkeypatch):
    """Each layer costs a run of all of them: of a large detector, minutes after the verdict."""
    monkeypatch.setitem(quantize.QUANTIZERS, "onnxruntime", f"{__name__}:Watching")
    found = judged(source, tmp_path / "int8" / "model.onnx", images=100, most_drop=0.5)
    assert found.accepted and found.sensitivity and Watching.watched == [(FEWEST_WATCHED, found.recipe)]


@pytest.mark.clock
def test_int8_that_is_slower_is_refused_and_float_stays(tmp_path: Path):
    folder = taught(tmp_path, small_network())
    done = call("export", folder, "--int8", "--data", "digits", "--busy")
    assert done.returncode == 3 and (folder / "model.onnx").exists() and not (folder / "int8" / "model.onnx").exists()
    assert (
        "Not in int8: int8 takes" in done.stdout and "as long as float" in done.stdout and "Keep float" in done.stdout
    )


def test_python_asks_for_the_images_of_the_training(run: Path, tmp_path: Path):
    with pytest.raises(InputError, match="give the data of the training as calibration"):
        exported(*load_training(run), tmp_path / "model.onnx", calibration=None)


def test_what_cannot_be_asked_is_said(run: Path, tmp_path: Path):
    refused(call("export", run, "--int8", "--runtime", "torch"), "has no int8 here", "onnxruntime")
    refused(call("export", run, "--int8", "--dynamic-batch"), "--dynamic-batch", "one")
    (tmp_path / "bare").mkdir()
    bare = taught(tmp_path / "bare", small_network())
    refused(call("export", bare, "--int8"), "--data FOLDER")
    rng = np.random.default_rng(0)
    for name in DIGITS.classes:
        (tmp_path / "others" / name).mkdir(parents=True)
        for index in range(12):
            Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(tmp_path / "others" / name / f"{index}.png")
    refused(call("export", run, "--int8", "--data", tmp_path / "others"), "not the images that the network was trained")


def test_the_interval_of_a_score_is_that_of_a_mean_where_it_is_one():
    """Of a mean over images the jackknife gives the standard error of the paired differences, but for the groups."""
    rng = np.random.default_rng(0)
    before, truth = rng.random((400, 1)), np.zeros(400)
    after = before - 0.02 + 0.05 * rng.standard_normal((400, 1))
    means = lambda answers, _, choices: [float(answers[kept].mean()) for kept in choices]  # noqa: E731
    change = change_of_score(means, before, after, truth, metric="mIoU", split="val")
    assert (change.metric, change.count) == ("mIoU", 400)
    assert change.value == pytest.approx((after - before).mean())
    error = (after - before).std(ddof=1) / 20
    assert (change.value - change.low) / (1.73 * error) == pytest.approx(1, abs=0.4)
    assert change.high - change.value == pytest.approx(change.value - change.low)
    few = change_of_score(means, before[:19], after[:19], truth[:19], metric="m", split="v")
    assert (few.low, few.high) == (-1.0, 1.0)


def test_what_follows_the_last_layers_stays_in_float(tmp_path: Path):
    """By hand: a convolution, an addition, a convolution, and two ways from there."""
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="first"),
        node("Add", ["a", "b"], ["c"], name="between"),
        node("Conv", ["c", "v"], ["d"], name="last"),
        node("Mul", ["d", "s"], ["e"], name="decode"),
        node("Sigmoid", ["d"], ["f"], name="score"),
        node("Concat", ["e", "f"], ["y"], name="join"),
    ]
    assert sorted(after_the_layers(nodes)) == ["decode", "join", "score"]
