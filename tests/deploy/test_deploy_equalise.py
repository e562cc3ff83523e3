"""Channels of like sizes between convolutions: the same function, told apart from where it would be another."""

import copy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ridgepoint.arch.document import parse_network
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.quantize.equalise import equalise, pairs
from ridgepoint.nn.build import build
from ridgepoint.testing.weights import randomise

BLOCK = {"block": "mobileone", "out_channels": 16}


def graph(tmp_path, *rows: dict, activation: str = "relu") -> onnx.ModelProto:
    """A folded network of uneven channels."""
    network = parse_network(
        {
            "name": "pairs",
            "input": [3, 16, 16],
            "num_classes": 5,
            "conventions": {"activation": activation},
            "stem": [{"block": "conv", "kernel": 3, "out_channels": 8}],
            "stages": [{"blocks": list(rows)}],
            "head": {"head": "pooled"},
        },
        source="pairs",
    )
    model = randomise(build(network), size=16)
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.weight *= 10 ** torch.linspace(-1.5, 1.5, len(norm.weight))
    path = tmp_path / "model.onnx"
    export_for_timing(model, network.input_shape, path, "onnxruntime")
    return onnx.load(path)


def run(model: onnx.ModelProto, names: list[str]) -> list[np.ndarray]:
    images = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
    model = copy.deepcopy(model)
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answer, *maps = session.run(None, {model.graph.input[0].name: images})
    return [answer, *(np.abs(each).max((0, 2, 3)) for each in maps)]


def unevenness(sizes: np.ndarray) -> float:
    live = sizes[sizes > 0]
    return float(live.max() / np.median(live))


@pytest.mark.parametrize("rows", [[BLOCK, {**BLOCK, "stride": 2}], [{**BLOCK, "norms": "sum"}]])
def test_the_function_stays_and_channels_become_alike(rows, tmp_path):
    model = graph(tmp_path, *rows)
    found = pairs(model)
    assert len(found) == 2 * len(rows), "every convolution but the last one has another after its rectifier"
    names = [each.between for each in found]
    expected, *before = run(model, names)
    equalise(model, found, dict(zip(names, before, strict=True)))
    answer, *after = run(model, names)
    assert np.abs(answer - expected).max() < 1e-4 * np.abs(expected).max()
    assert all(unevenness(new) < unevenness(old) for new, old in zip(after, before, strict=True))
    whole = next(sizes for each, sizes in zip(found, after, strict=True) if weights(model, each.second).shape[1] == 1)
    assert unevenness(whole) == pytest.approx(1, rel=1e-3), "filters of one channel let all be equal"


def weights(model: onnx.ModelProto, node: onnx.NodeProto) -> np.ndarray:
    return onnx.numpy_helper.to_array(next(each for each in model.graph.initializer if each.name == node.input[1]))


def test_channels_that_are_never_seen_are_not_blown_up(tmp_path):
    model = graph(tmp_path, BLOCK)
    found = pairs(model)
    expected, *sizes = run(model, [each.between for each in found])
    for each in sizes:
        each[0] = 0
    sizes[-1][:] = 0
    equalise(model, found, dict(zip([each.between for each in found], sizes, strict=True)))
    answer = run(model, [])[0]
    assert np.isfinite(answer).all() and np.abs(answer - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("rows", "activation", "count"),
    [
        ([{"block": "separable", "out_channels": 16}], "relu6", 0),
        ([{"block": "separable", "out_channels": 16}], "hard_swish", 0),
        ([{"block": "mobileone", "out_channels": 16, "se": True}], "relu", 3),
        ([{"block": "ib", "expand_channels": 16, "out_channels": 8}], "relu", 2),
        ([{"block": "ib", "expand_channels": 16, "out_channels": 16}], "relu", 3),
    ],
)
def test_only_a_rectifier_or_nothing_between_two_convolutions_alone_counts(rows, activation, count, tmp_path):
    """In squeeze-excitation two are. The first inverted bottleneck adds its input, which so is read twice."""
    assert len(pairs(graph(tmp_path, *rows, activation=activation))) == count
