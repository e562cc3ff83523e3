"""Knobs: which widths can shrink on their own; turning one changes that width everywhere and no wiring."""

import pytest

from ridgepoint.arch.layer import Add, Conv2d
from ridgepoint.arch.network import Network, lower
from ridgepoint.arch.shrink import Knob, knobs, narrowed, turn
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost

FAMILIES = (
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_medium",
    "mobilenetv4_hybrid_medium",
    "mobileone_s1",
    "efficientformer_l1",
)


def test_knobs_of_mobilenetv3_by_hand():
    """MobileNetV3-Small: stem and runs of blocks; 10 expansions, as the first block has none; 2 layers of the head."""
    network = load("mobilenetv3_small_100")
    found = knobs(network)
    assert [(knob.places, knob.width) for knob in found if knob.kind == "bottleneck"] == [
        (("stem.0",), 16),
        (("stages.0.0",), 16),
        (("stages.1.0", "stages.1.1"), 24),
        (("stages.2.0", "stages.2.1", "stages.2.2"), 40),
        (("stages.2.3", "stages.2.4"), 48),
        (("stages.3.0", "stages.3.1", "stages.3.2"), 96),
    ]
    widths = [knob.width for knob in found if knob.kind == "expansion"]
    assert widths == [72, 88, 96, 240, 240, 120, 144, 288, 576, 576]
    assert [(knob.places, knob.width) for knob in found if knob.kind == "head"] == [
        (("conv_channels",), 576),
        (("hidden_channels",), 1024),
    ]
    assert list(Knob("expansion", ("stages.1.0",), 24).narrower) == [16, 8]
    assert list(Knob("heads", ("stages.1.0",), 3).narrower) == [2, 1]
    assert [str(knob) for knob in found[2:5]] == [
        "expansion of stages.1.0",
        "bottleneck of stages.1.0 to stages.1.1",
        "expansion of stages.1.1",
    ]


def test_attention_has_heads_to_turn():
    for name, count in (("mobilenetv4_hybrid_medium", 8), ("efficientformer_l1", 1)):
        assert len([knob for knob in knobs(load(name)) if knob.kind == "heads"]) == count


def wiring(network: Network) -> list[str]:
    """What layers there are, without their sizes."""
    return [f"{placed.path} {type(placed.layer).__name__}" for placed in lower(network)]


@pytest.mark.parametrize("name", FAMILIES)
def test_turning_a_knob_changes_its_width_and_no_wiring(name: str):
    network = load(name)
    before = cost(network, form="deploy").macs
    turned = 0
    for knob in knobs(network):
        for width in list(knob.narrower)[:: max(len(knob.narrower) // 3, 1)]:
            child = turn(network, knob, width)
            if child is None:
                continue
            turned += 1
            assert cost(child, form="deploy").macs < before, (str(knob), width)
            again = next(
                each for each in knobs(child) if each.kind == knob.kind and set(knob.places) <= set(each.places)
            )
            assert again.width == width
            if "mobileone" not in name:  # its identity branches come with equal widths
                assert wiring(child) == wiring(network), (str(knob), width)
    assert turned > 10


@pytest.mark.parametrize("name", FAMILIES)
def test_everything_can_be_narrowed_to_any_share(name: str):
    network, before = load(name), float("inf")
    for share in (0.9, 0.5, 0.25, 0.0):
        narrow = narrowed(network, share)
        macs = cost(narrow, form="deploy").macs
        assert macs < before
        before = macs
        if "mobileone" not in name:
            assert wiring(narrow) == wiring(network)
    dense = [placed.layer for placed in lower(narrow) if isinstance(placed.layer, Conv2d) and placed.layer.groups == 1]
    assert max(layer.out_channels for layer in dense) <= 512  # key and value dimensions stay


def test_a_residual_neither_comes_nor_goes():
    """Narrowed to its input's width, a block of 112 channels could add its input; it did not, so it does not."""
    network = load("mobilenetv3_large_100")
    (knob,) = [knob for knob in knobs(network) if knob.kind == "bottleneck" and knob.width == 112]
    child = turn(network, knob, 80)
    assert child is not None and child.stages[3].blocks[4].residual is False
    adds = [sum(isinstance(placed.layer, Add) for placed in lower(each)) for each in (network, child)]
    assert adds[0] == adds[1]


def test_an_expansion_that_would_vanish_is_refused():
    network = load("mobilenetv2_100")
    (knob,) = [knob for knob in knobs(network) if knob.places == ("stages.1.0",) and knob.kind == "expansion"]
    assert knob.width == 96 and turn(network, knob, 16) is None
    child = turn(network, knob, 24)
    assert child is not None and child.stages[1].blocks[0].expand_channels == 24


def test_squeeze_and_excitation_shrinks_along():
    network = load("mobilenetv3_large_100")
    (knob,) = [knob for knob in knobs(network) if knob.places == ("stages.2.1",) and knob.kind == "expansion"]
    child = turn(network, knob, 64)
    assert child is not None
    block, before = child.stages[2].blocks[1], network.stages[2].blocks[1]
    assert (before.expand_channels, before.se_channels) == (120, 32)
    assert (block.expand_channels, block.se_channels) == (64, 16)  # 32 x 64/120 = 17.1, in eights
