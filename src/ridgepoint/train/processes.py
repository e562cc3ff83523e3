"""Several processes that train one model together, started by torchrun; one process alone needs none of it.

Every process makes its share of a batch's rows and works on it; gradients are averaged, and batch norm sees all rows.
So a training depends on its global batch, not on how many processes share it.

Differs: plain `torch.distributed` instead of Fabric or Accelerate. A step is a function of (seed, step) and our
checkpoint holds all state; of what those bring (loaders, samplers, launchers, savers) only the averaging would be used.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from ridgepoint.errors import InputError
from ridgepoint.nn.norms import statistics

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among those that train together."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this one writes files and talks to people."""
        return self.rank == 0

    def rows(self, batch_size: int) -> slice:
        """This process's rows of a batch.

        Raises:
            InputError: If the rows cannot be divided evenly.
        """
        each, left = divmod(batch_size, self.count)
        if left:
            raise InputError(
                f"a batch of {batch_size} images cannot be divided between {self.count} processes. "
                f"Give --set batch_size={max(each, 1) * self.count}"
            )
        return slice(self.rank * each, (self.rank + 1) * each)

    def prepare(self, model: nn.Module) -> None:
        """Let batch norm take its statistics over all processes."""
        for module in model.modules() if self.count > 1 else ():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = JointBatchNorm2d  # keeps weights, statistics and names

    def average_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over all processes."""
        if self.count == 1:
            return
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(joined)
        joined /= self.count
        parts = joined.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def mean(self, *values: float) -> tuple[float, ...]:
        """The mean of each value over all processes."""
        if self.count == 1:
            return values
        joined = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(joined)
        return tuple((joined / self.count).tolist())

    def agreed(self, value: T) -> T:
        """The first one's value, in all of them."""
        if self.count == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held)
        return held[0]

    def any(self, said: bool) -> bool:
        """Whether any process says so."""
        return self.mean(float(said))[0] > 0


def processes() -> Processes:
    """This process and its fellows, if torch.distributed was set up; else this one alone."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return Processes()
    return Processes(rank=distributed.get_rank(), count=distributed.get_world_size())


@contextlib.contextmanager
def joined_by_torchrun() -> Iterator[Processes]:
    """Meet the other processes, where torchrun started several; part at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    distributed.init_process_group("gloo")
    try:
        yield processes()
    finally:
        distributed.destroy_process_group()


class JointBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of all processes' rows; in evaluation, plain.

    Differs: `torch.nn.SyncBatchNorm` does the same on GPUs only.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; every process has as many rows."""
        if not self.training:
            return super().forward(x)
        assert self.num_batches_tracked is not None and self.momentum is not None
        running_mean, running_var = statistics(self)
        normed: Tensor
        normed, mean_C, variance_C = _Normed.apply(x, self.weight, self.bias, self.eps)
        count = x.numel() // x.shape[1] * distributed.get_world_size()
        with torch.no_grad():
            self.num_batches_tracked += 1
            running_mean.lerp_(mean_C, self.momentum)
            running_var.lerp_(variance_C * (count / (count - 1)), self.momentum)
        return normed


class _Normed(torch.autograd.Function):
    """(x - mean) / deviation * gain + shift over all processes' rows: one exchange forward and one back.

    P processes, C channels.
    """

    @staticmethod
    def forward(context: Any, x: Tensor, gain_C: Tensor, shift_C: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        local_2C = torch.stack(torch.var_mean(x, (0, 2, 3), correction=0))
        all_P2C = [torch.empty_like(local_2C) for _ in range(distributed.get_world_size())]
        distributed.all_gather(all_P2C, local_2C)
        variances_PC, means_PC = torch.stack(all_P2C, dim=1)
        mean_C = means_PC.mean(0)
        variance_C = variances_PC.mean(0) + means_PC.var(0, correction=0)
        context.save_for_backward(x, gain_C, mean_C, (variance_C + eps).rsqrt())
        context.mark_non_differentiable(mean_C, variance_C)
        normed = nn.functional.batch_norm(x, mean_C, variance_C, gain_C, shift_C, training=False, eps=eps)
        return normed, mean_C, variance_C

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, gain_C, mean_C, scale_C = context.saved_tensors
        of_shift_C = gradient.sum((0, 2, 3))
        of_gain_C = ((gradient * x).sum((0, 2, 3)) - mean_C * of_shift_C) * scale_C
        means_2C = torch.stack([of_shift_C, of_gain_C])
        distributed.all_reduce(means_2C)
        means_2C /= x.numel() // x.shape[1] * distributed.get_world_size()
        # gain * scale * (gradient - its mean - normed x * mean of their product), as a line in x for each channel
        slope_C = -means_2C[1] * scale_C
        start_C = -means_2C[0] - slope_C * mean_C
        line = torch.addcmul(start_C[:, None, None], x, slope_C[:, None, None]).add_(gradient)
        return line.mul_((gain_C * scale_C)[:, None, None]), of_gain_C, of_shift_C, None
