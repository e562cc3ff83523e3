"""What the architecture language cannot say: changes to built modules, and layers that only studies have.

Shapes: B batch, H heads, D dims of a head, N query positions, M key positions.
"""

import torch
from torch import Tensor, nn

from ridgepoint.nn import layers


class NaiveHardSwish(nn.Module):
    """x * ReLU6(x + 3) / 6 from four operators, as a runtime without the fused one runs it."""

    def forward(self, x: Tensor) -> Tensor:
        """Element-wise."""
        return x * torch.clamp(x + 3.0, 0.0, 6.0) / 6.0


class MultiHeadAttention(nn.Module):
    """Softmax attention whose heads each have a key and a value of their own.

    Shape: query, key and value (B, heads*dim, H, W) -> (B, heads*dim, H, W); laid out as the shared-key attention that
    it is compared with.
    """

    def __init__(self, heads: int, dim: int):
        super().__init__()
        self.heads, self.dim = heads, dim

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Softmax over key positions."""
        query_BHDN, key_BHDM, value_BHDM = (
            x.unflatten(1, (self.heads, self.dim)).flatten(3) for x in (query, key, value)
        )
        shares_BHMN = ((key_BHDM * self.dim**-0.5).transpose(2, 3) @ query_BHDN).softmax(2)
        mixed: Tensor = (value_BHDM @ shares_BHMN).flatten(1, 2).view_as(query)
        return mixed


def naive_hard_swish(model: nn.Module) -> nn.Module:
    """Every h-swish as a naive composition."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Hardswish):
                setattr(parent, name, NaiveHardSwish())
    return model


def skip_connections(model: nn.Module) -> nn.Module:
    """The input added to every block that keeps its shape, in the stages of a body."""
    _, stages = model.children()
    for stage in stages.children():
        assert isinstance(stage, nn.Sequential)
        for index, block in enumerate(stage):
            if index > 0:  # the first one of a stage strides
                stage[index] = layers.Parallel({"skip": layers.Chain(), "body": block}, layers.Add())
    return model


def own_keys_and_values(model: nn.Module) -> nn.Module:
    """Every shared-key attention as multi-head attention with the same number of heads and dims."""
    for module in model.modules():
        shared = getattr(module, "join", None)
        if isinstance(shared, layers.MultiQueryAttention):
            for name in ("key", "value"):
                branch = module.get_submodule(name)
                old = branch.get_submodule("project")
                assert isinstance(old, nn.Conv2d)
                branch.project = nn.Conv2d(old.in_channels, old.out_channels * shared.heads, 1, bias=False)
            module.join = MultiHeadAttention(shared.heads, shared.key_dim)
    return model
