"""Modules of the norms of single images. Shapes: B batch, C channels."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ridgepoint.arch import norms as spec
from ridgepoint.arch.layer import Layer, LayerNorm
from ridgepoint.arch.shape import Shape


class MapLayerNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each position.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def forward(self, x: Tensor) -> Tensor:
        """With channels last for a moment."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResponseNorm(nn.Module):
    """Each channel times its strength over the whole map, against the mean of all; plus the input.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, channels: int, eps: float):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """The root of the sum of squares is a channel's strength."""
        strength_BC11 = (x * x).sum((2, 3), keepdim=True).sqrt()
        against_BC11 = strength_BC11 / (strength_BC11.mean(1, keepdim=True) + self.eps)
        return x * (1 + self.weight[:, None, None] * against_BC11) + self.bias[:, None, None]


class RmsNorm(nn.Module):
    """Each position divided by the root mean square of its channels, times a gain.

    Shape: (B, C, H, W) -> (B, C, H, W), or (..., C) -> (..., C).
    """

    bias = None

    def __init__(self, channels: int, eps: float, *, of_map: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps, self.of_map = eps, of_map

    def forward(self, x: Tensor) -> Tensor:
        """In the precision of the input."""
        scale = ((x * x).mean(1 if self.of_map else -1, keepdim=True) + self.eps).sqrt().reciprocal()
        return x * scale * (self.weight[:, None, None] if self.of_map else self.weight)


def _layer_norm(layer: LayerNorm, shape: Shape) -> nn.Module:
    return (MapLayerNorm if shape.layout == "map" else nn.LayerNorm)(layer.channels, eps=layer.eps)


MODULES: Mapping[type[Layer], Callable[[Any, Shape], nn.Module]] = {
    LayerNorm: _layer_norm,
    spec.GroupNorm: lambda layer, _: nn.GroupNorm(1, layer.channels, eps=layer.eps),
    spec.ResponseNorm: lambda layer, _: ResponseNorm(layer.channels, layer.eps),
    spec.RmsNorm: lambda layer, shape: RmsNorm(layer.channels, layer.eps, of_map=shape.layout == "map"),
}
"""By the class of a layer, what makes its module for an input of a shape."""
