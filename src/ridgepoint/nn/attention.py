"""Modules of the attentions in `ridgepoint.arch.attention`. Shapes: B batch, P patches, H heads, N queries, M keys."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ridgepoint.arch import attention as spec
from ridgepoint.arch.layer import Layer
from ridgepoint.arch.shape import Shape
from ridgepoint.nn.layers import Grid, resized_table


class MultiHeadAttention(nn.Module):
    """Softmax attention of joint projections, perhaps among positions of equal place in patches.

    Shape: (B, heads*(2*key_dim + value_dim), H, W) -> (B, heads*value_dim, H, W).
    """

    def __init__(self, layer: spec.MultiHeadAttention):
        super().__init__()
        self.heads, self.key_dim, self.value_dim, self.patch = layer.heads, layer.key_dim, layer.value_dim, layer.patch

    def forward(self, x: Tensor) -> Tensor:
        """Heads, and places in a patch, are merged with the batch, as `bmm` wants it."""
        batch, _, height, width = x.shape
        wide = self.heads * self.key_dim
        query, key, value = (self.rows(part) for part in x.split((wide, wide, self.heads * self.value_dim), 1))
        shares_RNM = torch.bmm((query * self.key_dim**-0.5).transpose(1, 2), key).softmax(-1)
        mixed_RDN = torch.bmm(value, shares_RNM.transpose(1, 2))
        return self.together(mixed_RDN, batch, height, width)

    def rows(self, part: Tensor) -> Tensor:
        """(B, heads*D, H, W) -> (B*heads*patch*patch, D, N)."""
        batch, channels, height, width = part.shape
        if self.patch == 1:
            return part.reshape(batch * self.heads, channels // self.heads, height * width)
        side = self.patch
        places = part.reshape(batch * self.heads, channels // self.heads, height // side, side, width // side, side)
        rows: Tensor = places.permute(0, 3, 5, 1, 2, 4).reshape(
            batch * self.heads * side * side, channels // self.heads, (height // side) * (width // side)
        )
        return rows

    def together(self, rows: Tensor, batch: int, height: int, width: int) -> Tensor:
        """(B*heads*patch*patch, D, N) -> (B, heads*D, H, W)."""
        if self.patch == 1:
            return rows.reshape(batch, self.heads * self.value_dim, height, width)
        side = self.patch
        places = rows.reshape(batch * self.heads, side, side, self.value_dim, height // side, width // side)
        whole: Tensor = places.permute(0, 3, 4, 1, 5, 2).reshape(batch, self.heads * self.value_dim, height, width)
        return whole


class TalkingAttention(nn.Module):
    """Softmax attention of three maps with a bias per offset, and convolutions over heads around the softmax.

    Shape: query (B, heads*key_dim, H, W), key (B, heads*key_dim, H', W'), value (B, heads*value_dim, H', W')
    -> (B, heads*value_dim, H, W).

    Differs: the reference fails for grids other than the trained one; here the table is resized.
    """

    def __init__(self, layer: spec.TalkingAttention):
        super().__init__()
        self.heads, self.key_dim, self.value_dim = layer.heads, layer.key_dim, layer.value_dim
        self.stride, self.talks = layer.stride, layer.talks
        self.table_size = (layer.bias_height, layer.bias_width)
        self.grid = Grid()
        self.grid.size = self.table_size
        self.bias = nn.Parameter(torch.zeros(layer.heads, layer.bias_height * layer.bias_width))
        if layer.talks:
            for name in ("before", "after"):
                matrix = torch.eye(layer.heads)[:, :, None, None]
                self.register_parameter(f"{name}_weight", nn.Parameter(matrix + 0.02 * torch.randn_like(matrix)))
                self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(layer.heads)))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Query times key, plus bias; [talk], softmax, [talk]; times value."""
        query, key, value = maps
        batch, _, height, width = query.shape
        self.grid.size = (key.shape[2], key.shape[3])
        rows = (batch * self.heads, -1)
        query_RDN, key_RDM, value_RDM = (
            part.reshape(*rows, part.shape[2] * part.shape[3]) for part in (query * self.key_dim**-0.5, key, value)
        )
        products_RNM = torch.bmm(query_RDN.transpose(1, 2), key_RDM)
        scores_BHNM = products_RNM.view(batch, self.heads, *products_RNM.shape[1:]) + self.offset_bias()
        shares_BHNM = self.talk("after", self.talk("before", scores_BHNM).softmax(-1))
        mixed_RDN = torch.bmm(value_RDM, shares_BHNM.flatten(0, 1).transpose(1, 2))
        return mixed_RDN.reshape(batch, self.heads * self.value_dim, height, width)

    def talk(self, name: str, shares_BHNM: Tensor) -> Tensor:
        """A 1x1 convolution over heads, where they talk."""
        if not self.talks:
            return shares_BHNM
        return F.conv2d(shares_BHNM, getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias"))

    def offset_bias(self) -> Tensor:
        """The bias for every query and key of the grid of keys that it saw last, (heads, N, M)."""
        height, width = self.grid.size
        table = resized_table(self.bias, self.table_size, (height, width))
        rows, columns = torch.arange(height, device=table.device), torch.arange(width, device=table.device)
        dy = (rows[:: self.stride, None] - rows[None, :]).abs()
        dx = (columns[:: self.stride, None] - columns[None, :]).abs()
        offsets = (dy * width)[:, None, :, None] + dx[None, :, None, :]
        return table[:, offsets.flatten(2).flatten(0, 1)]


class LinearAttention(nn.Module):
    """Attention without a softmax, of joint projections head by head.

    Shape: (B, heads*(2*key_dim + value_dim), H, W) -> (B, heads*value_dim, H, W).
    """

    def __init__(self, layer: spec.LinearAttention):
        super().__init__()
        self.heads, self.key_dim, self.value_dim = layer.heads, layer.key_dim, layer.value_dim

    def forward(self, x: Tensor) -> Tensor:
        """A row of ones below the values gives the sum that they are divided by; in single precision at least."""
        batch, _, height, width = x.shape
        joint = x.reshape(batch * self.heads, 2 * self.key_dim + self.value_dim, height * width)
        query_RDN, key_RDN, value_RDN = joint.split((self.key_dim, self.key_dim, self.value_dim), 1)
        query_RDN, key_RDN = query_RDN.relu(), key_RDN.relu()
        value_RDN = self.with_ones(value_RDN)
        if x.dtype == torch.float16:
            query_RDN, key_RDN, value_RDN = query_RDN.float(), key_RDN.float(), value_RDN.float()
        memory_RDE = torch.bmm(value_RDN, key_RDN.transpose(1, 2))
        mixed_RDN = torch.bmm(memory_RDE, query_RDN)
        mixed_RDN = mixed_RDN[:, :-1] / (mixed_RDN[:, -1:] + 1e-5)
        return mixed_RDN.to(x.dtype).reshape(batch, self.heads * self.value_dim, height, width)

    def with_ones(self, value_RDN: Tensor) -> Tensor:
        """One more row."""
        return F.pad(value_RDN, (0, 0, 0, 1), value=1.0)


class SeparableAttention(nn.Module):
    """The weighted mean of all keys times every rectified value, perhaps apart for each place in patches.

    Shape: (B, 1 + 2*channels, H, W) -> (B, channels, H, W).
    """

    def __init__(self, layer: spec.SeparableAttention):
        super().__init__()
        self.channels, self.patch = layer.channels, layer.patch

    def forward(self, x: Tensor) -> Tensor:
        """A softmax over all patches; keys and values stay maps, whose patches would cost a copy each."""
        batch, _, height, width = x.shape
        side, across, rows = self.patch, width // self.patch, (batch, self.channels, height // self.patch)
        query_B1HW, key_BCHW, value_BCHW = x.split((1, self.channels, self.channels), 1)
        weighted_BCRS = (key_BCHW * self.shares(query_B1HW)).reshape(*rows, side * width)
        context_BCPP = weighted_BCRS.sum(2).reshape(batch, self.channels, side, across, side).sum(3, keepdim=True)
        context_BC1S = context_BCPP.expand(-1, -1, -1, across, -1).reshape(batch, self.channels, 1, side * width)
        mixed_BCRS = value_BCHW.relu().reshape(*rows, side * width) * context_BC1S
        whole: Tensor = mixed_BCRS.reshape(batch, self.channels, height, width)
        return whole

    def shares(self, query_B1HW: Tensor) -> Tensor:
        """The softmax of one map over all patches, apart for each place in them."""
        batch, _, height, width = query_B1HW.shape
        side = self.patch
        places = query_B1HW.reshape(batch, height // side, side, width // side, side).permute(0, 2, 4, 1, 3)
        shares_BPN = places.reshape(batch, side * side, -1).softmax(-1)
        apart = shares_BPN.reshape(batch, side, side, height // side, width // side).permute(0, 3, 1, 4, 2)
        whole: Tensor = apart.reshape(batch, 1, height, width)
        return whole


class PatchedSeparableAttention(SeparableAttention):
    """The same with patches side by side, where nothing is repeated along a map: LiteRT's delegate ends there."""

    def forward(self, x: Tensor) -> Tensor:
        """A softmax over all patches."""
        batch, _, height, width = x.shape
        side = self.patch
        places = x.reshape(batch, -1, height // side, side, width // side, side)
        rows_BCPN = places.permute(0, 1, 3, 5, 2, 4).flatten(4).flatten(2, 3)
        query_B1PN, key_BCPN, value_BCPN = rows_BCPN.split((1, self.channels, self.channels), 1)
        context_BCP1 = self.total(key_BCPN * query_B1PN.softmax(-1))
        mixed_BCPN = value_BCPN.relu() * context_BCP1
        apart = mixed_BCPN.reshape(batch, self.channels, side, side, height // side, width // side)
        whole: Tensor = apart.permute(0, 1, 4, 2, 5, 3).reshape(batch, self.channels, height, width)
        return whole

    def total(self, weighted_BCPN: Tensor) -> Tensor:
        """Over all patches, (B, C, P, 1)."""
        return weighted_BCPN.sum(-1, keepdim=True)


MODULES: Mapping[type[Layer], Callable[[Any, Shape], nn.Module]] = {
    spec.MultiHeadAttention: lambda layer, _: MultiHeadAttention(layer),
    spec.TalkingAttention: lambda layer, _: TalkingAttention(layer),
    spec.LinearAttention: lambda layer, _: LinearAttention(layer),
    spec.SeparableAttention: lambda layer, _: SeparableAttention(layer),
}
"""By the class of a layer, what makes its module for an input of a shape."""
