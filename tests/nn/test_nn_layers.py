"""Layers that torch does not have: against a plain writing of the same, in both memory formats and as files."""

import onnx
import onnxruntime
import pytest
import torch
from nn_helpers import image, randomise, relative_error
from torch.nn import functional as F
from zoo_helpers import brief

from ridgepoint.arch import layer as spec
from ridgepoint.arch.zoo import load
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.runtimes.onnx_graph import optimised_graph
from ridgepoint.nn import layers
from ridgepoint.nn.create import create_model
from ridgepoint.nn.fuse import fuse

FORMATS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("keys", [(6, 4), (3, 2), (1, 1)])
def test_attention_with_a_shared_key_equals_one_head_after_the_other(memory_format, keys):
    layer = layers.MultiQueryAttention(spec.MultiQueryAttention(heads=3, key_dim=5, value_dim=7))
    query = image(2, 15, 6, 4, dtype=torch.float64).contiguous(memory_format=memory_format)
    key = image(2, 5, *keys, seed=2, dtype=torch.float64).contiguous(memory_format=memory_format)
    value = image(2, 7, *keys, seed=3, dtype=torch.float64).contiguous(memory_format=memory_format)
    heads = []
    for number in range(3):
        query_BND = query[:, number * 5 : number * 5 + 5].flatten(2).transpose(1, 2)
        shares = (query_BND @ key.flatten(2) / 5**0.5).softmax(-1)
        heads.append((shares @ value.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(2, 7, 6, 4))
    out = layer(query, key, value)
    torch.testing.assert_close(out, torch.cat(heads, 1), rtol=1e-12, atol=1e-12)
    assert out.is_contiguous(memory_format=memory_format)
    for form in (layer.by_channel, layer.by_position):
        got = form(query.contiguous(), key.flatten(2) / 5**0.5, value.flatten(2))
        torch.testing.assert_close(got, out, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("kernel", [3, 5])
def test_average_pool_counts_only_real_pixels_and_keeps_the_memory_format(memory_format, kernel):
    x = image(2, 3, 7, 9).contiguous(memory_format=memory_format).requires_grad_()
    out = layers.AveragePool(kernel)(x)
    ones = torch.ones(3, 1, kernel, kernel)
    total = F.conv2d(x, ones, padding=kernel // 2, groups=3)
    real = F.conv2d(torch.ones_like(x), ones, padding=kernel // 2, groups=3)
    torch.testing.assert_close(out, total / real)
    assert out.is_contiguous(memory_format=memory_format)
    out.sum().backward()
    assert x.grad is not None


def test_offsets_of_the_attention_bias_by_hand():
    """A 2x3 grid: the bias of two positions is the table's entry at their vertical and horizontal distance."""
    grid = layers.Grid()
    layer = layers.SelfAttention(spec.SelfAttention(heads=1, key_dim=2, value_dim=2, bias_height=2, bias_width=3), grid)
    grid.size = (2, 3)
    with torch.no_grad():
        layer.bias.copy_(torch.arange(6.0)[None])
    bias = layer.offset_bias()[0]
    for first in range(6):
        for second in range(6):
            dy, dx = abs(first // 3 - second // 3), abs(first % 3 - second % 3)
            assert bias[first, second].item() == dy * 3 + dx


def test_same_padding_adds_the_odd_pixel_right_and_below():
    conv = layers.SameConv2d(1, 1, 3, stride=2, bias=False)
    torch.nn.init.ones_(conv.weight)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    # Windows start at 0 and 2, not at -1 and 1.
    assert conv(x)[0, 0, 0, 0] == x[0, 0, 0:3, 0:3].sum()
    assert conv(x)[0, 0, 1, 1] == x[0, 0, 2:, 2:].sum()


@pytest.mark.parametrize("name", ["mobilenetv4_hybrid_medium_075", "mobileone_s0", "efficientformer_l1"])
def test_channels_last_gives_the_same_answer(name):
    model = fuse(randomise(create_model(brief(name)), size=64))
    x = image(2, 3, 64, 96)
    with torch.inference_mode():
        expected = model(x)
        got = model.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert relative_error(got, expected) < 1e-4


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv4_hybrid_medium_075",
        "tf_mobilenetv3_small_075",
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("efficientformer_l1", "mobileone_s4")),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_the_exported_file_gives_the_same_answer_and_does_not_copy_the_shared_head(name, tmp_path):
    network = brief(name, height=96)
    model, x, path = fuse(randomise(create_model(network), size=96)), image(1, *network.input), tmp_path / "model.onnx"
    torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    got = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    with torch.inference_mode():
        assert relative_error(got, model(x)) < 1e-4
    if attentions := str(network.stages).count("MobileMultiQueryAttention"):
        kinds = [node.op_type for node in onnx.load(path).graph.node]
        assert kinds.count("MatMul") == 2 * attentions
        assert not {"Expand", "Tile", "Loop", "Concat", "Split", "Unsqueeze"} & set(kinds)


@pytest.mark.parametrize("name", ["mobilenetv4_hybrid_medium_075", "efficientformer_l1"])
@pytest.mark.filterwarnings("ignore")
def test_no_product_of_attention_is_broadcast_when_exported(name):
    # At a copy for broadcasting a delegate of ExecuTorch ends: the network would be cut at every attention.
    network = brief(name, height=64)
    program = torch.export.export(fuse(create_model(network).eval()), (image(1, *network.input),)).run_decompositions()
    names = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert any("bmm" in name for name in names) and not any("expand" in name for name in names)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv2_050"])
def test_padding_is_no_pass_of_its_own_in_the_file_that_is_clocked(name, tmp_path):
    network, path = load(name).at(height=64), tmp_path / "model.onnx"
    export_for_timing(create_model(network), network.input_shape, path)
    operators = optimised_graph(path).operators
    assert "Pad" not in operators and operators["Conv"] > 10
