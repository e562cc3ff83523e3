"""Every network of the zoo has the verified counts, to the unit where they are known so, and from three counters."""

import pytest
import torch
from mac_hooks import macs_by_hooks
from torch import nn
from zoo_helpers import FAMILIES, brief, of_new_kinds

from ridgepoint.arch.zoo import list_models, load, published
from ridgepoint.cost.count import cost
from ridgepoint.nn import layers
from ridgepoint.nn.build import build
from ridgepoint.nn.count import macs_by_module
from ridgepoint.nn.fuse import fuse

# Norms folded and the two classifiers merged, layer scales kept.
EFFICIENTFORMER_MERGED = {
    "efficientformer_l1": 11_809_008,
    "efficientformer_l3": 30_834_568,
    "efficientformer_l7": 81_370_952,
}


@pytest.mark.parametrize("name", list_models())
def test_every_network_has_the_counts_of_its_file(name):
    known, train, deploy = published(name), cost(load(name)), cost(load(name), form="deploy")
    assert train.params == known.params
    assert train.macs == known.macs if known.macs else round(train.macs / 1e6, 1) == known.macs_m
    if known.deploy_params:
        assert (deploy.params, deploy.macs) == (known.deploy_params, known.deploy_macs)


def test_counts_read_off_the_published_tables():
    """What the files say, once in each form: to the unit, rounded, and as it ships."""
    large, hybrid, one = map(published, ("efficientformer_l7", "mobilenetv4_hybrid_large_075", "mobileone_s0"))
    assert (large.params, large.macs) == (82_229_328, 10_119_325_696)
    assert (hybrid.params, hybrid.macs, hybrid.macs_m) == (22_754_984, None, 2036.2)
    assert (one.deploy_params, one.deploy_macs) == (2_078_504, 275_110_400)


@pytest.mark.parametrize("name", EFFICIENTFORMER_MERGED)
def test_efficientformer_ships_without_second_classifier_and_layer_scales(name):
    network = load(name)
    train, deploy = cost(network), cost(network, form="deploy")
    every_scale = sum(layer.params for layer in train.layers if layer.kind == "layerscale")
    kept_scales = sum(layer.params for layer in deploy.layers if layer.kind == "layerscale")
    assert deploy.params == EFFICIENTFORMER_MERGED[name] - every_scale + kept_scales
    # What stays: the scale of pool(x) - x, which no convolution can take; one per 4D block.
    assert kept_scales == sum(row.output.channels for row in deploy.blocks.values() if row.kind == "pool_mixer")
    # What goes: one product with the classifier's matrix.
    classifier = next(layer for layer in deploy.layers if layer.path.startswith("head.classifier"))
    assert deploy.macs == train.macs - classifier.macs


def test_mobilenetv2_deploy_by_hand():
    """A folded norm costs its convolution one bias per channel instead of two numbers."""
    network = load("mobilenetv2_100")
    model = build(network)
    norm_channels = sum(module.num_features for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    assert cost(network, form="deploy").params == 3_504_872 - norm_channels
    assert cost(network, form="deploy").macs == 300_774_272


def test_a_squeeze_excited_block_by_hand():
    """MobileNetV3-Small's first block: 16x112x112 in, 3x3 stride 2, squeeze 8, no expansion, 16 out."""
    row = cost(load("mobilenetv3_small_100")).blocks["stages.0.0"]
    depthwise, squeeze, project = 9 * 16 * 56 * 56, 16 * 8 + 8 * 16, 16 * 16 * 56 * 56
    assert row.macs == depthwise + squeeze + project
    assert row.params == (9 * 16 + 2 * 16) + (16 * 8 + 8 + 8 * 16 + 16) + (16 * 16 + 2 * 16)


def test_attention_with_a_shared_key_by_hand():
    """Hybrid-M's first attention: 160x16x16, 4 heads of 64, keys and values down-sampled to 8x8."""
    row = cost(load("mobilenetv4_hybrid_medium")).blocks["stages.2.4"]
    queries, keys = 16 * 16, 8 * 8
    query, output = 160 * 256 * queries, 256 * 160 * queries
    key_or_value = 9 * 160 * keys + 160 * 64 * keys
    assert row.macs == query + output + 2 * key_or_value + 4 * queries * keys * (64 + 64)
    assert row.params == 2 * 160 + 160 * 256 + 2 * (9 * 160 + 2 * 160 + 160 * 64) + 256 * 160 + 160


@pytest.mark.parametrize("form", ["train", "deploy"])
@pytest.mark.parametrize("name", of_new_kinds(FAMILIES))
def test_three_counters_agree_on_every_block(name, form):
    """`cost` without torch; hooks on the built module; torch's own counter, whose FLOPs are two per MAC."""
    network = brief(name)
    with torch.device("meta"):
        model = build(network).eval()
        model = fuse(model) if form == "deploy" else model
    wanted = cost(network, form=form)
    hooked, by_module = macs_by_hooks(model, network.input), macs_by_module(model, network.input)
    assert hooked[""] == by_module["Global"] == wanted.macs
    assert sum(parameter.numel() for parameter in model.parameters()) == wanted.params
    for path, block in wanted.blocks.items():
        assert hooked[path] == by_module.get(f"BuiltNetwork.{path}", 0) == block.macs, path
        assert sum(p.numel() for p in model.get_submodule(path).parameters()) == block.params, path


def test_fvcore_agrees_where_it_can_see():
    """fvcore counts convolutions and linear layers as we do; it does not see attention's products on this route."""
    from fvcore.nn import FlopCountAnalysis

    for name in ("mobilenetv3_small_050", "mobileone_s0"):
        network = load(name)
        analysis = FlopCountAnalysis(build(network).eval(), torch.zeros(1, *network.input))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counts = analysis.by_operator()
        assert counts["conv"] + counts["linear"] == cost(network).macs


def test_the_deploy_form_of_mobileone_is_43_convolutions_and_a_classifier():
    with torch.device("meta"):
        model = fuse(build(load("mobileone_s1")).eval())
    assert sum(isinstance(module, nn.Conv2d) for module in model.modules()) == 43
    assert not any(isinstance(module, layers.Parallel | nn.BatchNorm2d) for module in model.modules())
