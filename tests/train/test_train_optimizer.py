"""RMSProp by hand and against timm, AGC and averages against timm, weight decay on what it should be on."""

import math

import pytest
import torch
from timm.optim.rmsprop_tf import RMSpropTF
from timm.utils import ModelEmaV3
from timm.utils.agc import adaptive_clip_grad
from torch import nn
from train_helpers import small_network

from ridgepoint.nn.build import build
from ridgepoint.train.clip import AdaptiveClip, ClipNorm
from ridgepoint.train.ema import Average
from ridgepoint.train.optimizer import SGD, AdamW, RMSPropTF, make_optimizer

STEPS = 50


def twins() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    mine = build(small_network())
    other = build(small_network())
    other.load_state_dict(mine.state_dict())
    return mine.train(), other.train()


def backward(model: nn.Module, step: int) -> None:
    """Gradients of a loss on random images, the same for equal steps and weights."""
    generator = torch.Generator().manual_seed(step)
    images, labels = torch.randn(8, 1, 16, 16, generator=generator), torch.arange(8)
    model.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(model(images), labels).backward()


def furthest(mine: nn.Module, other: nn.Module) -> float:
    pairs = zip(mine.state_dict().values(), other.state_dict().values(), strict=True)
    return max((left.double() - right.double()).abs().max().item() for left, right in pairs)


def test_rmsprop_by_hand():
    """One weight of 1, gradients 2 then -1, decay 0.5 of the weight joining them; the mean square starts at 1."""
    weight = nn.Parameter(torch.tensor([[1.0]], dtype=torch.float64))
    model = nn.Module()
    model.weight = weight
    optimizer = make_optimizer(model, RMSPropTF(lr=0.1, rho=0.9, momentum=0.8, eps=0.25), ())
    optimizer.param_groups[0]["weight_decay"] = 0.5
    weight.grad = torch.tensor([[2.0]], dtype=torch.float64)
    optimizer.step()
    # gradient 2.5; mean square 0.9 + 0.1 * 6.25 = 1.525; root of 1.775; velocity 0.25 / 1.3323
    velocity = 0.1 * 2.5 / math.sqrt(1.775)
    first = 1 - velocity
    assert weight.item() == pytest.approx(first, rel=1e-12)
    weight.grad = torch.tensor([[-1.0]], dtype=torch.float64)
    optimizer.step()
    gradient = -1 + 0.5 * first
    mean_square = 0.9 * 1.525 + 0.1 * gradient**2
    velocity = 0.8 * velocity + 0.1 * gradient / math.sqrt(mean_square + 0.25)
    assert weight.item() == pytest.approx(first - velocity, rel=1e-12)


def test_rmsprop_against_timm_for_fifty_steps():
    mine, other = twins()
    ours = make_optimizer(mine, RMSPropTF(lr=0.01, rho=0.9, momentum=0.9, eps=0.002), ())
    ours.param_groups[0]["weight_decay"] = 1e-5
    theirs = RMSpropTF(other.parameters(), lr=0.01, alpha=0.9, momentum=0.9, eps=0.002, weight_decay=1e-5)
    for step in range(STEPS):
        for model, optimizer in ((mine, ours), (other, theirs)):
            backward(model, step)
            optimizer.step()
            if step == STEPS // 2:  # a learning rate that falls acts on what is added, not on what is kept
                optimizer.param_groups[0]["lr"] = 0.001
        other.load_state_dict(mine.state_dict()) if step % 10 == 9 else None  # rounding grows in 50 steps of training
        assert furthest(mine, other) < 1e-5
    of_mine = [state["velocity"] for state in ours.state.values()]
    of_other = [state["momentum_buffer"] for state in theirs.state.values()]
    assert len(of_mine) == len(of_other) == len(list(mine.parameters()))


def test_rmsprop_against_timm_on_given_gradients():
    """The same gradients on both sides, so that nothing but the rule is compared."""
    mine, other = twins()
    ours = make_optimizer(mine, RMSPropTF(lr=0.01, eps=0.002), ())
    ours.param_groups[0]["weight_decay"] = 0.0
    theirs = RMSpropTF(other.parameters(), lr=0.01, alpha=0.9, momentum=0.9, eps=0.002)
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        for left, right in zip(mine.parameters(), other.parameters(), strict=True):
            left.grad = torch.randn(left.shape, generator=generator)
            right.grad = left.grad.clone()
        ours.step()
        theirs.step()
    assert furthest(mine, other) < 1e-6


def test_adaptive_clipping_against_timm_for_fifty_steps():
    mine, other = twins()
    clip, clipped = AdaptiveClip(factor=0.01), 0
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.5) for model in (mine, other)]
    for step in range(STEPS):
        backward(mine, step)
        before = [weight.grad.clone() for weight in mine.parameters()]
        for weight, gradient in zip(other.parameters(), before, strict=True):
            weight.grad = gradient.clone()
        norm = clip(mine)
        adaptive_clip_grad(other.parameters(), clip_factor=0.01)
        assert norm.item() == pytest.approx(torch.cat([gradient.flatten() for gradient in before]).norm().item())
        clipped += sum(not torch.equal(weight.grad, was) for weight, was in zip(mine.parameters(), before, strict=True))
        for optimizer in optimizers:
            optimizer.step()
        mine_weights, other_weights = list(mine.parameters()), list(other.parameters())
        assert all(torch.allclose(a, b, rtol=0, atol=1e-6) for a, b in zip(mine_weights, other_weights, strict=True))
    assert clipped > STEPS, "it had something to clip"


def test_the_average_against_timm_for_fifty_steps():
    """From the first step on, and late, where the ramp of (1 + n) / (10 + n) no longer counts."""
    mine, _ = twins()
    averaged = Average(mine, 0.9)
    averaged.update()
    averaged.n_averaged.fill_(100)
    theirs = ModelEmaV3(mine, decay=0.9, use_warmup=False)
    optimizer = torch.optim.SGD(mine.parameters(), lr=0.1)
    for step in range(STEPS):
        backward(mine, step)
        optimizer.step()
        averaged.update()
        theirs.update(mine)
        assert furthest(averaged.module, theirs.module) < 1e-6
    assert furthest(averaged.module, mine) > 1e-3


def test_a_norm_is_clipped_to_the_most_and_told_as_it_was():
    mine, _ = twins()
    backward(mine, 0)
    before = torch.cat([weight.grad.flatten() for weight in mine.parameters()]).norm().item()
    assert ClipNorm(most=0.01)(mine).item() == pytest.approx(before)
    after = torch.cat([weight.grad.flatten() for weight in mine.parameters()]).norm().item()
    assert after == pytest.approx(0.01, rel=1e-3)


def test_l2_beside_decoupled_decay_is_a_part_of_the_gradient():
    """Adam's first step is its learning rate, against the sign of the gradient, which is g + l2 * w where decayed."""
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 2.0)
    nn.init.constant_(model.bias, 2.0)
    optimizer = make_optimizer(model, AdamW(lr=0.1, l2=1.0), ("bias",))
    optimizer.param_groups[0]["weight_decay"] = 0.0
    model.weight.grad, model.bias.grad = torch.tensor([[-1.0]]), torch.tensor([-1.0])
    optimizer.step()
    assert model.weight.item() == pytest.approx(1.9)
    assert model.bias.item() == pytest.approx(2.1)


@pytest.mark.parametrize(
    "undecayed, names",
    [
        ((), set()),
        (("norm",), {"norm.weight", "norm.bias"}),
        (("bias",), {"linear.bias"}),
        (("norm", "bias", "gain"), {"norm.weight", "norm.bias", "linear.bias", "gain"}),
    ],
    ids=["none", "norm", "bias", "all"],
)
def test_the_kinds_that_are_named_are_spared(undecayed: tuple[str, ...], names: set[str]):
    model = nn.Module()
    model.linear, model.norm, model.gain = nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Parameter(torch.ones(2))
    optimizer = make_optimizer(model, SGD(lr=0.1), undecayed)
    spared = {id(weight) for weight in optimizer.param_groups[1]["params"]}
    assert {name for name, weight in model.named_parameters() if id(weight) in spared} == names
