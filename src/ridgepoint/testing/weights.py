"""Weights in which no branch is negligible, and how far two answers are apart."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

GAINS = ("gamma", "gain", "scale")


@torch.no_grad()
def randomise(model: nn.Module, seed: int = 0, size: int = 128) -> nn.Module:
    """Random norm statistics, norm gains and biases, layer scales and attention biases of order 1; eval mode.

    The statistics are those of a random batch of the given size, then scaled and shifted at random: what flows stays of
    order 1 and no branch is negligible.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return torch.rand(like.shape, generator=generator).mul(high - low).add(low).to(like.dtype)

    norms = [module for module in model.modules() if isinstance(module, BatchNorm) and module.track_running_stats]
    for module in model.modules():
        gain, shift = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(gain, Tensor) and gain.dim() == 1:  # of a norm of any kind, whoever's
            gain.copy_(uniform(gain, 0.5, 1.5))
            if isinstance(shift, Tensor):
                shift.copy_(uniform(shift, -0.5, 0.5))
    for name, parameter in model.named_parameters():
        last = name.rsplit(".", 1)[-1]
        if last in GAINS:
            parameter.copy_(uniform(parameter, 0.5, 1.5))
        elif "attention_biases" in name or (name.endswith("attention.bias") and parameter.dim() > 1):
            parameter.copy_(uniform(parameter, -1.0, 1.0))
        elif last == "bias" and not parameter.any():
            parameter.copy_(uniform(parameter, -0.2, 0.2))
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    model(torch.randn(4, 3, size, size, generator=generator))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        assert norm.running_mean is not None and norm.running_var is not None  # they are tracked
        norm.running_mean.add_(norm.running_var.sqrt() * uniform(norm.running_mean, -0.05, 0.05))
        # A channel that the batch leaves dead must not be blown up by other images.
        norm.running_var.clamp_(min=0.3 * norm.running_var.mean()).mul_(uniform(norm.running_var, 0.6, 1.6))
    return model.eval()


def relative_error(given: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest expected value."""
    assert given.shape == expected.shape, (given.shape, expected.shape)
    assert torch.isfinite(expected).all()
    return ((given - expected).abs().max() / expected.abs().max()).item()
