"""Every network of the zoo has the verified counts, to the unit where they are known so, and from three counters."""

import pytest
import torch
from mac_hooks import macs_by_hooks
from torch import nn

from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.count import cost
from ridgepoint.nn import layers
from ridgepoint.nn.build import build
from ridgepoint.nn.count import macs_by_module
from ridgepoint.nn.fuse import fuse

# Parameters and MACs of the train form, counted by two other implementations. A float is a rounded figure in millions.
TRAIN = {
    "mobilenetv1_100": (4_231_976, 568_740_352),
    "mobilenetv2_050": (1_968_680, 97.1),
    "mobilenetv2_100": (3_504_872, 300_774_272),
    "mobilenetv2_110d": (4_516_520, 430.5),
    "mobilenetv2_120d": (5_831_144, 668.9),
    "mobilenetv2_140": (6_108_776, 582.2),
    "mobilenetv3_large_075": (3_993_528, 154.6),
    "mobilenetv3_large_100": (5_483_032, 216_589_760),
    "mobilenetv3_large_minimal_100": (3_924_288, 209_136_704),
    "mobilenetv3_small_050": (1_593_224, 24.2),
    "mobilenetv3_small_075": (2_041_872, 43.4),
    "mobilenetv3_small_100": (2_542_856, 56_510_400),
    "mobilenetv3_small_minimal_100": (2_044_736, 52_288_448),
    "mobilenetv4_conv_large": (32_590_864, 6_376_220_672),
    "mobilenetv4_conv_medium": (9_715_512, 1_080_244_224),
    "mobilenetv4_conv_small": (3_774_024, 186_005_568),
    "mobilenetv4_conv_small_035": (1_905_384, 47.7),
    "mobilenetv4_conv_small_050": (2_238_952, 64.7),
    "mobilenetv4_hybrid_large": (37_764_624, 7_711_877_120),
    "mobilenetv4_hybrid_large_075": (22_754_984, 2036.2),
    "mobilenetv4_hybrid_medium": (11_074_648, 1_271_183_360),
    "mobilenetv4_hybrid_medium_075": (7_313_528, 649.8),
    "mobileone_s0": (5_293_272, 1_051_935_232),
    "mobileone_s1": (4_825_192, 830_062_080),
    "mobileone_s2": (7_884_648, 1_304_027_392),
    "mobileone_s3": (10_170_600, 1_902_112_768),
    "mobileone_s4": (14_951_248, 2_986_802_432),
    "efficientformer_l1": (12_289_928, 1_291_284_736),
    "efficientformer_l3": (31_406_000, 3_906_573_312),
    "efficientformer_l7": (82_229_328, 10_119_325_696),
}
# Padding changes no count.
SAME_AS = {name: name.removeprefix("tf_") for name in list_models("tf_*")}
MOBILEONE_DEPLOY = {
    "mobileone_s0": (2_078_504, 275_110_400),
    "mobileone_s1": (4_764_840, 825_057_024),
    "mobileone_s2": (7_808_168, 1_298_426_496),
    "mobileone_s3": (10_078_312, 1_895_790_592),
    "mobileone_s4": (14_838_352, 2_979_269_760),
}
# Norms folded and the two classifiers merged, layer scales kept.
EFFICIENTFORMER_MERGED = {
    "efficientformer_l1": 11_809_008,
    "efficientformer_l3": 30_834_568,
    "efficientformer_l7": 81_370_952,
}


def test_no_network_is_left_out():
    assert TRAIN.keys() | SAME_AS.keys() == set(list_models())
    assert len(list_models()) == 37


@pytest.mark.parametrize("name", list_models())
def test_train_form_has_the_verified_counts(name):
    counted = cost(load(name))
    params, macs = TRAIN[SAME_AS.get(name, name)]
    assert counted.params == params
    assert (round(counted.macs / 1e6, 1) if isinstance(macs, float) else counted.macs) == macs


@pytest.mark.parametrize("name", MOBILEONE_DEPLOY)
def test_mobileone_ships_with_the_verified_counts(name):
    counted = cost(load(name), form="deploy")
    assert (counted.params, counted.macs) == MOBILEONE_DEPLOY[name]


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
@pytest.mark.parametrize("name", list_models())
def test_three_counters_agree_on_every_block(name, form):
    """`cost` without torch; hooks on the built module; torch's own counter, whose FLOPs are two per MAC."""
    network = load(name)
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
