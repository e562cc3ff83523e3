"""RetinaNet: counts by hand, what levels share, and that it is built, folded and trained as other heads are."""

import msgspec
import pytest
import torch
from mac_hooks import macs_by_hooks

from ridgepoint.arch.heads.retinanet import RetinaNet
from ridgepoint.arch.layer import SharedConv2d
from ridgepoint.arch.network import answer_shape, lower
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.nn.build import build
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.inherit import inherit
from ridgepoint.tasks.boxes.multibox import multibox

NAME = "retinanet_mobilenetv4_conv_medium"
GRIDS = (48, 24, 12, 6, 3)
POSITIONS = sum(side**2 for side in GRIDS)


def small(**more) -> "msgspec.Struct":
    head = RetinaNet(channels=16, depth=2, **more)
    return msgspec.structs.replace(load("mobilenetv3_small_050").at(height=64), head=head, num_classes=3)


def test_the_counts_of_the_paper():
    """MobileNetV4, Table 7: 9.79 M with an unused 1x1 convolution (960 -> 1280) and without norms; parts by hand."""
    counted = cost(load(NAME))
    norms = sum(layer.params for layer in counted.layers if layer.kind == "batchnorm")
    assert counted.params - norms + 960 * 1280 == 9_785_367
    head = counted.blocks["head"]

    def macs(part: str) -> int:
        return sum(layer.macs for layer in head.layers if part in layer.path)

    assert macs(".boxes.conv0.") * 4 == 832_803_840 == (9 * 256 + 256 * 256) * POSITIONS * 4
    assert macs(".scores.conv.") == 650_529_792 and macs(".boxes.conv.") == 35_354_880
    assert macs(".post.") == 205_148_160 and macs(".level6.") + macs(".level7.") == 3_052_800
    assert answer_shape(load(NAME)) == (9 * POSITIONS, 94)


@torch.no_grad()
def test_levels_share_convolutions_and_have_norms_of_their_own():
    network = small()
    model = build(network).eval()
    counted = cost(network)
    assert sum(parameter.numel() for parameter in model.parameters()) == counted.params
    assert macs_by_hooks(model, network.input)[""] == counted.macs
    tower = model.head.get_submodule("classifier.scores")
    assert sum(isinstance(layer.layer, SharedConv2d) for layer in lower(network)) == 12
    assert len({id(norm) for norm in tower.modules() if isinstance(norm, torch.nn.BatchNorm2d)}) == 2 * 5
    maps = [torch.randn(1, 16, side, side) for side in (8, 4)]
    shared = tower.get_submodule("conv0.depthwise")
    whole, halves = shared(maps), [shared([each])[0] for each in maps]
    assert all(torch.equal(one, other) for one, other in zip(whole, halves, strict=True))


@torch.no_grad()
def test_it_is_folded_inherited_and_exported_as_it_was(tmp_path):
    import onnxruntime

    from ridgepoint.deploy.export import export_for_timing

    network = small()
    model = build(network).eval()
    x = torch.randn(2, 3, 64, 64)
    wanted = model(x)
    assert wanted.shape == (2, 9 * (64 + 16 + 4 + 1 + 1), 7)
    for found in (fuse(model)(x), inherit(network, model).eval()(x)):
        assert torch.allclose(found, wanted, atol=1e-5)
    export_for_timing(model, network.input_shape, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    (answer,) = session.run(None, {session.get_inputs()[0].name: x[:1].numpy()})
    assert torch.allclose(torch.from_numpy(answer), wanted[:1], atol=1e-4)
    assert inherit(small(conv_channels=32), build(small(conv_channels=48))).eval()(x).shape == wanted.shape


def test_it_learns_one_image_by_heart():
    torch.manual_seed(0)
    model = build(small()).train()
    x, truth = (
        torch.randn(2, 3, 64, 64),
        torch.tensor([[[0.0, 0.1, 0.1, 0.5, 0.5, 0.0]], [[1.0, 0.4, 0.3, 0.9, 0.9, 0.0]]]),
    )
    optimizer = torch.optim.Adam(model.parameters(), 3e-2)
    losses = []
    for _ in range(20):
        loss = multibox(model(x), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def test_what_it_cannot_take_is_told():
    with pytest.raises(Exception, match="taps 16, and nothing before it leaves that"):
        cost(msgspec.structs.replace(load("deeplabv3_mobilenetv2_voc"), head=RetinaNet()))
