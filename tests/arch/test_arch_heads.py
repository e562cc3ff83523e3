"""Heads that tap maps from within the network, and networks with finer last maps."""

import json
import re

import msgspec
import numpy as np
import pytest
from cli_helpers import call, refused

from ridgepoint.arch.document import dump_network
from ridgepoint.arch.heads import HEADS
from ridgepoint.arch.heads.deeplab import DeepLabV3
from ridgepoint.arch.heads.lraspp import LiteRAspp
from ridgepoint.arch.heads.semantic_fpn import SemanticFpn
from ridgepoint.arch.network import Network, answer_shape, lower, place_blocks
from ridgepoint.arch.scale import total_stride, with_output_stride
from ridgepoint.arch.shrink import knobs, turn
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.space_table import compile_space
from ridgepoint.errors import ArchitectureError, InputError
from ridgepoint.report.drawing import draw

NAME, SSD = "lraspp_mobilenet_v3_large", "ssdlite320_mobilenet_v3_large"


def tapping(low: int | str, base: str = "mobilenetv3_small_050", **more) -> Network:
    head = LiteRAspp(low=low, hidden_channels=32, **more)
    return msgspec.structs.replace(load(base).at(height=64), head=head, num_classes=5)


def test_the_head_by_hand():
    """At 64 pixels: 48 channels at 2x2 last, 16 at 8x8 tapped."""
    network = tapping("stages.1.1")
    *_, head = cost(network).blocks.values()
    last, low = place_blocks(network)[-1].input.maps[:2]
    features, gate = last.channels * 32 * last.positions, last.channels * 32
    classes = (32 + low.channels) * 5 * low.positions
    assert head.macs == features + gate + classes
    assert head.params == last.channels * 32 * 2 + 2 * 32 + (32 + 1) * 5 + (low.channels + 1) * 5
    assert str(head.output) == "5x64x64" and str(cost(tapping(8, image_size=False)).blocks["head"].output) == "5x8x8"


@pytest.mark.parametrize("fused", ["none", "activation", "residual", "block"])
def test_what_routes_maps_costs_nothing_and_what_reads_them_does(fused):
    network = tapping(8)
    head = cost(network, form="deploy", fused=fused).blocks["head"]
    assert not any(layer.kind in ("pick", "bundle") for layer in head.layers)
    low = place_blocks(network)[-1].input.maps[1]
    assert sum(layer.read_elements for layer in head.layers) >= low.elements
    assert Roofline("pixel6-cpu").latency(network).ms > 0


def test_a_tap_is_a_path_or_the_pixels_of_a_position():
    paths = ("stages.1.1", "stages.1.0", "stages.1.0.expand", "stages.1.0.depthwise")
    channels = {tap: place_blocks(tapping(tap))[-1].input.maps[1] for tap in (*paths, 8, 4)}
    assert channels[8] == channels["stages.1.1"] and channels[4].height == 16
    inside = {placed.path: placed.output for placed in lower(load("mobilenetv3_small_050").at(height=64))}
    assert channels["stages.1.0.expand"] == inside["stages.1.0.expand.act"]
    assert channels["stages.1.0.depthwise"] == inside["stages.1.0.depthwise.act"]


@pytest.mark.parametrize(
    ("tap", "told"),
    [
        ("stages.9.0", "head: taps stages.9.0, and nothing before it leaves that"),
        (64, "head: taps 64, and nothing"),
        (
            "stages.1.0.project",
            "stages.1.0: the head taps stages.1.0.project. Allowed: the block itself, stages.1.0, or",
        ),
        ("stages.1.0.expand.conv", "ends in an activation there: stages.1.0.expand, stages.1.0.depthwise"),
    ],
)
def test_what_cannot_be_tapped_is_told(tap, told, tmp_path):
    with pytest.raises(ArchitectureError, match=told.replace(".", r"\.")):
        cost(tapping(tap))
    own = tmp_path / "own.yaml"
    own.write_text(dump_network(tapping(4)).replace("low: 4", f"low: {tap}"), encoding="utf-8")
    assert told.partition(":")[2] in refused(call("cost", own)).replace("\n", " ")


def test_a_head_with_taps_in_the_verbs(tmp_path):
    network = tapping("stages.1.0.expand")
    path = tmp_path / "own.yaml"
    path.write_text(dump_network(network), encoding="utf-8")
    assert load(path) == network
    shown = json.loads(call("show", path, "--json").stdout)
    assert shown["blocks"][-1]["kind"] == "Head" and "stages.1.0.expand" in draw(network)
    space = tmp_path / "space.yaml"
    row = "{block: conv, stride: 2, out_channels: {choice: [8, 16]}}"
    space.write_text(f"name: own\ninput: [3, 16, 16]\nstages: [{{blocks: [{row}]}}]\nhead: {{head: lraspp, low: 2}}\n")
    for words in (("train", path, "digits"), ("search", space, "digits", "--latency", "5ms")):
        told = refused(call(*words, "--out", tmp_path / str(words[0])))
        assert "gives a class map; what is wanted here is classes" in " ".join(told.split())


def test_a_space_of_such_networks_is_tabled_exactly():
    space = load_space("mobilenetv4_conv_32px").closed(head={"head": "lraspp", "low": 4}, num_classes=5)
    table, rng = compile_space(space), np.random.default_rng(0)
    for _ in range(8):
        assignment = space.sample_assignment(rng)
        network = space.decode(assignment)
        for form in ("train", "deploy"):
            assert table.macs(form).one(assignment) == cost(network, form=form).macs
    with pytest.raises(InputError, match=r"head: taps stages\.1\.0\. Allowed in a space: input pixels"):
        compile_space(space.closed(head={"head": "lraspp", "low": "stages.1.0"}))


def test_every_width_of_such_a_network_shrinks():
    network = tapping("stages.1.0.expand", conv_channels=96)
    found = knobs(network)
    assert {knob.places for knob in found if knob.kind == "head"} == {("conv_channels",), ("hidden_channels",)}
    for knob in found:
        children = (turn(network, knob, width) for width in knob.narrower)
        child = next((child for child in children if child is not None), None)
        assert child is None or cost(child).params < cost(network).params


def test_every_head_is_in_the_language():
    assert {"pooled", "tokens", "normed", "lraspp", "ssdlite"} <= HEADS.keys()


@pytest.mark.parametrize(
    ("name", "without_norms"),
    [
        ("ssdlite_mobilenetv3_large", 4_966_591),
        ("ssdlite_mobilenetv3_large_reduced", 3_215_311),
        ("ssdlite_mobilenetv3_small", 2_493_487),
        ("ssdlite_mobilenetv3_small_reduced", 1_765_279),
    ],
)
def test_ssdlite_has_the_counts_of_the_paper(name, without_norms):
    """MobileNetV3, Table 6: 4.97, 3.22, 2.49 and 1.77 M, norms not counted."""
    layers = cost(load(name)).layers
    assert sum(layer.params for layer in layers if layer.kind != "batchnorm") == without_norms


def test_ssdlite_on_mobilenetv2_has_the_counts_of_the_paper():
    """Table 6, at 320 px: 0.80 G; 1,917 boxes at the 300 px of the released one, which are those of its file."""
    network = load("ssdlite_mobilenetv2_coco")
    counted = cost(network.at(height=320))
    assert (counted.params, counted.macs) == (4_500_543, 804_397_504)
    assert answer_shape(network) == (1_917, 94)


def test_ssdlite_counts_of_three_classes_and_wrong_anchors():
    counted = cost(load(SSD).with_classes(3))
    assert (counted.params, counted.macs) == (2_234_240, 409_316_672)
    assert "3,234 boxes" in draw(load(SSD))
    for wrong in (((0.1, 0.1),) * 2, ((), *load(SSD).head.anchors[1:])):
        head = msgspec.structs.replace(load(SSD).head, anchors=wrong)
        with pytest.raises(ArchitectureError, match=r"head: anchors .* there are 6 maps"):
            cost(msgspec.structs.replace(load(SSD), head=head))


def test_a_drawing_has_room_for_maps_beside_thousands_of_boxes():
    """The widest square is that of the image's first map, not of the boxes."""
    widths = [float(width) for width in re.findall(r'class="res" [^>]*width="([\d.]+)"', draw(load(SSD)))]
    assert max(widths) > 3 * min(widths)


def test_semantic_fpn_on_efficientformer_has_the_counts_by_hand():
    """At 512 px and 150 classes: laterals 390,070,272, convolutions of levels 12,834,570,240, head 8,090,812,416."""
    head = cost(load("semantic_fpn_efficientformer_l1")).blocks["head"]
    assert (head.params, head.macs) == (4_213_398, 390_070_272 + 12_834_570_240 + 8_090_812_416)


def test_later_strides_become_dilations():
    network = with_output_stride(load("mobilenetv2_100"), 8)
    assert total_stride(network) == 8 and cost(network).params == cost(load("mobilenetv2_100")).params
    rows = [(block.stride, block.dilation) for _, block in network.rows() if block.tag() == "ib"]
    assert rows == [(1, 1), (2, 1), (1, 1), (2, 1), *[(1, 1)] * 3, *[(1, 2)] * 6, (1, 2), *[(1, 4)] * 3]
    eager = with_output_stride(load("mobilenetv3_large_100"), 16, eager=True)
    assert eager.stages == load(NAME).stages
    assert with_output_stride(network, 8) == network
    for name, stride, told in (("mobilenetv2_100", 12, "no output stride of 12. Allowed: 1, 2, 4, 8, 32"),
                               ("efficientformer_l1", 16, "averages over 3x3 windows")):  # fmt: skip
        with pytest.raises(ArchitectureError, match=told):
            with_output_stride(load(name), stride)


def test_a_variant_may_have_another_head_and_stride(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "name: own\nbase: mobilenetv2_050\nwidth: 0.5\noutput_stride: 16\nnum_classes: 3\n"
        "head: {head: lraspp, low: 4}\n"
    )
    network = load(own)
    assert total_stride(network) == 16 and network.head == LiteRAspp(low=4) and network.num_classes == 3
    for wrong, told in (("output_stride: 12", "own.yaml: own: has no output stride of 12"),
                        ("head: {head: lraspp, low: stages.8.0}", "own.yaml: head: taps stages.8.0"),
                        ("head: {head: lraspp, low: last}", "head.low")):  # fmt: skip
        own.write_text(f"name: own\nbase: mobilenetv2_050\n{wrong}\n")
        with pytest.raises(ArchitectureError, match=told):
            load(own)


def test_counts_of_deeplab_by_hand():
    """At 520 pixels the last map is 33x33 with 960 channels; totals are those of torchvision's."""
    base = load(NAME)
    head = DeepLabV3(conv_channels=960, norm_eps=1e-5)
    network = msgspec.structs.replace(base, head=head)
    found = cost(network)
    positions, mean = 33 * 33, 960 * 256
    backbone = 1_937_374_688
    aspp = 960 * 256 + 3 * 9 * 960 * 256 + 5 * 256 * 256
    assert found.macs == backbone + (aspp + 9 * 256 * 256 + 256 * 21) * positions + mean == 10_436_350_688
    assert found.params == 11_025_477
    separable = cost(msgspec.structs.replace(base, head=DeepLabV3(conv_channels=960, separable=True)))
    narrow = 3 * (9 * 960 + 960 * 256) + 9 * 256 + 256 * 256
    assert found.macs - separable.macs == (3 * 9 * 960 * 256 + 9 * 256 * 256 - narrow) * positions


def test_counts_of_a_semantic_pyramid_by_hand():
    """EfficientFormer-L1 at 512 pixels, 150 classes: 48, 96, 224 and 448 channels at strides 4 to 32."""
    network = load("efficientformer_l1").at(height=512).with_classes(150)
    network = msgspec.structs.replace(network, head=SemanticFpn(image_size=False))
    *_, head = cost(network).blocks.values()
    widths = (48, 96, 224, 448)
    laterals = sum(width * 256 + 256 for width in widths)
    post = 4 * (9 * 256 * 256 + 256)
    levels = 4 * 9 * 256 * 128 + 3 * 9 * 128 * 128  # 1, 1, 2 and 3 convolutions
    assert head.params == laterals + post + levels + 7 * 2 * 128 + 128 * 150 + 150 == 4_213_398
    at = {stride: (512 // stride) ** 2 for stride in (4, 8, 16, 32)}
    first, more = 9 * 256 * 128, 9 * 128 * 128
    macs = sum((width * 256 + 9 * 256 * 256) * at[stride] for width, stride in zip(widths, at, strict=True))
    macs += (first + 150 * 128) * at[4] + first * at[8] + (first * at[16] + more * at[8])
    macs += first * at[32] + more * at[16] + more * at[8]
    assert head.macs == macs == 21_315_452_928
