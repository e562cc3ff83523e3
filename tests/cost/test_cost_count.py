"""Counts, derived by hand in the test body and compared with two other counters."""

import msgspec
import pytest
from cost_helpers import altered, random_network, tiny

from ridgepoint.arch.blocks.attention import MobileMultiQueryAttention
from ridgepoint.arch.blocks.convolution import Conv
from ridgepoint.arch.blocks.inverted import InvertedBottleneck, UniversalInvertedBottleneck
from ridgepoint.arch.blocks.mobileone import MobileOne
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.count import cost
from ridgepoint.cost.precision import FLOAT32, INT8
from ridgepoint.errors import ArchitectureError, InputError


def test_a_convolution_by_hand():
    network = tiny(Conv(out_channels=16, stride=2), size=8)  # 3x8x8 -> 16x4x4
    counted = cost(network)
    conv, norm, act, pool, flatten, dropout, classifier = counted.layers
    assert (conv.path, conv.kind) == ("stages.0.0.conv", "conv")
    assert conv.macs == 3 * 3 * 3 * 16 * 4 * 4
    assert conv.params == 3 * 3 * 3 * 16
    assert (conv.read_elements, conv.write_elements) == (3 * 8 * 8, 16 * 4 * 4)
    assert (norm.macs, norm.params, norm.vectors) == (0, 2 * 16, 2 * 16)
    assert (act.macs, act.params, act.read_elements) == (0, 0, 16 * 4 * 4)
    assert (pool.read_elements, pool.write_elements) == (16 * 4 * 4, 16)
    assert (flatten.macs, dropout.macs) == (0, 0)
    assert (classifier.macs, classifier.params, classifier.vectors) == (16 * 10, 16 * 10 + 10, 10)
    assert counted.macs == 432 * 16 + 160
    assert counted.params == 432 + 32 + 170


@pytest.mark.parametrize("fused", ["none", "activation", "residual", "block"])
def test_depthwise_convolutions_above_5x5_by_hand(fused: str):
    """ConvNeXt-S: 3, 3, 27 and 3 blocks of a 7x7 depthwise convolution; MobileNetV2 has none above 3x3."""
    outputs = 3 * 96 * 56**2 + 3 * 192 * 28**2 + 27 * 384 * 14**2 + 3 * 768 * 7**2
    counted = cost(load("convnext_small"), form="deploy", fused=fused)
    assert counted.large_depthwise_macs == 49 * outputs == sum(layer.large_depthwise_macs for layer in counted.layers)
    assert counted.depthwise_macs == counted.large_depthwise_macs
    assert cost(load("mobilenetv2_100"), form="deploy", fused=fused).large_depthwise_macs == 0


@pytest.mark.parametrize("fused", ["none", "activation", "residual", "block"])
def test_depthwise_convolutions_by_hand(fused: str):
    """MobileNetV1, whose thirteen are all 3x3."""
    sites = [(32, 112), (64, 56), (128, 56), (128, 28), (256, 28), (256, 14), *[(512, 14)] * 5, (512, 7), (1024, 7)]
    counted = cost(load("mobilenetv1_100"), form="deploy", fused=fused)
    assert counted.depthwise_macs == 9 * sum(channels * side**2 for channels, side in sites)
    assert counted.depthwise_macs == sum(layer.depthwise_macs for layer in counted.layers)


def test_a_pass_counts_the_large_depthwise_convolution_that_took_in_its_activation():
    network = tiny(UniversalInvertedBottleneck(out_channels=16, expand_channels=6, middle_kernel=7), size=8)
    passes = [each for each in cost(network, form="deploy", fused=True).layers if each.kind == "depthwise"]
    assert [(each.large_depthwise_macs, each.absorbed) for each in passes] == [(49 * 6 * 8 * 8, ("activation",))]


def test_folded_and_fused_by_hand():
    network = tiny(Conv(out_channels=16, stride=2), size=8)
    conv, pool, _, classifier = cost(network, form="deploy", fused=True).layers
    assert conv.absorbed == ("activation",)
    assert (conv.params, conv.vectors) == (432 + 16, 16)  # the norm became a bias
    assert (conv.read_elements, conv.write_elements) == (192, 256)
    assert conv.weight_bytes(1.0, 4.0) == 432 + 4 * 16
    assert conv.bytes_moved(INT8) == 432 + 64 + 192 + 256
    assert conv.bytes_moved(FLOAT32) == 4 * (448 + 448)
    assert conv.intensity(INT8) == 6912 / 944
    assert (pool.kind, classifier.kind) == ("globalpool", "linear")


@pytest.mark.parametrize(
    ("fused", "kinds"),
    [
        ("none", ["pointwise", "activation", "depthwise", "activation", "pointwise", "add"]),
        ("activation", ["pointwise", "depthwise", "pointwise", "add"]),
        ("residual", ["pointwise", "depthwise", "pointwise"]),
        ("block", ["uib"]),
    ],
)
def test_a_residual_block_under_every_fusing(fused, kinds):
    block = UniversalInvertedBottleneck(expand_channels=32, out_channels=8, middle_kernel=3)
    counted = cost(tiny(block, channels=8, size=4), form="deploy", fused=fused).blocks["stages.0.0"]
    assert [layer.kind for layer in counted.layers] == kinds
    assert counted.macs == 16 * (8 * 32 + 9 * 32 + 32 * 8)
    assert counted.params == 8 * 32 + 32 + 9 * 32 + 32 + 32 * 8 + 8
    narrow, wide = 8 * 16, 32 * 16
    expand, depthwise, project, add = narrow + wide, 2 * wide, wide + narrow, 3 * narrow
    moved = {
        "none": expand + depthwise + project + add + 2 * (2 * wide),  # each activation reads and writes
        "activation": expand + depthwise + project + add,
        "residual": expand + depthwise + project + narrow,  # the skip is read by the projection's pass
        "block": 2 * narrow,
    }
    assert sum(layer.activation_bytes(1.0) for layer in counted.layers) == moved[fused]


def test_squeeze_excitation_stays_three_passes():
    block = InvertedBottleneck(expand_channels=32, out_channels=16, se_channels=8)
    layers = cost(tiny(block, channels=8, size=4), form="deploy", fused=True).blocks["stages.0.0"].layers
    assert [(layer.kind, layer.absorbed) for layer in layers] == [
        ("pointwise", ("activation",)),
        ("depthwise", ("activation",)),
        ("globalpool", ()),
        ("pointwise", ("activation",)),
        ("pointwise", ("activation",)),
        ("gate", ()),
        ("pointwise", ()),
    ]
    assert layers[5].read_elements == 32 * 16 + 32


def test_attention_by_hand():
    block = MobileMultiQueryAttention(heads=2, key_dim=4, value_dim=8, kv_stride=2)
    counted = cost(tiny(block, channels=16, size=4), form="deploy").blocks["stages.0.0"]
    by_path = {layer.path: layer for layer in counted.layers}
    scores = by_path[".body.attention.join.scores"]
    softmax = by_path[".body.attention.join.softmax"]
    values = by_path[".body.attention.join.values"]
    queries, keys = 16, 4
    assert (scores.macs, values.macs, softmax.macs) == (2 * queries * keys * 4, 2 * queries * keys * 8, 0)
    assert (scores.read_elements, scores.write_elements) == (2 * 4 * queries + 4 * keys, 2 * queries * keys)
    assert (softmax.read_elements, softmax.write_elements) == (128, 128)
    assert (values.read_elements, values.write_elements) == (128 + 8 * keys, 2 * 8 * queries)


def test_a_norm_that_two_readers_share_is_its_own_pass():
    attention = MobileMultiQueryAttention(heads=2, key_dim=4, value_dim=4)
    conv = Conv(out_channels=16, kernel=1)
    layers = cost(tiny(conv, attention, channels=16, size=4), form="deploy", fused=True).layers
    norm = next(layer for layer in layers if layer.path.endswith("body.norm"))
    assert norm.kind == "batchnorm"
    assert norm.absorbed == ()


def test_a_branch_s_norm_does_not_join_its_neighbour():
    block = MobileOne(out_channels=16, branches=2)
    layers = cost(tiny(block, channels=16, size=4), form="train", fused=True).blocks["stages.0.0"].layers
    skip = [layer for layer in layers if layer.path.endswith("skip.norm")]
    assert [layer.kind for layer in skip] == ["batchnorm", "batchnorm"]


def test_totals_are_sums_and_paths_are_unique():
    for name in list_models():
        for fused in ("none", "activation", "residual"):
            counted = cost(load(name), form="deploy", fused=fused)
            assert counted.macs == sum(layer.macs for layer in counted.layers)
            assert counted.params == sum(layer.params for layer in counted.layers)
            paths = [layer.path for layer in counted.layers]
            assert len(set(paths)) == len(paths)


def test_fusing_never_changes_macs_or_params_and_never_adds_bytes():
    for seed in range(40):
        network = random_network(seed)
        none, activation, residual, block = (
            cost(network, form="deploy", fused=fused) for fused in ("none", "activation", "residual", "block")
        )
        assert none.macs == activation.macs == residual.macs == block.macs
        assert none.params == activation.params == residual.params == block.params
        moved = [each.activation_bytes(1.0) for each in (none, activation, residual, block)]
        assert moved == sorted(moved, reverse=True)


def test_wider_never_costs_less():
    for seed in range(20):
        network = altered("mobilenetv4_conv_small", seed)
        stage = network.stages[3]
        wider = msgspec.structs.replace(stage.blocks[0], expand_channels=stage.blocks[0].expand_channels + 8)
        stages = (*network.stages[:3], msgspec.structs.replace(stage, blocks=(wider, *stage.blocks[1:])))
        grown = msgspec.structs.replace(network, stages=stages)
        assert cost(grown).macs > cost(network).macs
        assert cost(grown).bytes_moved(INT8) > cost(network).bytes_moved(INT8)


def test_the_same_row_elsewhere_has_its_own_path():
    block = Conv(out_channels=8, kernel=1)
    paths = [layer.path for layer in cost(tiny(block, block, channels=8)).layers]
    assert "stages.0.0.conv" in paths
    assert "stages.0.1.conv" in paths


def test_errors_name_the_row():
    broken = tiny(Conv(out_channels=8), UniversalInvertedBottleneck(expand_channels=8, out_channels=8, stride=2))
    with pytest.raises(ArchitectureError, match=r"^stages\.0\.1: a uib with stride 2 needs"):
        cost(broken)
    split = InvertedBottleneck(expand_channels=8, out_channels=16, residual=True)
    with pytest.raises(ArchitectureError, match=r"^stages\.0\.0\.join: cannot add"):
        cost(tiny(split, channels=8))
    with pytest.raises(InputError, match="unknown way of fusing 'activations'; did you mean 'activation'"):
        cost(load("mobilenetv1_100"), fused="activations")


def module_counts(network):
    """MACs with fvcore, MACs with torch's own counter, parameters of the built module."""
    import torch
    from fvcore.nn import FlopCountAnalysis
    from torch.utils.flop_counter import FlopCounterMode

    from ridgepoint.nn.build import build

    torch.set_num_threads(1)  # small products gain nothing from two
    module = build(network).eval()
    image = torch.zeros(1, *network.input)
    analysis = FlopCountAnalysis(module, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    flops = analysis.by_operator()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(image)
    params = sum(parameter.numel() for parameter in module.parameters())
    return (
        sum(flops[kind] for kind in ("conv", "linear", "matmul", "bmm", "einsum")),
        counter.get_total_flops() // 2,
        params,
    )


def check_three_ways(networks):
    for network in networks:
        counted = cost(network)
        with_fvcore, with_torch, params = module_counts(network)
        assert counted.params == params, network.name
        assert counted.macs == with_torch, network.name
        has_attention = any(layer.kind == "attention" for layer in counted.layers)
        assert has_attention or counted.macs == with_fvcore, network.name  # fvcore does not know fused attention


@pytest.mark.filterwarnings("ignore")
def test_three_counters_agree_on_some_networks():
    check_three_ways([random_network(seed) for seed in range(6)])


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
def test_three_counters_agree_on_forty_networks():
    check_three_ways([random_network(seed) for seed in range(6, 38)])
    check_three_ways([altered("mobilenetv4_conv_small", seed).at(height=64) for seed in range(8)])
