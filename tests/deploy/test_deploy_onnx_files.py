"""ONNX files from anywhere: weights beside them, strange graphs, damaged contents, and our own after other tools."""

import inspect
import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from cli_helpers import call, noise, refused
from foreign_onnx import changed, endless, metadata_of, relu, save, tensor, with_weights_at, with_weights_beside
from onnx import TensorProto, helper
from train_helpers import small_network

from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.runtimes import onnx_session, open_session
from ridgepoint.distill.teachers import open_teacher
from ridgepoint.errors import DataError, InputError
from ridgepoint.tasks.predict import predict


@pytest.fixture
def beside(exported: Path, tmp_path: Path) -> Path:
    """The exported file with its weights in a file beside it."""
    (tmp_path / "model").mkdir()
    return with_weights_beside(exported, tmp_path / "model" / "m.onnx")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    return relu(tmp_path / "good.onnx", [1, 3, 8, 8])


def test_the_exporter_reads_its_translations_once(exported, trained, data, tmp_path, monkeypatch):
    """They are some 500 functions, whose sources take it two seconds."""
    read: list[object] = []
    getsource = inspect.getsource
    monkeypatch.setattr(inspect, "getsource", lambda what: read.append(what) or getsource(what))
    about = {"network": small_network(), "preprocessing": data.preprocessing, "labels": tuple("0123456789")}
    export_artefact(trained, tmp_path / "again.onnx", **about)
    assert len(read) < 100


def test_weights_are_read_beside_the_file_whatever_the_working_folder(exported, beside, data, tmp_path, monkeypatch):
    """The working folder holds other weights under the same name."""
    expected = load_artefact(exported).logits(data.val.images[:4].numpy())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "weights.bin").write_bytes(bytes(len((beside.parent / "weights.bin").read_bytes())))
    for folder in (elsewhere, beside.parent, Path("/")):
        monkeypatch.chdir(folder)
        np.testing.assert_array_equal(load_artefact(beside).logits(data.val.images[:4].numpy()), expected)
    monkeypatch.chdir(beside.parent)
    np.testing.assert_array_equal(load_artefact("m.onnx").logits(data.val.images[:4].numpy()), expected)


def test_weights_beside_are_counted(beside: Path):
    whole = beside.stat().st_size + (beside.parent / "weights.bin").stat().st_size
    assert measure({"m": beside}, rounds=3, round_s=0.001)["m"].file_bytes == whole


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "link.bin", "sub/../../secret.bin"])
def test_weights_outside_the_files_folder_are_never_read(beside: Path, location: str):
    (beside.parent / "sub").mkdir()
    (beside.parent.parent / "secret.bin").write_bytes((beside.parent / "weights.bin").read_bytes())
    (beside.parent / "link.bin").symlink_to(beside.parent.parent / "secret.bin")
    with pytest.raises(InputError, match=r"m\.onnx: keeps the tensor .* outside its own folder"):
        load_artefact(with_weights_at(beside, location))


def test_missing_weights_and_pipes_in_their_place_are_named(beside: Path):
    with pytest.raises(InputError, match=r"m\.onnx: its weights lie in the file 'gone\.bin', which must be beside it"):
        load_artefact(with_weights_at(beside, "gone.bin"))
    os.mkfifo(beside.parent / "pipe.bin")
    with pytest.raises(InputError, match=r"m\.onnx: keeps the tensor .* in 'pipe\.bin', which is no regular file"):
        load_artefact(with_weights_at(beside, "pipe.bin"))


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a pointer that Git LFS left"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG image"),
        (b"\x1f\x8b\x08\0", "is compressed by gzip"),
        ("pipe", "is no regular file"),
        ("device", "is no regular file"),
        ("folder", "is a folder"),
    ],
)
def test_what_is_no_model_is_told_as_what_it_is(tmp_path: Path, suffix: str, content: bytes | str, told: str):
    path = tmp_path / f"m{suffix}"
    make = {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}
    make[content](path) if isinstance(content, str) else path.write_bytes(content)
    with pytest.raises(InputError, match=rf"m\{suffix}: {told}"):
        open_session(path, runtime="torch" if suffix == ".pt2" else "onnxruntime")


def _no_input(path: Path) -> Path:
    return save(path, [helper.make_node("Relu", ["w"], ["y"])], [], [tensor("y", [1])], {"w": np.ones(1, np.float32)})


def _two_inputs(path: Path) -> Path:
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    return save(path, nodes, [tensor("a", [1, 4]), tensor("b", [1, 4])], [tensor("y", [1, 4])])


def _sequence(path: Path) -> Path:
    told = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    return save(path, [helper.make_node("SequenceConstruct", ["x"], ["y"])], [tensor("x", [1, 4])], [told])


def _no_numbers(path: Path) -> Path:
    nodes = [helper.make_node("Abs", ["x"], ["z"]), helper.make_node("Neg", ["z"], ["n"])]
    return save(
        path, [*nodes, helper.make_node("Sqrt", ["n"], ["y"])], [tensor("x", [1, 3, 8, 8])], [tensor("y", [1, 3, 8, 8])]
    )


STRANGE = {
    "batch of 8": (lambda path: relu(path, [8, 3, 8, 8]), "takes 8 images at once. Allowed: a batch of 1"),
    "double": (lambda path: relu(path, [1, 3, 8, 8], TensorProto.DOUBLE), "takes tensor(double)"),
    "scalar": (lambda path: relu(path, []), "takes tensor(float) of shape []"),
    "open size": (lambda path: relu(path, [1, 3, "h", "w"]), "leaves its input size open"),
    "75 GiB": (lambda path: relu(path, [1, 3, 82_000, 82_000]), "Allowed: up to 256 MiB each"),
    "no input": (_no_input, "takes 0 inputs (none)"),
    "two inputs": (_two_inputs, "takes 2 inputs (a, b)"),
    "sequence": (_sequence, "gives y seq(tensor(float))"),
    "no numbers": (_no_numbers, "answers with values that are infinite or no numbers"),
    "endless": (endless, "has a loop that did not end within 0.3 s"),
    "empty": (lambda path: (path.write_bytes(b"") and path) or path, "is empty"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_bench_names_a_file_that_it_cannot_run_and_clocks_the_others(foreign, tmp_path, monkeypatch, kind: str):
    monkeypatch.setattr(onnx_session, "LOOP_LIMIT_S", 0.3)
    make, told = STRANGE[kind]
    path = make(tmp_path / "strange.onnx")
    done = call("bench", foreign, path, "--rounds", "8", "--busy", "--json")
    assert done.returncode == 2 and done.stderr.count("ridgepoint: ") == 1, done.stderr
    assert f"{path}: " in done.stderr and told in done.stderr and "The others were clocked" in done.stderr
    found = json.loads(done.stdout)
    assert [row["model"] for row in found["rows"]] == [str(foreign)]
    assert told in found["refused"][str(path)]
    refused(call("bench", path, "--rounds", "8", "--busy"), told)


def test_several_outputs_and_other_ranks_can_be_clocked(tmp_path: Path):
    nodes = [helper.make_node("Split", ["x"], ["a", "b"], axis=1)]
    two = save(tmp_path / "two.onnx", nodes, [tensor("x", [1, 8])], [tensor("a", [1, 4]), tensor("b", [1, 4])])
    assert call("bench", two, relu(tmp_path / "tokens.onnx", ["n", 9, 8]), "--rounds", "8", "--busy").returncode == 0


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"labels": json.dumps(["a", "b"])}, "has 2 labels, but its network 10 classes"),
        ({"labels": "[]"}, "has 0 labels"),
        ({"labels": "[1, 2]"}, "its labels in the metadata cannot be read"),
        ({"labels": "[" * 50_000}, "its labels in the metadata cannot be read"),
        ({"network": "{}"}, "its network in the metadata cannot be read"),
        ({"trained_on": "x"}, "its trained_on in the metadata cannot be read"),
        ({"preprocessing": "height"}, "its preprocessing in the metadata cannot be read"),
    ],
)
def test_metadata_that_contradict_the_graph_are_refused(exported: Path, tmp_path: Path, metadata, told: str):
    with pytest.raises(InputError, match=rf"changed\.onnx: {told}"):
        load_artefact(changed(exported, tmp_path / "changed.onnx", **metadata))


@pytest.mark.parametrize("field", [{"height": 8}, {"channels": 3, "mean": [0] * 3, "std": [1] * 3}])
def test_another_input_than_the_graphs_is_refused(exported: Path, tmp_path: Path, field: dict):
    stored = json.loads(metadata_of(exported)["ridgepoint.preprocessing"])
    path = changed(exported, tmp_path / "changed.onnx", preprocessing=json.dumps(stored | field))
    with pytest.raises(InputError, match=r"graph takes images of \(1, 16, 16\), but its preprocessing says"):
        load_artefact(path)


@pytest.mark.parametrize("field", [{"resize": 10**18}, {"height": 0}, {"std": [1e999]}, {"mean": [0.5, 0.5]}])
def test_preprocessing_that_no_image_could_be_given_is_refused(field: dict):
    good = {"height": 8, "width": 8, "channels": 1, "resize": 8, "mean": [0.5], "std": [0.5]}
    Preprocessing.from_json(json.dumps(good))
    with pytest.raises(DataError, match="preprocessing"):
        Preprocessing.from_json(json.dumps(good | field).replace("Infinity", "1e999"))


def test_answers_of_another_shape_are_refused(exported: Path, tmp_path: Path):
    model = onnx.load(exported)
    model.graph.node.append(helper.make_node("Unsqueeze", ["logits", "axes"], ["more"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2]), "axes"))
    model.graph.output[0].CopyFrom(tensor("more", [1, 10, 1]))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"gives float32 of shape \(1, 10, 1\) for one image. Allowed: float32 logits"):
        load_artefact(tmp_path / "m.onnx")


def test_answers_that_are_no_numbers_are_refused_by_every_verb(exported: Path, tmp_path: Path):
    path, image = tmp_path / "m.onnx", tmp_path / "x.png"
    model = onnx.load(exported)
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight.flat[0] = np.nan
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, model.graph.initializer[0].name))
    onnx.save(model, path)
    noise(0, "L").save(image)
    for words in (["predict", path, image], ["predict", path, image, "--json"], ["eval", path, "digits"]):
        refused(call(*words), "m.onnx: answers with values that are infinite or no numbers")
    refused(
        call("bench", path, "--rounds", "8", "--busy"), "m.onnx: answers with values that are infinite or no numbers"
    )


def test_a_softmax_in_the_graph_is_not_applied_twice(exported: Path, tmp_path: Path):
    image = tmp_path / "x.png"
    noise(0, "L").save(image)
    model = onnx.load(exported)
    model.graph.node.append(helper.make_node("Softmax", ["logits"], ["shares"], axis=1))
    model.graph.output[0].name = "shares"
    onnx.save(model, tmp_path / "m.onnx")
    assert not load_artefact(exported).probabilities and load_artefact(tmp_path / "m.onnx").probabilities
    files = (exported, tmp_path / "m.onnx")
    expected, found = (predict(load_artefact(each), image, top=10).document["top"] for each in files)
    assert [each["label"] for each in found] == [each["label"] for each in expected]
    shares = [[each["probability"] for each in said] for said in (found, expected)]
    assert shares[0] == pytest.approx(shares[1], abs=1e-5)


def test_a_softmax_in_a_teachers_graph_is_undone(exported: Path, tmp_path: Path, data):
    """Distillation needs logits: a softmax of probabilities would be nearly flat."""
    model = onnx.load(exported)
    model.graph.node.append(helper.make_node("Softmax", ["logits"], ["shares"], axis=1))
    model.graph.output[0].name = "shares"
    onnx.save(model, tmp_path / "m.onnx")
    images = data.preprocessing.normalize(data.val.images[:8])
    answers = [
        open_teacher(str(each), tuple(map(str, range(10)))).forward(images) for each in (exported, tmp_path / "m.onnx")
    ]
    torch.testing.assert_close(answers[0].log_softmax(1), answers[1].log_softmax(1), rtol=1e-3, atol=1e-3)


def test_a_few_bytes_that_ask_for_gigabytes_are_refused(exported: Path, tmp_path: Path):
    model = onnx.load(exported)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 10**9]), "size"))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["size"], ["large"]))
    model.graph.node.append(helper.make_node("ReduceMax", ["large"], ["zero"], keepdims=0))
    model.graph.node.append(helper.make_node("Add", ["logits", "zero"], ["sum"]))
    model.graph.output[0].name = "sum"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"m\.onnx: ONNX Runtime cannot run it: .*memory"):
        load_artefact(tmp_path / "m.onnx")


@pytest.mark.parametrize("prepare", [False, True], ids=["plain", "pre-processed"])
def test_the_runtimes_own_quantiser_takes_our_files(exported: Path, data, tmp_path: Path, prepare: bool):
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, out = shutil.copyfile(exported, tmp_path / "m.onnx"), tmp_path / "int8.onnx"
    if prepare:
        quant_pre_process(source, tmp_path / "ready.onnx")
        source = tmp_path / "ready.onnx"
    quantize_dynamic(source, out)
    assert out.stat().st_size < exported.stat().st_size
    artefact = load_artefact(out)
    assert artefact.session.precision == "int8" and load_artefact(exported).session.precision == "float32"
    images = data.val.images[:100].numpy()
    same = artefact.logits(images).argmax(1) == load_artefact(exported).logits(images).argmax(1)
    assert same.mean() > 0.9


def test_no_shape_of_a_weight_is_told_twice(exported: Path):
    graph = onnx.load(exported).graph
    assert not {info.name for info in graph.value_info} & {weight.name for weight in graph.initializer}


def test_many_images_go_through_in_chunks(trained, data, tmp_path: Path, monkeypatch):
    path = tmp_path / "m.onnx"
    labels = tuple(map(str, range(10)))
    export_artefact(
        trained, path, network=small_network(), preprocessing=data.preprocessing, labels=labels, batch="dynamic"
    )
    artefact, sizes = load_artefact(path), []
    run = artefact.session.run
    monkeypatch.setattr(artefact.session, "run", lambda x: (sizes.append(len(x)), run(x))[1])
    images = data.train.images[:200]
    found = artefact.logits(images[:, :, :16, :16].contiguous().numpy())
    assert found.shape == (200, 10) and sizes == [64, 64, 64, 8]
    with torch.no_grad():
        expected = trained(data.preprocessing.normalize(images[:, :, :16, :16])).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
