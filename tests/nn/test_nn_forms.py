"""Deploy forms: what each target gets computes the same, has no module left that asks who looks, and is checked."""

from typing import Any

import pytest
import torch
from torch import nn
from zoo_helpers import brief

from ridgepoint.arch.document import parse_network
from ridgepoint.errors import InputError, ParityError
from ridgepoint.nn import layers
from ridgepoint.nn.anchored import AnchoredRows
from ridgepoint.nn.attention import LinearAttention
from ridgepoint.nn.build import build
from ridgepoint.nn.depthwise import DepthwiseConv2d
from ridgepoint.nn.forms import (
    FORMS,
    AttentionInPairs,
    BakedAnchoredRows,
    ClampedHardsigmoid,
    ConcatOfFew,
    ConvolutionOfEach,
    MultipliedHardswish,
    RepeatedNearest,
    SigmoidGelu,
    UnmergedSelfAttention,
    in_form,
)
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.map_norms import MapLayerNorm, ResponseNorm, RmsNorm
from ridgepoint.nn.pointwise import PointwiseConv2d
from ridgepoint.nn.shaping import ResizeNearest
from ridgepoint.testing.runtimes import attention_network

OURS = (DepthwiseConv2d, PointwiseConv2d, layers.AveragePool)


def detector(head: str) -> dict[str, Any]:
    """A small network that gives boxes from maps of 16, 8 and 4 positions a side and smaller ones."""
    row = {"block": "conv", "kernel": 3, "stride": 2, "out_channels": 8}
    stages = [{"blocks": [row, row]}, {"blocks": [row]}]
    how = {"fine": 8} if head == "ssdlite" else {"finer": 4, "fine": 8, "channels": 8, "depth": 2}
    return {"name": "t", "input": [3, 64, 64], "num_classes": 3, "stem": [row], "stages": stages} | {
        "head": {"head": head} | how
    }


@pytest.fixture(
    scope="module", params=["mobilenetv4_hybrid_medium_075", "efficientformer_l1", "mobilenetv3_small_050", None]
)
def model(request) -> nn.Module:
    """Of the zoo, or with every attention and every norm of single images."""
    torch.manual_seed(0)
    network = brief(request.param, height=64) if request.param else attention_network().at(height=64)
    built = build(network, num_classes=8).eval()
    for name, parameter in built.named_parameters():
        if name.endswith("bias") and parameter.dim() == 2:  # attention's, which begin as zeros
            nn.init.normal_(parameter)
        elif parameter.dim() == 1:  # gains and offsets
            parameter.data.add_(0.3 * torch.randn_like(parameter))
    return built


@pytest.mark.parametrize("target", FORMS)
def test_a_form_computes_the_same(model: nn.Module, target: str):
    formed, x = fuse(model, target=target), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(formed(x), model(x), rtol=1e-3, atol=1e-4)
    kinds = {type(each) for each in formed.modules()}
    assert not kinds & {*OURS, layers.SelfAttention, layers.MultiQueryAttention}
    assert target not in ("litert", "litert-int8") or LinearAttention not in kinds
    assert target != "executorch" or not kinds & {nn.LayerNorm, MapLayerNorm, nn.GroupNorm, ResponseNorm, RmsNorm}
    assert not any(each._forward_hooks for each in [*model.modules(), *formed.modules()])


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.GroupNorm(1, 4), (2, 4, 5, 6)),
        (nn.GroupNorm(2, 4), (2, 4, 5, 6)),
        (RmsNorm(4, 1e-6, of_map=True), (2, 4, 5, 6)),
        (RmsNorm(4, 1e-6, of_map=False), (2, 5, 4)),
    ],
    ids=["one group", "two groups", "map", "tokens"],
)
def test_norms_are_spelt_for_executorch(norm: nn.Module, shape: tuple[int, ...]):
    """Those that the network above has not; a norm of several groups stays."""
    nn.init.normal_(norm.weight)
    x = torch.randn(shape)
    formed = in_form(nn.Sequential(norm), "executorch", x)
    torch.testing.assert_close(formed(x), norm(x))
    assert (type(formed[0]) is nn.GroupNorm) == (getattr(norm, "num_groups", 1) > 1)


@pytest.mark.parametrize("approximate", ["tanh", "none"])
def test_executorch_gets_a_gelu_that_it_does_not_take_for_the_other(approximate: str):
    gelu, x = nn.GELU(approximate), torch.linspace(-8, 8, 999)
    formed = in_form(nn.Sequential(gelu), "executorch", x)
    torch.testing.assert_close(formed(x), gelu(x))
    assert type(formed[0]) is (SigmoidGelu if approximate == "tanh" else nn.GELU)
    assert not formed[0]._forward_hooks


@pytest.mark.parametrize("target", ["executorch", "litert"])
@pytest.mark.parametrize("size", [(6, 12), (3, 4), (5, 8)], ids=["larger", "as it is", "no whole times"])
def test_the_nearest_pixel_is_repeated_for_xnnpack(target: str, size: tuple[int, int]):
    class Resized(nn.Module):
        def __init__(self):
            super().__init__()
            self.resize = ResizeNearest()

        def forward(self, x):
            return self.resize(x, torch.empty(1, 1, *size))

    x = torch.randn(2, 5, 3, 4)
    formed = in_form(Resized(), target, x)
    torch.testing.assert_close(formed(x), Resized()(x), rtol=0, atol=0)
    assert type(formed.resize) is RepeatedNearest


@pytest.mark.parametrize("target", FORMS)
@pytest.mark.parametrize("head", ["ssdlite", "retinanet"])
def test_boxes_are_decoded_alike_with_anchors_as_constants(head: str, target: str):
    torch.manual_seed(0)
    model, x = build(parse_network(detector(head), source="t")).eval(), torch.randn(1, 3, 64, 64)
    formed = fuse(model, target=target, example=torch.zeros(1, 3, 64, 64))
    with torch.no_grad():
        torch.testing.assert_close(formed(x), model(x), rtol=1e-4, atol=1e-5)
    kinds = {type(each) for each in formed.modules()}
    assert BakedAnchoredRows in kinds and AnchoredRows not in kinds
    assert (layers.Concat in kinds) == ("litert" not in target)
    assert (layers.SharedConv2d in kinds) == (head == "retinanet" and target != "executorch")
    operators = {str(node.target) for node in torch.export.export(formed, (x,)).graph.nodes}
    assert not operators & {"aten.arange.default", "aten.meshgrid.indexing", "aten.to.dtype"}


def test_rows_are_joined_at_most_five_at_a_time_for_litert():
    rows = [torch.randn(2, count, 4) for count in (3, 1, 2, 5, 4, 6, 2, 1, 7, 3, 2)]
    few = ConcatOfFew()
    torch.testing.assert_close(few(*rows), torch.cat(rows, 1), rtol=0, atol=0)
    joins = torch.export.export(few, tuple(rows)).graph.find_nodes(
        op="call_function", target=torch.ops.aten.cat.default
    )
    assert max(len(each.args[0]) for each in joins) == 5


def test_maps_of_one_convolution_have_weights_of_their_own_for_executorch():
    shared = layers.SharedConv2d(3, 4, 3, padding=1)
    maps = [torch.randn(1, 3, size, size) for size in (5, 3, 1)]
    own = ConvolutionOfEach(shared)
    for found, expected in zip(own(maps), shared(maps), strict=True):
        torch.testing.assert_close(found, expected)
    assert len({each.weight.data_ptr() for each in own.each}) == 3


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("executorch", ClampedHardsigmoid),
        ("litert", AttentionInPairs),
        ("litert-int8", MultipliedHardswish),
        ("ncnn", UnmergedSelfAttention),
    ],
)
def test_each_target_has_what_it_needs(target: str, kind: type[nn.Module]):
    names = {AttentionInPairs: "mobilenetv4_hybrid_medium_075"}
    names |= dict.fromkeys((ClampedHardsigmoid, MultipliedHardswish), "mobilenetv3_small_050")
    network = brief(names.get(kind, "efficientformer_l1"), height=64)
    found = {name: fuse(build(network).eval(), target=name) for name in (target, "any")}
    assert any(type(each) is kind for each in found[target].modules())
    assert not any(type(each) is kind for each in found["any"].modules())


def test_a_form_that_computes_something_else_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ClampedHardsigmoid, "forward", lambda self, x: (x / 6 + 0.4).clamp(0, 1))
    with pytest.raises(ParityError, match="Hardsigmoid"):
        in_form(nn.Sequential(nn.Hardsigmoid()), "executorch", torch.zeros(1, 2, 3, 3))


def test_what_is_missing_or_unknown_is_told():
    with pytest.raises(InputError, match=r"target='tflite'; .*litert"):
        fuse(nn.Sequential(), target="tflite")
    with pytest.raises(InputError, match="Give one"):
        fuse(nn.Sequential(), target="ncnn")
