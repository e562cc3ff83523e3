"""Channels between two convolutions brought to like sizes: the same function, which 8 bits can write more finely.

One scale serves all channels of an activation. Where one channel is far larger than another, as in folded branches,
the small one is left with few of the 256 steps. A rectifier lets positive gains through: what the first convolution
gives is divided by a gain for each channel, and what the second makes of it multiplied. ReLU6 and hard-swish let none
through.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

LEAST = 1e-3  # of the largest channel: what is smaller still is not raised as much


class Pair(NamedTuple):
    """Two convolutions with a rectifier or nothing between them, and the name of what the second one reads."""

    first: onnx.NodeProto
    second: onnx.NodeProto
    between: str


def pairs(model: onnx.ModelProto) -> list[Pair]:
    """Those of a graph, in order: the second alone reads what the first gives, and their weights are their own."""
    graph, readers = model.graph, dict[str, list[onnx.NodeProto]]()
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    seen = {each.name for each in graph.output}
    weights = {each.name for each in graph.initializer if len(readers.get(each.name, ())) == 1}
    found = []
    for first in filter(lambda node: _is_own(node, weights), graph.node):
        between, node = first.output[0], first
        while between not in seen and len(readers.get(between, ())) == 1:
            (node,) = readers[between]
            if node.op_type != "Relu":
                break
            between = node.output[0]
        if node is not first and _is_own(node, weights) and node.input[0] == between:
            found.append(Pair(first, node, between))
    return found


def equalise(model: onnx.ModelProto, found: list[Pair], largest: Mapping[str, np.ndarray]) -> None:
    """Change the weights of pairs in place.

    Where every filter of the second convolution reads one channel, all channels become as large as each other, for
    weights have a scale for each filter. Else large channels are lowered by the root of what that would take, for it
    makes the weights of a filter uneven.

    Args:
        model: A graph in float.
        found: Its pairs.
        largest: Of what is between each pair, the largest size of every channel, (C,).

    Source: Nagel et al., arXiv:1906.04721, section 4.1 (cross-layer equalisation); SmoothQuant, arXiv:2211.10438,
    section 4, for sizes of activations and the root.
    Differs: Nagel et al. look at weights alone, one scale for all filters, and equalise the ranges of both layers; here
    weights have a scale for each filter already.
    """
    tensors = {each.name: each for each in model.graph.initializer}
    for first, second, between in found:
        after = numpy_helper.to_array(tensors[second.input[1]])
        gain = _gain(largest[between].astype(np.float64), after)
        for name in first.input[1:]:
            before = numpy_helper.to_array(tensors[name])
            _replace(tensors[name], before / gain.reshape(-1, *[1] * (before.ndim - 1)))
        groups = len(gain) // after.shape[1]
        by_input = after.reshape(groups, -1, *after.shape[1:]) * gain.reshape(groups, 1, -1, 1, 1)
        _replace(tensors[second.input[1]], by_input.reshape(after.shape))


def _gain(largest: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """By how much each channel is lowered, (C,); `weight` is the second convolution's, (O, C/groups, k, k)."""
    if not largest.max() > 0:
        return np.ones_like(largest)
    largest = np.maximum(largest, LEAST * largest.max())
    inputs = weight.shape[1]
    if inputs > 1:
        sizes = np.abs(weight).max((2, 3))
        shares = sizes / np.maximum(sizes.max(1, keepdims=True), np.finfo(np.float32).tiny)
        used = shares.reshape(len(largest) // inputs, -1, inputs).max(1).ravel()
        largest = np.sqrt(largest / np.maximum(used, LEAST))
    gain: np.ndarray = largest / np.median(largest)
    return gain


def _is_own(node: onnx.NodeProto, weights: set[str]) -> bool:
    return node.op_type == "Conv" and all(name in weights for name in node.input[1:])


def _replace(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    kind = numpy_helper.to_array(tensor).dtype
    tensor.CopyFrom(numpy_helper.from_array(values.astype(kind), tensor.name))
