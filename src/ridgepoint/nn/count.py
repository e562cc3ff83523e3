"""Parameters and multiply-accumulates of any module, counted by running it once."""

from collections.abc import Sequence

import msgspec
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ridgepoint.units import format_count


class Counts(msgspec.Struct, frozen=True):
    """Trainable parameters, and multiply-accumulates for one image."""

    params: int
    macs: int

    def __str__(self) -> str:
        return f"{format_count(self.params)} params, {format_count(self.macs)} MACs"


def count(model: nn.Module, input_shape: Sequence[int]) -> Counts:
    """Count a module with torch's counter: convolutions, linear layers and attention products, half of its FLOPs.

    For our networks this equals `ridgepoint.cost`, which needs no torch and no run.

    Args:
        model: Any module that takes one image batch.
        input_shape: (channels, height, width) of one image.
    """
    params = sum(parameter.numel() for parameter in model.parameters())
    return Counts(params, macs_by_module(model, input_shape).get("Global", 0))


def macs_by_module(model: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """MACs for one image per module path (`BuiltNetwork.stages.0.1`, ...); `Global` is the whole."""
    modes = {module: module.training for module in model.modules()}
    like = next(model.parameters(), torch.zeros(()))
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            model.eval()(torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device))
    finally:
        for module, training in modes.items():
            module.training = training
    return {path: sum(counts.values()) // 2 for path, counts in counter.get_flop_counts().items()}
