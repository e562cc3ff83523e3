"""Norms folded into weights, as deployed files have them, come back before training."""

from copy import deepcopy

import pytest
import torch

from ridgepoint.arch.zoo import load
from ridgepoint.nn.build import build
from ridgepoint.nn.layers import Chain
from ridgepoint.nn.norms import folded_norms, unfold_norms
from ridgepoint.train.freeze import keep_statistics


def _folded_norm(channels: int) -> torch.nn.BatchNorm2d:
    norm = torch.nn.BatchNorm2d(channels, eps=1e-3)
    norm.running_var.fill_(1 - norm.eps)
    norm.bias.data.normal_()
    return norm


def test_eval_mode_stays_and_train_mode_computes_the_same_on_the_images_seen():
    torch.manual_seed(0)
    model = build(load("tf_mobilenetv2_100").at(height=64).with_classes(5)).double().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.fill_(1 - module.eps)
            module.bias.data.normal_(std=0.3)
    untouched = deepcopy(model)
    images, others = torch.randn(2, 16, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        before, before_others = model(images), model(others)
        assert unfold_norms(model, [images]) == 52
        torch.testing.assert_close(model(others), before_others, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(model.train()(images), before, rtol=1e-9, atol=1e-9)
        assert (untouched.train()(images) - before).abs().max() > 0.1


def test_statistics_are_those_of_the_images():
    torch.manual_seed(0)
    norm = _folded_norm(4)
    x_BCHW = torch.randn(64, 4, 8, 8) * torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1) + 5
    unfold_norms(norm, x_BCHW.split(16))
    torch.testing.assert_close(norm.running_mean, x_BCHW.mean((0, 2, 3)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm.running_var, x_BCHW.var((0, 2, 3), correction=0), rtol=1e-4, atol=1e-4)


def test_norms_with_statistics_of_their_own_are_left_alone():
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(4)
    norm(torch.randn(16, 4, 8, 8) * 2 + 1)
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    assert folded_norms(norm) == [] and unfold_norms(norm, [torch.randn(2, 4, 8, 8)]) == 0
    assert all(torch.equal(value, norm.state_dict()[key]) for key, value in before.items())


@pytest.mark.parametrize(
    "name", ["mobilenetv2_100", "tf_efficientnet_lite0", "mobilenetv3_small_100", "mobileone_s0", "efficientformer_l1"]
)
def test_norms_that_keep_their_statistics_learn_within_the_convolutions_before_them(name: str):
    """Gradients are those of a norm with a pass of its own, which few still take."""
    model = build(load(name).at(height=64).with_classes(3)).double()
    generator = torch.Generator().manual_seed(0)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        for values in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            values.add_(torch.rand(values.shape, generator=generator, dtype=torch.float64), alpha=0.2)
    images = torch.rand(2, 3, 64, 64, generator=generator, dtype=torch.float64)
    passes: list[str] = []
    for norm in norms:
        norm.register_forward_hook(lambda *_: passes.append("a norm"))
    found: list[dict[str, torch.Tensor]] = []
    for held in (True, False):
        model.train()
        keep_statistics(model)
        for chain in (module for module in model.modules() if isinstance(module, Chain)):
            assert chain.held
            chain.held = held
        passes.clear()
        model.zero_grad()
        model(images).square().sum().backward()
        found.append({path: weight.grad for path, weight in model.named_parameters()})
        assert len(passes) <= 0.2 * len(norms) if held else len(passes) == len(norms)
    for path, gradient in found[1].items():
        torch.testing.assert_close(found[0][path], gradient, rtol=1e-8, atol=1e-8 * gradient.abs().max(), msg=path)
