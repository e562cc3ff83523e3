"""What ONNX Runtime makes of a file: the operators that it really runs, and whether two become the same graph."""

import hashlib
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime

from ridgepoint.deploy.runtimes.session import Graph


def optimised_graph(path: Path) -> Graph:
    """What ONNX Runtime makes of a file on this processor."""
    written = path.with_suffix(".optimised.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it warns that the file is for this processor alone, which is what is wanted
    options.optimized_model_filepath = str(written)
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(written).graph
    written.unlink()
    return Graph(dict(Counter(_name(node) for node in graph.node)), _digest(graph))


def _name(node: onnx.NodeProto) -> str:
    fused = [attribute.s.decode() for attribute in node.attribute if attribute.name == "activation"]
    return "+".join([node.op_type, *fused])


def _digest(graph: onnx.GraphProto) -> str:
    """The output as an expression: names are the exporter's choice, the order of branches is the runtime's."""
    known = {weight.name: f"weight {list(weight.dims)}" for weight in graph.initializer}
    for node in graph.node:
        inputs = [known.get(name, name and "input") for name in node.input]
        attributes = sorted(attribute.SerializeToString() for attribute in node.attribute)
        made = _sha(repr((node.op_type, inputs, attributes)))
        known |= {name: f"{index} of {made}" for index, name in enumerate(node.output)}
    return _sha(repr([known[output.name] for output in graph.output]))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
