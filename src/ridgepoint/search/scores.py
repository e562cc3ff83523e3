"""Zero-cost scores: numbers that an untrained network gives on one batch, for choosing among many draws what to train.

None of them is an accuracy, nor a promise of one: no weight has been trained, and a score compares networks of one
space only. All of them grow with the size of a network, so counting parameters often ranks as well; a filter by score
favours what just meets the budget. Whether it helps in a space is for random search with and without it to show.

Shapes: B images, C channels, H height, W width.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from ridgepoint.arch.network import Network
from ridgepoint.nn.build import build
from ridgepoint.search.method import Judge
from ridgepoint.seeds import seed_for

ExampleLoss = Callable[[nn.Module], Tensor]
"""A network's loss on the images that it is scored with."""
ScoreName = Literal["naswot", "synflow", "grad_norm"]
SWITCHES = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.GELU)
NORMS = (nn.BatchNorm2d, nn.LayerNorm)


class ShowingJudge(Judge, Protocol):
    """A judge that has images to score networks with."""

    def examples(self, network: Network) -> tuple[Tensor, ExampleLoss]:
        """The same training images for all networks of an input size, float32 (B, C, H, W), and the loss on these."""
        ...


def score(name: ScoreName, network: Network, judge: ShowingJudge, *, seed: int) -> float:
    """A network's score with fresh weights; higher is taken for better."""
    images_BCHW, loss = judge.examples(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "score"))
        return SCORES[name](build(network), images_BCHW, loss)


@torch.no_grad()
def naswot(model: nn.Module, images_BCHW: Tensor, loss: ExampleLoss) -> float:
    """How differently images switch a network's activations: log|det K|, K counting for two images what they share.

    It says nothing about labels, and is -inf where two images switch everything alike.

    Source: Mellor et al., arXiv:2006.04647, section 3.
    Differs: every activation that is off below zero counts as ReLU does.
    """
    alike_BB = torch.zeros(len(images_BCHW), len(images_BCHW), dtype=torch.float64)

    def count(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        on = (inputs[0] > 0).flatten(1).float()
        alike_BB.add_(on @ on.T + (1 - on) @ (1 - on).T)

    for module in model.modules():
        if isinstance(module, SWITCHES):
            module.register_forward_pre_hook(count)  # before: some work in place
    model.train()(images_BCHW)
    return float(torch.linalg.slogdet(alike_BB).logabsdet.item())


def synflow(model: nn.Module, images_BCHW: Tensor, loss: ExampleLoss) -> float:
    """How much passes through all weights together: the sum of |weight * d(output)/d(weight)| for an image of ones.

    It sees neither the images nor the labels, only the topology and the sizes.

    Source: Tanaka et al., arXiv:2006.05467, with positive weights, without norms; summed over a network as by
    Abdelfattah et al., arXiv:2101.08134.
    Differs: layer norms are left out as batch norms are.
    """
    model = model.double().eval()
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, NORMS):
                setattr(parent, name, nn.Identity())
    weights = list(model.parameters())
    with torch.no_grad():
        for weight in weights:
            weight.abs_()
    model(torch.ones_like(images_BCHW[:1], dtype=torch.float64)).sum().backward()
    return sum(float((weight * weight.grad).abs().sum().item()) for weight in weights if weight.grad is not None)


def grad_norm(model: nn.Module, images_BCHW: Tensor, loss: ExampleLoss) -> float:
    """How strongly one batch pulls at the weights: the gradient's norm, summed over convolutions and linear layers.

    It tells of the first step of a training, not of where the training ends.

    Source: Abdelfattah et al., arXiv:2101.08134, section 3.1.
    """
    loss(model.train()).backward()
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return sum(float(layer.weight.grad.norm().item()) for layer in layers if layer.weight.grad is not None)


SCORES: dict[ScoreName, Callable[[nn.Module, Tensor, ExampleLoss], float]] = {
    "naswot": naswot,
    "synflow": synflow,
    "grad_norm": grad_norm,
}
