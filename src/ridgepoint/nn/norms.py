"""What batch norms do with the statistics that they have; and norms that were folded away, given back for training.

Weights of deployed files have their norms folded into the convolutions: mean 0, variance 1, gain 1. Evaluated, that is
the same network. Trained, every norm would divide by the deviation of its batch, which folding had put into the
weights, and the first step would lose what was learned.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm


def folded_norms(model: nn.Module) -> list[BatchNorm]:
    """The norms that change nothing but an offset: mean 0, and one variance for all channels."""
    norms = [module for module in model.modules() if isinstance(module, BatchNorm) and module.track_running_stats]
    running = [(norm, *statistics(norm)) for norm in norms]
    return [norm for norm, mean, variance in running if not mean.any() and variance.unique().numel() == 1]


def statistics(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """The running mean and variance of a norm that keeps them, (C,) each."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var


def affine_of(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """The gain and the shift of every channel that a norm applies in eval mode, (C,) each."""
    mean, variance = statistics(norm)
    gain = (variance + norm.eps).rsqrt()
    if norm.affine:
        gain = gain * norm.weight
    shift = -mean * gain
    return gain, shift + norm.bias if norm.affine else shift


@torch.no_grad()
def unfold_norms(model: nn.Module, batches: Iterable[Tensor]) -> int:
    """Give folded norms the statistics of images and the gains that undo them; what eval mode computes stays the same.

    Args:
        model: Changed in place; left in eval mode.
        batches: Inputs, (B, C, H, W) each; some hundreds of images are enough.

    Returns:
        How many norms were folded; 0 leaves the model as it is.
    """
    norms = folded_norms(model)
    if not norms:
        return 0
    sums: dict[BatchNorm, list[Tensor]] = {norm: [] for norm in norms}

    def watch(norm: BatchNorm, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        x_CN = inputs[0].transpose(0, 1).flatten(1).double()
        sums[norm].append(torch.stack([x_CN.mean(1), x_CN.square().mean(1)]))

    hooks = [norm.register_forward_hook(watch) for norm in norms]
    model.eval()
    try:
        for images_BCHW in batches:
            model(images_BCHW)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, seen in sums.items():
        mean, square = torch.stack(seen).mean(0)
        running_mean, running_var = statistics(norm)
        scale = norm.weight / (running_var + norm.eps).sqrt()
        norm.bias.add_(scale * mean)
        running_mean.copy_(mean)
        running_var.copy_((square - mean.square()).clamp(min=0))
        norm.weight.copy_(scale * (running_var + norm.eps).sqrt())
    return len(norms)
