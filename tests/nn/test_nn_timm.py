"""The same weights give the same answers as in timm and torchvision: logits and feature maps."""

import os
import re
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from nn_helpers import image, randomise, relative_error
from torch import nn
from zoo_helpers import FAMILIES, every

from ridgepoint.arch.zoo import list_models, load
from ridgepoint.nn.create import create_model
from ridgepoint.nn.features import FeatureNetwork
from ridgepoint.nn.weights import load_weights

NAMES = [name for name in list_models() if timm.is_model(name)]
DATA = Path(os.environ.get("RIDGEPOINT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def own_size(name: str, other: int) -> int:
    """timm's EfficientFormers take no size but their own; here MobileViT takes multiples of 64."""
    if name.startswith("efficientformer"):
        return 224
    return -(-other // 64) * 64 if name.startswith("mobilevit") else other


def pair(name: str):
    """timm's network with random weights of order 1, and ours with the same weights."""
    reference = randomise(timm.create_model(name), size=own_size(name, 64))
    model = create_model(name).eval()
    load_weights(model, reference.state_dict())
    return model, reference


@torch.no_grad()
def assert_same(model, reference, sizes, *, dtype=torch.float32, allowed=1e-4) -> None:
    for size in sizes:
        x = image(1, 3, *size, dtype=dtype)
        error = relative_error(model(x), reference(x))
        assert error < allowed, (size, dtype, error)


# Of their own authors' code alone, whose counts they meet, or of torchvision, whose answers they meet too.
NOT_IN_TIMM = {
    "mobilenet_multi_avg",
    "mobilenet_multi_avg_150",
    "mobilenet_multi_max",
    "mobilenet_multi_max_150",
    "proxylessnas_mobile",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
}


def test_every_classifier_of_the_zoo_is_compared_at_least_with_another_padding():
    """Networks with other heads are compared in test_nn_heads.py."""
    for name in [name for name in list_models() if load(name).head.answers == "classes" and name not in NOT_IN_TIMM]:
        plain = name.removeprefix("tf_")
        assert {plain, f"tf_{plain}"} & set(NAMES), f"timm has no {name}"


LARGE = {"mobilenetv5_300m"}
"""1.2 GB of weights each: made of mobilenetv5_base's blocks."""


WITH_MAPS = [name for name in NAMES if not name.startswith(("repghostnet", "mobilevit_"))]
"""Of RepGhostNet timm gives the first map at each resolution, and we the last, as of all others; of MobileViT also what
the head makes of the last one."""


NO_FINEST = ("efficientvit", "starnet")
"""Of these timm leaves out what the stem gives at half the resolution."""


@torch.no_grad()
def assert_same_maps(name, whole, source) -> None:
    """Random norm gains and statistics too, so that every tap's place before or after an activation matters."""
    reference = timm.create_model(name, features_only=True)
    wanted = reference.state_dict()
    prefix = "model." if next(iter(wanted)).startswith("model.") else ""
    plain = source.state_dict()
    taken = {key: plain[_plain_name(key.removeprefix(prefix), plain)] for key in wanted}
    reference.load_state_dict(taken)
    with torch.device("meta"):
        model = create_model(name, features_only=True)
    weights = whole.state_dict()
    model.load_state_dict({key: weights[key] for key in model.state_dict()}, assign=True)
    assert_told_alike(name, model, reference)
    x = image(1, 3, own_size(name, 96), own_size(name, 64))
    maps = model.eval()(x)[int(name.startswith(NO_FINEST)) :]
    for map_, expected in zip(maps, reference.eval()(x), strict=True):
        assert relative_error(map_, expected) < 1e-4


@pytest.mark.parametrize("name", every(name for name in NAMES if name not in LARGE))
def test_logits_equal_timms(name):
    """At a small size that is not square; some take one size only. Of a small one of each family its maps too."""
    model, reference = pair(name)
    small = (own_size(name, 64), own_size(name, 96))
    assert_same(model, reference, [small])
    if name in FAMILIES:
        if name in WITH_MAPS:
            assert_same_maps(name, model, reference)
        assert_same(model.double(), reference.double(), [small], dtype=torch.float64, allowed=1e-5)


@pytest.mark.soak
@pytest.mark.parametrize("name", FAMILIES)
def test_logits_equal_timms_at_the_size_that_is_usual(name):
    assert_same(*pair(name), [load(name).input[1:]])


@pytest.mark.parametrize("name", every(name for name in WITH_MAPS if name not in FAMILIES))
def test_feature_maps_are_of_timms_shapes(name):
    with torch.device("meta"):
        assert_told_alike(name, create_model(name, features_only=True), timm.create_model(name, features_only=True))


def assert_told_alike(name: str, model: FeatureNetwork, reference: nn.Module) -> None:
    """Channels and strides of the maps."""
    finest = int(name.startswith(NO_FINEST))
    assert list(model.channels)[finest:] == reference.feature_info.channels()
    assert list(model.strides)[finest:] == reference.feature_info.reduction()


def _plain_name(key: str, plain: dict) -> str:
    """timm's feature networks write `stages_0` or `blocks.0` where the whole network has `stages.0`."""
    return key if key in plain else re.sub(r"^(stages|stem|patch_embed)_", r"\1.", key)


TORCHVISION = {
    "mobilenetv2_100": lambda: torchvision.models.mobilenet_v2(),
    "mobilenetv2_140": lambda: torchvision.models.mobilenet_v2(width_mult=1.4),
    "mobilenetv3_large_100": lambda: torchvision.models.mobilenet_v3_large(),
    "mobilenetv3_small_100": lambda: torchvision.models.mobilenet_v3_small(),
    "shufflenet_v2_x0_5": lambda: torchvision.models.shufflenet_v2_x0_5(),
    "shufflenet_v2_x1_0": lambda: torchvision.models.shufflenet_v2_x1_0(),
    "shufflenet_v2_x1_5": lambda: torchvision.models.shufflenet_v2_x1_5(),
    "shufflenet_v2_x2_0": lambda: torchvision.models.shufflenet_v2_x2_0(),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_logits_equal_torchvisions(name):
    reference = randomise(TORCHVISION[name]())
    model = create_model(name).eval()
    report = load_weights(model, reference.state_dict())
    assert report.naming == f"torchvision_{name[:11] if name.startswith('mobilenet') else 'shufflenetv2'}"
    assert_same(model, reference, [(64, 96)])


def test_real_weights_with_same_padding_agree_with_timm():
    path = DATA / "weights" / "mobilenetv2_100.tf_in1k_from_int8.safetensors"
    if not path.is_file():
        pytest.skip(f"no real weights at {path}; set RIDGEPOINT_TEST_DATA")
    from safetensors.torch import load_file

    reference = timm.create_model("mobilenetv2_100", pad_type="same", bn_eps=1e-3).eval()
    reference.load_state_dict(load_file(path))
    model = create_model("tf_mobilenetv2_100", pretrained=path).eval()
    with torch.no_grad():
        for size in ((224, 224), (160, 192)):
            x = image(2, 3, *size).clamp(-1, 1)
            ours, theirs = model(x), reference(x)
            assert relative_error(ours, theirs) < 1e-4
            assert torch.equal(ours.argmax(1), theirs.argmax(1))
    with pytest.warns(UserWarning, match="SAME padding"):
        create_model("mobilenetv2_100", pretrained=path)
