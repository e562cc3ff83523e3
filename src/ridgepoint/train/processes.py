"""Several processes that train one model together, started by torchrun; one process alone needs none of it.

Every process prepares the whole batch of a step and works on its share of the rows; gradients are averaged, and batch
norm sees all rows. So a training depends on its global batch, not on how many processes share it.

Differs: plain `torch.distributed` instead of Fabric or Accelerate. A step is a function of (seed, step) and our
checkpoint holds all state; of what those bring (loaders, samplers, launchers, savers) only the averaging would be used.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from ridgepoint.errors import InputError
from ridgepoint.train.batches import Batch

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

    def share(self, batch: Batch) -> Batch:
        """This process's rows of a batch.

        Raises:
            InputError: If the rows cannot be divided evenly.
        """
        if self.count == 1:
            return batch
        if len(batch.images) % self.count:
            raise InputError(
                f"a batch of {len(batch.images)} images cannot be divided between {self.count} processes. "
                f"Give --set batch_size={max(len(batch.images) // self.count, 1) * self.count}"
            )
        rows = slice(self.rank, None, self.count)
        return replace(batch, images=batch.images[rows], targets=batch.targets[rows], ids=batch.ids[rows])

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


class _Sum(torch.autograd.Function):
    """The sum over all processes, of values on the way forward and of gradients on the way back."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(context, gradient)


class JointBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of all processes' rows; in evaluation, plain.

    Differs: `torch.nn.SyncBatchNorm` does the same on GPUs only.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape; every process has as many rows."""
        if not self.training:
            return super().forward(x)
        count = x.numel() / x.shape[1] * distributed.get_world_size()
        mean_C = _Sum.apply(x.sum((0, 2, 3))) / count
        centred = x - mean_C[:, None, None]
        variance_C = _Sum.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean_C, self.momentum)
            self.running_var.lerp_(variance_C * (count / (count - 1)), self.momentum)
        gain_C = self.weight * (variance_C + self.eps).rsqrt()
        return centred * gain_C[:, None, None] + self.bias[:, None, None]
