"""Norms, means and sums as products and averages of maps, which XNNPACK's delegate in ExecuTorch takes.

It knows no norm of single images, and no mean but that over height and width. A mean over channels is a product with
one row of equal weights. Factors are no whole numbers, which would stay outside. Shapes: B batch, C channels, N tokens.
"""

import copy
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ridgepoint.nn import layers
from ridgepoint.nn.attention import PatchedSeparableAttention
from ridgepoint.nn.map_norms import MapLayerNorm, ResponseNorm, RmsNorm


class ChannelMean(nn.Module):
    """(B, C, H, W) -> (B, 1, H, W), or (B, N, C) -> (B, N, 1)."""

    def __init__(self, channels: int, *, of_map: bool):
        super().__init__()
        self.register_buffer("row", torch.full((1, channels, 1, 1) if of_map else (1, channels), 1 / channels))

    def forward(self, x: Tensor) -> Tensor:
        """A 1x1 convolution of a map, a linear layer of tokens: with weights as they are, or they are no constants."""
        row = self.row
        assert isinstance(row, Tensor)
        return F.conv2d(x, row) if row.dim() == 4 else F.linear(x, row)


class SpeltNorm(nn.Module):
    """What a norm of each position does: less the mean, over the root of the mean square, times gains, plus offsets."""

    def __init__(self, weight: Tensor, bias: Tensor | None, eps: float, *, of_map: bool, centred: bool = True):
        super().__init__()
        shape = (-1, 1, 1) if of_map else (-1,)
        self.weight = nn.Parameter(weight.detach().reshape(shape))
        self.bias = None if bias is None else nn.Parameter(bias.detach().reshape(shape))
        self.eps, self.centred = eps, centred
        self.channel_mean = ChannelMean(weight.numel(), of_map=of_map)

    def forward(self, x: Tensor) -> Tensor:
        """In the precision of the input."""
        if self.centred:
            x = x - self.mean(x)
        x = x * (self.mean(x * x) + self.eps).rsqrt() * self.weight
        return x if self.bias is None else x + self.bias

    def mean(self, x: Tensor) -> Tensor:
        """Over what is normed together: the channels of a position."""
        found: Tensor = self.channel_mean(x)
        return found


class SpeltImageNorm(SpeltNorm):
    """The same for a whole map at once."""

    def mean(self, x: Tensor) -> Tensor:
        """Over positions, then over channels."""
        found: Tensor = self.channel_mean(x.mean((2, 3), keepdim=True))
        return found


class SpeltResponseNorm(ResponseNorm):
    """See `ResponseNorm`."""

    def __init__(self, source: ResponseNorm):
        nn.Module.__init__(self)
        self.weight, self.bias, self.eps = source.weight, source.bias, source.eps
        self.channel_mean = ChannelMean(source.weight.numel(), of_map=True)

    def forward(self, x: Tensor) -> Tensor:
        """A sum over positions is a mean times their number."""
        strength_BC11 = ((x * x).mean((2, 3), keepdim=True) * float(x.shape[2] * x.shape[3])).sqrt()
        mean_B111: Tensor = self.channel_mean(strength_BC11)
        against_BC11 = strength_BC11 / (mean_B111 + self.eps)
        return x * (1.0 + self.weight[:, None, None] * against_BC11) + self.bias[:, None, None]


class SpeltPool(layers.GlobalPool):
    """See `GlobalPool`."""

    def forward(self, x: Tensor) -> Tensor:
        """Tokens as a map of one column."""
        if x.dim() == 4:
            return super().forward(x)
        found: Tensor = x.transpose(1, 2)[..., None].mean((2, 3), keepdim=True).flatten(1)
        return found


class SpeltSeparableAttention(PatchedSeparableAttention):
    """See `SeparableAttention`."""

    def total(self, weighted_BCPN: Tensor) -> Tensor:
        """A mean of maps of one column, times their height."""
        batch, channels, places, count = weighted_BCPN.shape
        means = weighted_BCPN.reshape(batch, channels * places, count, 1).mean((2, 3), keepdim=True)
        return means.reshape(batch, channels, places, 1) * float(count)


def layer_norm(norm: nn.LayerNorm) -> nn.Module:
    """Of tokens, or, if it is a `MapLayerNorm`, of a map."""
    return SpeltNorm(norm.weight, norm.bias, norm.eps, of_map=isinstance(norm, MapLayerNorm))


def group_norm(norm: nn.GroupNorm) -> nn.Module:
    """Of one group; one of several stays as it is."""
    if norm.num_groups > 1 or not norm.affine:
        same = copy.copy(norm)
        same._forward_hooks = OrderedDict()
        return same
    return SpeltImageNorm(norm.weight, norm.bias, norm.eps, of_map=True)


def rms_norm(norm: RmsNorm) -> nn.Module:
    """Of a map or of tokens."""
    return SpeltNorm(norm.weight, None, norm.eps, of_map=norm.of_map, centred=False)
