"""Where the norms of summed branches are: in each of them, or after the sum."""

import json

import msgspec
import pytest
import torch
from cli_helpers import call, refused
from nn_helpers import image, randomise, relative_error

from ridgepoint.arch.document import dump_network, parse_network
from ridgepoint.arch.heads.widened import WidenedHead
from ridgepoint.arch.layer import Add, BatchNorm, Conv2d
from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.scale import with_norms
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.errors import InheritanceError
from ridgepoint.nn.build import build
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.inherit import inherit

UNIT = {"block": "rep_conv", "kernel": 3, "out_channels": 16, "branches": 2}
BLOCK = {"block": "mobileone", "kernel": 3, "out_channels": 16, "branches": 2}


def network(*rows: dict, width: int = 16, **more) -> Network:
    raw = {
        "name": "summed",
        "input": [3, 16, 16],
        "num_classes": 5,
        "stem": [{"block": "conv", "out_channels": width}],
        "stages": [{"blocks": list(rows)}],
        "head": {"head": "pooled"},
    }
    return parse_network(raw | more, source="summed")


def layers(net: Network, path: str) -> list[str]:
    (block,) = [each for each in place_blocks(net) if each.path == path]
    return [each.path for each in block.layers if isinstance(each.layer, Conv2d | BatchNorm | Add)]


def test_by_hand_one_norm_follows_the_sum_and_the_1x1_and_the_identity_have_none():
    net = network({**UNIT, "norms": "sum"})
    convolutions = [f"rep.conv{number}.{part}" for number in (0, 1) for part in ("conv", "norm")]
    assert layers(net, "stages.0.0") == [
        f"stages.0.0.{each}" for each in (*convolutions, "rep.scale.conv", "rep.join", "norm")
    ]
    kernels, norms = 2 * 9 * 16 * 16 + 16 * 16, 3 * 2 * 16
    assert cost(net).blocks["stages.0.0"].params == kernels + norms
    each = network(UNIT)
    assert cost(each).blocks["stages.0.0"].params == kernels + 4 * 2 * 16
    assert cost(net, form="deploy").params == cost(each, form="deploy").params
    assert cost(net).macs == cost(each).macs and cost(net, form="deploy").macs == cost(each, form="deploy").macs


def test_convolutions_of_the_largest_kernel_keep_their_norms_in_1x1_units_too():
    net = network({**BLOCK, "norms": "sum"})
    found = [each.removeprefix("stages.0.0.") for each in layers(net, "stages.0.0")]
    assert [each for each in found if each.endswith("norm")] == [
        "depthwise.rep.conv0.norm", "depthwise.rep.conv1.norm", "depthwise.norm",
        "pointwise.rep.conv0.norm", "pointwise.rep.conv1.norm", "pointwise.norm",
    ]  # fmt: skip


def test_what_is_left_out_is_as_ever_and_documents_tell_only_what_is_not():
    assert network(UNIT) == network({**UNIT, "norms": "branches"})
    assert "norms" not in dump_network(network(UNIT)) and "norms: sum" in dump_network(
        network({**UNIT, "norms": "sum"})
    )


@pytest.mark.parametrize("more", [{}, {"stride": 2}, {"se": True}, {"out_channels": 24}])
def test_it_folds_to_one_convolution_and_computes_the_same(more):
    net = network({**BLOCK, **more, "norms": "sum"}, BLOCK | {"norms": "sum"})
    model = randomise(build(net), size=16).double()
    fused = fuse(model)
    assert not [name for name, _ in fused.named_modules() if name.endswith("norm")]
    x = image(2, 3, 16, 24, dtype=torch.float64)
    with torch.no_grad():
        assert relative_error(fused(x), model(x)) < 1e-12


@torch.no_grad()
def test_an_equal_child_inherits_all_and_a_narrower_one_the_channels_that_matter():
    wide, x = {**BLOCK, "norms": "sum", "out_channels": 32}, image(2, 3, 16, 16)
    parent = randomise(build(network(wide)), size=16)
    assert torch.equal(inherit(network(wide), parent)(x), parent(x))
    unit = parent.get_submodule("stages.0.0.pointwise")
    for weight in (unit.rep.conv0.conv.weight, unit.rep.conv1.conv.weight, unit.norm.weight, unit.norm.bias):
        weight[4:12] = 0
    unit.norm.running_mean[4:12] = 0
    child = inherit(network({**wide, "out_channels": 24}), parent)
    assert torch.allclose(child(x), parent(x), atol=1e-5)


def test_norms_elsewhere_are_another_network_for_who_inherits():
    with pytest.raises(InheritanceError, match=r"stages\.0\.0.*is made of other layers in the child"):
        inherit(network({**UNIT, "norms": "sum"}), build(network(UNIT)))


def test_it_is_shown_by_name_and_what_is_not_known_is_refused(tmp_path):
    path = tmp_path / "summed.yaml"
    path.write_text(dump_network(network({**BLOCK, "norms": "sum"}, BLOCK)))
    rows = json.loads(call("show", path, "--json").stdout)["blocks"]
    assert [row["kind"] for row in rows][1:3] == ["MobileOne, normed sum", "MobileOne"]
    path.write_text(path.read_text().replace("norms: sum", "norms: after"))
    refused(call("show", path), "norms", "after", "branches, sum")


def test_a_fold_that_cannot_be_keeps_the_norm():
    """With a stride TensorFlow's padding puts the centres of a 3x3 and a 1x1 kernel on different pixels."""
    net = network({**UNIT, "stride": 2, "norms": "sum"}, conventions={"padding": "same"})
    model = randomise(build(net), size=16)
    fused, x = fuse(model), image(2, 3, 16, 16)
    assert any(name.endswith("0.norm") for name, _ in fused.named_modules())
    assert sum(each.numel() for each in fused.parameters()) == cost(net, form="deploy").params
    with torch.no_grad():
        assert relative_error(fused(x), model(x)) < 1e-4


def test_a_variant_moves_the_norms_of_all_its_blocks(tmp_path):
    path = tmp_path / "variant.yaml"
    path.write_text("name: mine\nbase: mobileone_s0\nnorms: sum\n")
    base, found = load("mobileone_s0"), load(path)
    assert (
        all(block.norms == "sum" for _, block in found.rows()) and with_norms(found, "branches").stages == base.stages
    )
    assert cost(found, form="deploy").params == cost(base, form="deploy").params
    head = msgspec.structs.replace(base, head=WidenedHead())
    assert with_norms(head, "sum").head == WidenedHead(norms="sum")
    path.write_text("name: mine\nbase: mobilenetv2_050\nnorms: sum\n")
    refused(call("show", path), "norms is 'sum', and none of its blocks sums branches", "Leave norms out")
