"""Small ONNX files as strangers make them, and changed copies of ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = {"opset_imports": [helper.make_opsetid("", 17)], "ir_version": 9}


def tensor(name: str, shape: Sequence[Any], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, np.ndarray] | None = None,
) -> Path:
    tensors = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, tensors), **OPSET), path)
    return path


def relu(path: Path, shape: Sequence[Any], kind: int = TensorProto.FLOAT) -> Path:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    return save(path, nodes, [tensor("x", shape, kind)], [tensor("y", shape, kind)])


def endless(path: Path, shape: Sequence[int] = (1, 3, 8, 8)) -> Path:
    """A loop whose condition never becomes false."""
    state, condition = tensor("v", shape), tensor("c", [], TensorProto.BOOL)
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["c_out"]), helper.make_node("Identity", ["v"], ["v_out"])],
        "body",
        [tensor("i", [], TensorProto.INT64), condition, state],
        [tensor("c_out", [], TensorProto.BOOL), tensor("v_out", shape)],
    )
    nodes = [helper.make_node("Loop", ["", "true", "x"], ["y"], body=body)]
    return save(path, nodes, [tensor("x", shape)], [tensor("y", shape)], {"true": np.array(True)})


def metadata_of(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


def changed(path: Path, out: Path, **metadata: str) -> Path:
    """A copy with other values under `ridgepoint.<name>`."""
    model = onnx.load(path)
    known = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, known | {f"ridgepoint.{name}": text for name, text in metadata.items()})
    onnx.save(model, out)
    return out


def with_weights_beside(path: Path, out: Path) -> Path:
    """A copy whose weights lie in `weights.bin` beside it."""
    onnx.save(onnx.load(path), out, save_as_external_data=True, location="weights.bin")
    return out


def with_weights_at(path: Path, location: str) -> Path:
    """The same file with its external weights said to lie elsewhere."""
    model = onnx.load(path, load_external_data=False)
    for weight in model.graph.initializer:
        for entry in weight.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())
    return path
