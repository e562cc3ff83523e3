"""Built networks whose heads tap, and finer last maps: as torchvision answers, folded, exported, inherited."""

import msgspec
import onnxruntime
import pytest
import timm
import torch
import torchvision
from nn_helpers import image, randomise, relative_error
from torch import nn
from torchvision.models.detection.image_list import ImageList
from zoo_helpers import brief

import ridgepoint as rp
from ridgepoint.arch.heads.deeplab import DeepLabV3
from ridgepoint.arch.heads.lraspp import LiteRAspp
from ridgepoint.arch.heads.semantic_fpn import SemanticFpn
from ridgepoint.arch.network import place_blocks
from ridgepoint.arch.scale import with_output_stride
from ridgepoint.arch.shrink import knobs, turn
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import load
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.parts import part_of
from ridgepoint.errors import ArchitectureError, InputError
from ridgepoint.nn.build import build
from ridgepoint.nn.create import create_model
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.inherit import inherit
from ridgepoint.nn.supernet import Supernet
from ridgepoint.nn.weights import load_weights

NAME = "lraspp_mobilenet_v3_large"


class Only(nn.Module):
    """torchvision's answer as a tensor."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)["out"]


@pytest.fixture(scope="module")
def pair():
    """torchvision's Lite R-ASPP with random weights of order 1, and ours with the same."""
    theirs = Only(torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None))
    reference = randomise(theirs, size=64)
    model = create_model(NAME).eval()
    report = load_weights(model, reference.model.state_dict())
    assert report.naming == "torchvision_mobilenetv3" and not report.adapted and not report.reset
    return model, reference


@torch.no_grad()
def test_answers_equal_torchvisions_and_folded_ones_too(pair):
    model, reference = pair
    folded = fuse(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    for size in ((64, 96), (97, 70)):
        x = image(2, 3, *size)
        wanted = reference(x)
        assert relative_error(model(x), wanted) < 1e-5 and relative_error(folded(x), wanted) < 1e-4


def test_another_number_of_classes_leaves_both_classifiers_fresh(pair):
    _, reference = pair
    report = load_weights(create_model(NAME, num_classes=3), reference.model.state_dict())
    assert len(report.reset) == 4 and all("classifier" in key for key in report.reset)


@torch.no_grad()
def test_a_dilated_classifier_answers_as_torchvisions():
    reference = randomise(torchvision.models.mobilenet_v3_large(dilated=True), size=64)
    model = build(with_output_stride(load("mobilenetv3_large_100"), 16, eager=True)).eval()
    load_weights(model, reference.state_dict())
    x = image(2, 3, 64, 96)
    assert relative_error(model(x), reference(x)) < 1e-5


@pytest.mark.parametrize("name", ["mobilenetv2_050", "mobilenetv4_conv_small_035", "repvit_m0_9"])
@torch.no_grad()
def test_a_finer_last_map_holds_the_one_before(name):
    """In double precision; but for squeeze-excitation, whose mean is then of other positions."""
    network = load(name).at(height=64)
    stages = [
        msgspec.structs.replace(
            stage,
            blocks=tuple(
                msgspec.structs.replace(b, **({"se": False} if hasattr(b, "se") else {})) for b in stage.blocks
            ),
        )
        for stage in network.stages
    ]
    network = msgspec.structs.replace(network, stages=tuple(stages))
    plain = randomise(build(network), size=64).double()
    for stride in (16, 8):
        fine = build(with_output_stride(network, stride)).double().eval()
        fine.load_state_dict(plain.state_dict())
        x = image(1, 3, 64, 64, dtype=torch.float64)
        step = 32 // stride
        found, wanted = (model.stages(model.stem(x)) for model in (fine, plain))
        assert relative_error(found[..., ::step, ::step], wanted) < 1e-10


@torch.no_grad()
def test_ssdlite_answers_as_torchvisions(tmp_path):
    """Weights go over in order, but for boxes, which come first here; anchors are theirs; folded and as a file too."""
    theirs = torchvision.models.detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=4
    )
    network = load("ssdlite320_mobilenet_v3_large").with_classes(3).at(height=64)
    model = randomise(build(network), size=64)
    parts = {
        "": theirs.backbone, "head.classifier.scores": theirs.head.classification_head,
        "head.classifier.boxes": theirs.head.regression_head,
    }  # fmt: skip
    own = model.state_dict()
    for prefix, part in parts.items():
        mine = [own[key] for key in own if key.startswith(prefix) and (prefix or "head.classifier" not in key)]
        part.load_state_dict(dict(zip(part.state_dict(), mine, strict=True)))
    theirs.eval()
    x = image(2, 3, 64, 64)
    maps = list(theirs.backbone(x).values())
    told = theirs.head(maps)
    anchors = theirs.anchor_generator(ImageList(x, [(64, 64)] * 2), maps)
    boxes = [theirs.box_coder.decode_single(*each) / 64 for each in zip(told["bbox_regression"], anchors, strict=True)]
    wanted = torch.cat([torch.stack(boxes), told["cls_logits"].softmax(-1)[..., 1:]], -1)
    for found in (model(x), fuse(model)(x)):
        assert relative_error(found, wanted) < 1e-4
    path = tmp_path / "model.onnx"
    export_for_timing(model, network.input_shape, path)
    session = onnxruntime.InferenceSession(path)
    (answer,) = session.run(None, {session.get_inputs()[0].name: x[:1].numpy()})
    assert relative_error(torch.from_numpy(answer), wanted[:1]) < 1e-4
    assert inherit(network, model)(x).shape == wanted.shape


def small(low: int | str = "stages.1.0.expand"):
    head = LiteRAspp(low=low, conv_channels=64, hidden_channels=32)
    return msgspec.structs.replace(load("mobilenetv3_small_050").at(height=64), head=head, num_classes=5)


@torch.no_grad()
def test_every_narrower_child_inherits_and_an_equal_one_answers_alike():
    network = small()
    parent = randomise(build(network), size=64)
    x = image(1, 3, 64, 64)
    assert relative_error(inherit(network, parent)(x), parent(x)) == 0
    for knob in knobs(network):
        child = next((child for width in knob.narrower if (child := turn(network, knob, width)) is not None), None)
        if child is not None:
            assert inherit(child, parent)(x).shape == (1, 5, 64, 64)


@torch.no_grad()
def test_the_files_of_the_network_and_of_its_head_alone_answer_alike(tmp_path):
    network = small()
    model = randomise(build(network), size=64)
    head, _ = part_of([place_blocks(network, deploy=True)[-1]])
    maps = place_blocks(network)[-1].input
    for name, module, shape, x in (
        ("whole", model, network.input_shape, image(1, 3, 64, 64)),
        ("head", head, maps, image(1, maps.elements)),
    ):
        path = tmp_path / f"{name}.onnx"
        export_for_timing(module, shape, path)
        session = onnxruntime.InferenceSession(path)
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        assert relative_error(torch.from_numpy(found), module(x)) < 1e-4, name


def test_what_cannot_take_such_networks_yet_says_so(tmp_path):
    network = small()
    about = {
        "preprocessing": Preprocessing(height=64, width=64, channels=3, resize=64, mean=(0.5,) * 3, std=(0.5,) * 3),
        "labels": list("abcde"),
    }
    with pytest.raises(ArchitectureError, match="gives a class map; what is wanted here is classes"):
        rp.export(build(network).eval(), tmp_path / "model.onnx", network=network, **about)
    with pytest.raises(InputError, match="taps maps from within the network"):
        Supernet(load_space("mobilenetv4_conv_32px").closed(head={"head": "lraspp", "low": 2}))


@torch.no_grad()
def test_deeplab_answers_as_torchvisions(pair):
    """With its weights: the backbone by way of Lite R-ASPP, the head view by view, its projection cut in five."""
    theirs = Only(
        torchvision.models.segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5)
    )
    reference = randomise(theirs, size=64)
    bridge = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)
    bridge.backbone.load_state_dict(reference.model.backbone.state_dict())
    between = create_model(NAME)
    load_weights(between, bridge.state_dict())
    head = DeepLabV3(conv_channels=960, norm_eps=1e-5)
    model = build(msgspec.structs.replace(load(NAME), head=head, num_classes=5)).eval()
    for name in ("stem", "stages"):
        model.get_submodule(name).load_state_dict(between.get_submodule(name).state_dict())
    ours = model.head.get_submodule("classifier.classes")
    ours.get_submodule("conv").load_state_dict(between.head.get_submodule("features.high.conv").state_dict())
    aspp, conv, norm, _, classes = reference.model.classifier
    views = ours.get_submodule("aspp.views")
    names, parts = ("point", "rate12", "rate24", "rate36", "mean"), aspp.project[0].weight.split(256, dim=1)
    for name, part, view in zip(names, parts, aspp.convs, strict=True):
        own = views.get_submodule(name)
        given = own.get_submodule("view.features" if name == "mean" else "view")
        their_conv, their_norm = (view[1], view[2]) if name == "mean" else (view[0], view[1])
        given.get_submodule("conv").load_state_dict(their_conv.state_dict())
        given.get_submodule("norm").load_state_dict(their_norm.state_dict())
        own.get_submodule("project").weight.copy_(part)
    ours.get_submodule("aspp.norm").load_state_dict(aspp.project[1].state_dict())
    ours.get_submodule("refine.conv").load_state_dict(conv.state_dict())
    ours.get_submodule("refine.norm").load_state_dict(norm.state_dict())
    ours.get_submodule("classes").load_state_dict(classes.state_dict())
    x = image(2, 3, 96, 128)
    assert relative_error(model(x), reference(x)) < 1e-5
    assert relative_error(fuse(model)(x), reference(x)) < 1e-4


@pytest.mark.parametrize(
    "base", ["efficientformer_l1", "mobileone_s0", "mobilenetv4_conv_small_035", "mobilenetv3_small_050"]
)
@torch.no_grad()
def test_heads_fold_on_tokens_branches_and_maps(base):
    """An answer of every head, the same folded."""
    heads = (
        LiteRAspp(low=8),
        SemanticFpn(hidden_channels=16, level_channels=8, separable=True),
        DeepLabV3(separable=True),
    )
    for head in heads:
        model = randomise(build(msgspec.structs.replace(brief(base, height=64), head=head, num_classes=3)), size=64)
        x = image(2, 3, 64, 64)
        assert model(x).shape == (2, 3, 64, 64)
        assert relative_error(fuse(model)(x), model(x)) < 1e-4, head.tag()


def test_weights_of_a_classifier_start_all_but_a_head_for_maps():
    """Published under timm's names; those of a deeper or another body are refused as ever."""
    theirs = randomise(timm.create_model("mobilenetv2_050", num_classes=7), size=64)
    network = msgspec.structs.replace(load("mobilenetv2_050"), head=SemanticFpn(hidden_channels=16), num_classes=3)
    model = build(network)
    report = load_weights(model, theirs.state_dict())
    assert report.tensors > 200 and all(key.startswith("head.") for key in report.reset)
    assert torch.equal(model.stem[0].conv.weight, theirs.conv_stem.weight)
    deeper = {f"blocks.9.{key}": value for key, value in theirs.blocks[1].state_dict().items()}
    with pytest.raises(InputError, match="left over"):
        load_weights(model, theirs.state_dict() | deeper)
    lacking = {key: value for key, value in theirs.state_dict().items() if not key.startswith("blocks.2")}
    with pytest.raises(InputError, match="missing"):
        load_weights(model, lacking)
