"""ONNX files, ours and strangers': broken bytes, changed graphs, shapes, metadata, and weights that lie elsewhere."""

import contextlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from harness import Case
from mutate import VALUES, document
from onnx import TensorProto, helper, numpy_helper
from tiny_models import CLASSES, TEXTS, image, mutated_bytes, onnx_bytes

OPSET = {"opset_imports": [helper.make_opsetid("", 17)], "ir_version": 9}
OPERATORS = (
    "Relu",
    "Loop",
    "If",
    "Scan",
    "Expand",
    "Tile",
    "Resize",
    "Softmax",
    "Reshape",
    "Gather",
    "NonZero",
    "Nope",
)
SIZES = (0, 1, 2, 3, 7, 8, 16, 224, 100_000, -1, 2**31, 2**62)
PLACES = (
    "../w.bin",
    "/etc/passwd",
    "/dev/zero",
    "w.bin",
    "pipe.bin",
    "missing.bin",
    "",
    ".",
    "*/_ORT_MEM_ADDR_/*",
    "a\0b",
)
DOCUMENTS = ("labels", "preprocessing", "network", "version", "trained_on")


def make(rng: random.Random, folder: Path) -> Case:
    """A changed file under one of the verbs that open it."""
    path = folder / "m.onnx"
    rng.choice((_bytes, _graph, _graph, _shapes, _metadata, _metadata, _weights, _strange))(rng, path)
    image(folder / "x.png")
    (folder / "photos" / CLASSES[0]).mkdir(parents=True)
    image(folder / "photos" / CLASSES[0] / "x.png")
    words = rng.choice(  # not `bench`, which takes its time over a good file
        (
            ["predict", "m.onnx", "x.png"],
            ["predict", "m.onnx", "x.png", "--json", "--top", 9],
            ["eval", "m.onnx", "photos"],
        )
    )
    return Case(words=words, names="" if words[0] == "eval" else "m.onnx")


def _ours() -> onnx.ModelProto:
    return onnx.ModelProto.FromString(onnx_bytes())


def _save(model: onnx.ModelProto, path: Path) -> None:
    path.write_bytes(model.SerializeToString())


def _bytes(rng: random.Random, path: Path) -> None:
    path.write_bytes(mutated_bytes(rng, onnx_bytes()))


def _graph(rng: random.Random, path: Path) -> None:
    model = _ours()
    graph = model.graph
    for _ in range(rng.choice((1, 1, 2, 4))):
        node = rng.choice(graph.node)
        kind = rng.randrange(8)
        if kind == 0:
            node.op_type = rng.choice(OPERATORS)
        elif kind == 1 and node.attribute:
            _attribute(rng, rng.choice(node.attribute))
        elif kind == 2:
            graph.node.remove(node)
        elif kind == 3:
            graph.node.insert(rng.randrange(len(graph.node)), node)
        elif kind == 4 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(
                (rng.choice(graph.node).output[0], "", "image", "z")
            )
        elif kind == 5:
            node.domain = rng.choice(("com.microsoft", "evil", "ai.onnx.ml"))
        elif kind == 6:
            _tensor(rng, rng.choice(graph.initializer))
        else:
            model.opset_import[0].version = rng.choice((0, 1, 7, 13, 21, 99, -1))
    _save(model, path)


def _attribute(rng: random.Random, attribute: onnx.AttributeProto) -> None:
    if attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(SIZES)
    else:
        attribute.i = rng.choice(SIZES)
        attribute.f = rng.choice((0.0, -1.0, float("nan"), float("inf")))


def _tensor(rng: random.Random, tensor: onnx.TensorProto) -> None:
    kind = rng.randrange(4)
    if kind == 0 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(SIZES)
    elif kind == 1:
        tensor.data_type = rng.randrange(25)
    elif kind == 2:
        tensor.raw_data = mutated_bytes(rng, tensor.raw_data)
    elif tensor.data_type == TensorProto.FLOAT:
        tensor.raw_data = np.full(list(tensor.dims), rng.choice((np.nan, np.inf, 1e38)), np.float32).tobytes()


def _shapes(rng: random.Random, path: Path) -> None:
    """A stranger's graph, of any input."""
    shape = [rng.choice((*SIZES, "n")) for _ in range(rng.randrange(6))]
    kind = rng.choice(
        (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT16, TensorProto.STRING)
    )
    values = [helper.make_tensor_value_info(f"x{i}", kind, shape) for i in range(rng.choice((0, 1, 1, 1, 2)))]
    out = [helper.make_tensor_value_info(f"y{i}", kind, shape) for i in range(rng.choice((0, 1, 1, 2)))]
    nodes = [helper.make_node("Identity", [values[0].name if values else "w"], [each.name]) for each in out]
    model = helper.make_model(helper.make_graph(nodes, "g", values, out), **OPSET)
    if rng.random() < 0.5:
        model.metadata_props.extend(_ours().metadata_props)
    _save(model, path)


def _metadata(rng: random.Random, path: Path) -> None:
    model = _ours()
    for entry in model.metadata_props:
        if entry.key.removeprefix("ridgepoint.") in DOCUMENTS and rng.random() < 0.5:
            with contextlib.suppress(UnicodeEncodeError):  # protobuf holds no lone surrogates
                entry.value = _document(rng, entry.value)
    if rng.random() < 0.2:
        entry = model.metadata_props.add()
        entry.key, entry.value = "ridgepoint.trained_on", json.dumps(rng.choice(VALUES))
    _save(model, path)


def _document(rng: random.Random, text: str) -> str:
    if rng.random() < 0.3:
        return rng.choice(("[" * 100_000, "{", "null", '"x"', "9" * 5000, text[: len(text) // 2], rng.choice(TEXTS)))
    return document(rng, text if text[:1] not in "[{" else json.loads(text), as_json=True).decode(errors="replace")


def _weights(rng: random.Random, path: Path) -> None:
    """Said to lie in another file, at any place and offset."""
    model = _ours()
    content = max((each.raw_data for each in model.graph.initializer), key=len)
    (path.parent / "w.bin").write_bytes(rng.choice((content, content * 9, b"")))
    os.mkfifo(path.parent / "pipe.bin")
    for tensor in model.graph.initializer:
        if rng.random() < 0.5:
            about = {"location": rng.choice(PLACES)}
            if rng.random() < 0.5:
                about |= {"offset": str(rng.choice(SIZES)), "length": str(rng.choice(SIZES))}
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in about.items():
                entry = tensor.external_data.add()
                entry.key, entry.value = key, value
    _save(model, path)


def _strange(rng: random.Random, path: Path) -> None:
    make: Callable[[Path], object] = rng.choice(
        (
            lambda path: path.write_bytes(rng.choice((b"", b"\0", b"<html>", b"PK\3\4", b"version https://git-lfs"))),
            lambda path: path.write_bytes(rng.randbytes(rng.randrange(1, 5000))),
            lambda path: path.write_bytes(b"\n\xff\xff\xff\xff\x0f" * 100),
            lambda path: path.symlink_to(rng.choice(("/dev/zero", "m.onnx", "gone", "/etc/passwd", "/"))),
            os.mkfifo,
            Path.mkdir,
            _endless,
            lambda path: _large(path, rng.choice(("ConstantOfShape", "Tile", "Expand")), rng.choice((10**9, 10**12))),
            lambda path: _nested(path, rng.choice((2, 12, 24))),
        )
    )
    make(path)


def _endless(path: Path) -> None:
    """A loop that never ends before the image is looked at."""
    count, flag = helper.make_tensor_value_info("i", TensorProto.INT64, []), TensorProto.BOOL
    values = [helper.make_tensor_value_info(name, flag, []) for name in ("c", "c_out")]
    body = helper.make_graph([helper.make_node("Identity", ["c"], ["c_out"])], "b", [count, values[0]], values[1:])
    model = _ours()
    model.graph.node.insert(0, helper.make_node("Loop", ["", "true"], [], body=body))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "true"))
    _save(model, path)


def _large(path: Path, operator: str, size: int) -> None:
    """A few bytes that ask for any amount of memory."""
    model = _ours()
    known = np.ones((1, 1), np.float32)
    inputs = ["size"] if operator == "ConstantOfShape" else ["one", "size"]
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, size]), "size"))
    model.graph.initializer.append(numpy_helper.from_array(known, "one"))
    nodes = [helper.make_node(operator, inputs, ["large"]), helper.make_node("ReduceMax", ["large"], ["m"], keepdims=0)]
    nodes.append(helper.make_node("Add", [model.graph.output[0].name, "m"], ["more"]))
    model.graph.node.extend(nodes)
    model.graph.output[0].name = "more"
    _save(model, path)


def _nested(path: Path, depth: int) -> None:
    """Graphs inside graphs."""
    flag = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])
    graph = helper.make_graph([helper.make_node("Identity", ["logits"], ["y"])], "b", [], [flag])
    for level in range(depth):
        node = helper.make_node("If", ["yes"], ["y"], then_branch=graph, else_branch=graph if level < 3 else None)
        graph = helper.make_graph([node], "b", [], [flag])
    model = _ours()
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.extend(graph.node)
    model.graph.output[0].name = "y"
    _save(model, path)
