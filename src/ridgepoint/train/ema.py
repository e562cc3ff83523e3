"""An exponential moving average of weights and running statistics."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def average_of(model: nn.Module, decay: float) -> AveragedModel:
    """A copy that follows the model: after every update, `decay` of it is kept; its first update is a plain copy.

    It forgets the first steps faster, as TensorFlow's does: at the n-th update at most (1 + n) / (10 + n) is kept.
    """

    @torch.no_grad()
    def update(averages: list[Tensor], currents: list[Tensor], count: Tensor | int) -> None:
        if not averages[0].is_floating_point():  # a counter
            torch._foreach_copy_(averages, currents)
            return
        keep = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(averages, currents, 1 - keep)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
