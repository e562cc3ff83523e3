"""Folding computes the same with fewer layers, anywhere, and never by accident something else."""

import logging

import msgspec
import pytest
import torch
import torchvision
from nn_helpers import image, randomise, relative_error
from torch import nn
from zoo_helpers import FAMILIES, brief, of_new_kinds

from ridgepoint.arch.zoo import list_models, load, published
from ridgepoint.cost.count import cost
from ridgepoint.errors import InputError, ParityError
from ridgepoint.nn import fuse as fuse_module
from ridgepoint.nn import layers
from ridgepoint.nn.count import count
from ridgepoint.nn.create import create_model
from ridgepoint.nn.fuse import fuse

NO_CLASSIFIERS = [
    name
    for name in sorted(list_models(), key=lambda name: published(name).params)
    if (head := load(name).head).answers != "classes"
    and getattr(head, "scores", "") != "sigmoid"  # never in train mode
]


@pytest.mark.parametrize("name", of_new_kinds([*FAMILIES, *NO_CLASSIFIERS]))
def test_the_folded_network_computes_the_same(name):
    model = randomise(create_model(brief(name)), size=64)
    fused = fuse(model)
    params = sum(parameter.numel() for parameter in fused.parameters())
    assert params == cost(model.network, form="deploy").params, "norms are left that the counted form has folded"
    with torch.no_grad():
        x = image(2, 3, 64, 128)
        assert relative_error(whole(fused(x)), whole(model(x))) < 3e-4, "rounding alone, as the next line tells"
        model = model.double()
        assert relative_error(whole(fuse(model)(x.double())), whole(model(x.double()))) < 1e-12


def whole(answer: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """All that a network gives, in one."""
    return answer if isinstance(answer, torch.Tensor) else torch.cat([each.flatten(1) for each in answer], 1)


def test_the_norms_before_attention_are_the_only_ones_that_stay():
    fused = fuse(create_model("mobilenetv4_hybrid_medium_075").eval())
    kept = [name for name, module in fused.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(kept) == 8
    assert all(name.endswith("body.norm") for name in kept)


@pytest.mark.parametrize("name", ["mobileone_s0", "efficientformer_l1", "mobilenetv4_hybrid_medium_075"])
def test_folding_twice_changes_nothing(name):
    once = fuse(randomise(create_model(brief(name)), size=64))
    twice = fuse(once)
    first, second = once.state_dict(), twice.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_model_itself_is_left_as_it_is():
    model = randomise(create_model(brief("mobileone_s0")), size=64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fuse(model)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_model_in_train_mode_is_refused_with_the_reason():
    with pytest.raises(InputError, match=r"statistics of each batch.*Call model\.eval\(\) first"):
        fuse(create_model(brief("mobileone_s0")).train())
    half = create_model(brief("mobileone_s0")).eval()
    half.stages[0].train()
    with pytest.raises(InputError, match="train mode"):
        fuse(half)


class Detector(nn.Module):
    """A user's model: our body, their neck in a plain sequence, a list and a dictionary of heads."""

    def __init__(self):
        super().__init__()
        self.body = create_model(brief("mobileone_s0"), features_only=True, out_indices=(-2, -1))
        self.neck = nn.Sequential(nn.Conv2d(256, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.levels = nn.ModuleList([nn.Sequential(nn.Conv2d(32, 8, 1), nn.BatchNorm2d(8, affine=False))])
        self.heads = nn.ModuleDict(
            {"box": nn.Conv2d(8, 4, 1), "logit": nn.Sequential(nn.Dropout(), nn.Conv2d(8, 2, 1))}
        )

    def forward(self, x):
        maps = self.body(x)
        shared = self.levels[0](self.neck(maps[0]))
        return torch.cat([self.heads["box"](shared), self.heads["logit"](shared)], 1) + maps[1].mean()


def test_a_mobileone_inside_a_users_detector_is_folded_with_the_users_own_parts():
    model = randomise(Detector(), size=64).double()
    fused = fuse(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert not any(isinstance(module, layers.Parallel) for module in fused.modules())
    x = image(2, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        assert relative_error(fused(x), model(x)) < 1e-12


def test_places_in_a_users_sequence_keep_their_numbers():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(), nn.Conv2d(4, 2, 1)).eval()
    fused = fuse(model)
    assert isinstance(fused[3], nn.ReLU)
    assert isinstance(fused[1], nn.Identity)


def test_torchvisions_network_folds_whole():
    model = randomise(torchvision.models.mobilenet_v3_small(), size=64)
    fused = fuse(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    x = image(2, 3, 64, 96)
    with torch.no_grad():
        assert relative_error(fused(x), model(x)) < 1e-5


class NormAndRelu(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).relu()


class OwnOrder(nn.Sequential):
    def forward(self, x):
        return self[0](self[1](x))


@pytest.mark.parametrize(
    "unfit",
    [
        nn.Sequential(nn.Conv2d(3, 3, 1), NormAndRelu(3)),
        OwnOrder(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)),
        nn.Sequential(nn.Linear(8, 8), nn.BatchNorm2d(3)),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3)),
        nn.Sequential(nn.ConvTranspose2d(3, 3, 1), nn.BatchNorm2d(3)),
    ],
)
def test_what_only_looks_like_a_convolution_and_its_norm_is_left_alone(unfit):
    model = randomise(unfit, size=8)
    fused = fuse(model)
    x = image(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(fused(x), model(x))
    assert any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())


def test_a_convolution_that_two_norms_share_is_folded_into_each():
    shared = nn.Conv2d(3, 3, 3, padding=1)
    model = randomise(nn.Sequential(nn.Sequential(shared, nn.BatchNorm2d(3)), nn.Sequential(shared, nn.BatchNorm2d(3))))
    x = image(2, 3, 8, 8)
    with torch.no_grad():
        assert relative_error(fuse(model)(x), model(x)) < 1e-5


def test_large_and_dilated_kernels_are_checked_too():
    for conv in (nn.Conv2d(3, 4, 16, stride=16), nn.Conv2d(3, 4, 5, dilation=6)):
        model = randomise(nn.Sequential(conv, nn.BatchNorm2d(4)))
        assert len(list(fuse(model).parameters())) == 2


def test_branches_that_same_padding_sets_apart_stay_branches():
    """With stride 2, SAME padding centres a 3x3 kernel one pixel off a 1x1 kernel: no single convolution is both."""
    network = load("mobileone_s1").at(height=64)
    network = msgspec.structs.replace(
        network, conventions=msgspec.structs.replace(network.conventions, padding="same"), stages=network.stages[:2]
    )
    model = randomise(create_model(network)).double()
    fused = fuse(model)
    x = image(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        assert relative_error(fused(x), model(x)) < 1e-12
    deploy = cost(network, form="deploy")
    counts = count(fused, network.input)
    assert (counts.params, counts.macs) == (deploy.params, deploy.macs)


def test_a_wrong_fold_is_caught_by_the_check(monkeypatch):
    monkeypatch.setattr(fuse_module, "_identity_kernel", lambda norm, like: (like.weight * 0, None))
    with pytest.raises(ParityError, match="folding changed what a part computes"):
        fuse(randomise(create_model(brief("mobileone_s1")), size=64))


def test_what_folding_saved_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="ridgepoint.nn.fuse"):
        fuse(create_model("mobileone_s0").eval())
    assert "5.29 M params, 1.05 G MACs before, 2.08 M params, 275 M MACs after" in caplog.text


def test_efficientformer_takes_any_size_folded_or_not():
    model = randomise(create_model(brief("efficientformer_l1")), size=64).double()
    fused = fuse(model)
    with torch.no_grad():
        for size in ((224, 224), (64, 96), (97, 131)):
            x = image(1, 3, *size, dtype=torch.float64)
            assert relative_error(fused(x), model(x)) < 1e-12


def test_no_bias_is_stale_after_new_weights_in_eval_mode():
    first, second = (randomise(create_model(brief("efficientformer_l1")), seed, size=64) for seed in (0, 1))
    x = image(1, 3, 64, 64)
    with torch.no_grad():
        for take in (lambda model: model, fuse):
            model, other = take(first), take(second)
            model(x)
            model.load_state_dict(other.state_dict())
            assert torch.equal(model(x), other(x))


def test_two_classifiers_are_apart_while_a_teacher_trains_one_and_stay_apart_when_folded():
    model = randomise(create_model(brief("efficientformer_l1"), num_classes=5), size=64)
    x = image(2, 3, 64, 64)
    with torch.no_grad():
        mean = model(x)
        model.head.classifier.join.separate = True
        label, teacher = model(x)
        assert relative_error((label + teacher) / 2, mean) < 1e-6
        fused_label, fused_teacher = fuse(model)(x)
        assert relative_error(fused_label, label) < 1e-5
        assert relative_error(fused_teacher, teacher) < 1e-5
