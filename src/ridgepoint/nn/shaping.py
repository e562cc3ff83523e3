"""Modules that take maps apart, put them together and change their size. Shapes: B batch, C channels."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ridgepoint.arch import shaping as spec
from ridgepoint.arch.layer import Layer
from ridgepoint.arch.shape import Shape


class Subsample(nn.Module):
    """(B, C, H, W) -> (B, C, ceil(H / stride), ceil(W / stride)): every so many pixels, from the first on."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """A view."""
        return x[..., :: self.stride, :: self.stride]


class ResizeNearest(nn.Module):
    """Features at the height and width of a map, by the nearest pixel."""

    def forward(self, features: Tensor, like: Tensor) -> Tensor:
        """(B, C, H, W) and (B, C', H', W') to (B, C, H', W')."""
        return F.interpolate(features, like.shape[-2:], mode="nearest")


class ToGrid(nn.Module):
    """(B, C, H, W) -> (B, C, side, side): means where the size is a multiple, else bilinear, corners not aligned."""

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Nothing, where that is its size."""
        high, wide = x.shape[-2:]
        if (high, wide) == (self.side, self.side):
            return x
        if high % self.side or wide % self.side:
            return F.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False)
        return F.avg_pool2d(x, (int(high) // self.side, int(wide) // self.side))  # numbers while it is traced, too


class ToMultiple(nn.Module):
    """(B, C, H, W) -> (B, C, H', W'): bilinear, to the next multiples of `step`."""

    def __init__(self, step: int, corners: bool):
        super().__init__()
        self.step, self.corners = step, corners

    def forward(self, x: Tensor) -> Tensor:
        """With or without aligned corners."""
        size = [(side + self.step - 1) // self.step * self.step for side in x.shape[-2:]]
        return F.interpolate(x, size, mode="bilinear", align_corners=self.corners)


class Stack(nn.Module):
    """(B, C, H, W), (B, C', H, W), ... -> (B, C + C' + ..., H, W)."""

    def forward(self, *maps: Tensor) -> Tensor:
        """One map's channels after the other's."""
        return torch.cat(maps, 1)


class Shuffle(nn.Module):
    """Channels in another order: the first ones of all groups, then the second ones, and so on.

    Shape: (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """A transposition."""
        batch, channels, height, width = x.shape
        return x.reshape(batch, self.groups, channels // self.groups, height, width).transpose(1, 2).reshape(x.shape)


class Slice(nn.Module):
    """(B, C, H, W) -> (B, stop - start, H, W)."""

    def __init__(self, start: int, stop: int):
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x: Tensor) -> Tensor:
        """A view."""
        return x[:, self.start : self.stop]


MODULES: Mapping[type[Layer], Callable[[Any, Shape], nn.Module]] = {
    spec.Subsample: lambda layer, _: Subsample(layer.stride),
    spec.ResizeNearest: lambda *_: ResizeNearest(),
    spec.ToGrid: lambda layer, _: ToGrid(layer.side),
    spec.ToMultiple: lambda layer, _: ToMultiple(layer.step, layer.corners),
    spec.MaxPool: lambda layer, _: nn.MaxPool2d(layer.kernel, layer.stride, padding=layer.kernel // 2),
    spec.Shuffle: lambda layer, _: Shuffle(layer.groups),
    spec.Stack: lambda *_: Stack(),
    spec.Slice: lambda layer, _: Slice(layer.start, layer.stop),
}
"""By the class of a layer, what makes its module for an input of a shape."""
