"""One torch module per layer that torch itself does not have. Shapes: B batch, C channels, N tokens, M keys, D dims."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ridgepoint.arch import layer as spec
from ridgepoint.nn.held import holds, normed
from ridgepoint.nn.recorded import recorded


def call(module: nn.Module, *inputs: Tensor) -> Tensor:
    """A module's answer, without the price of a call where nobody listens: it tells on small networks."""
    heard = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    answer: Tensor = module(*inputs) if heard else module.forward(*inputs)
    return answer


class Chain(nn.Sequential):
    """Named modules run in order; empty is the identity.

    Attributes:
        held: Whether norms that keep their statistics while it learns are put into the convolutions before them.
    """

    held = False

    def forward(self, x: Tensor) -> Tensor:
        """Run the parts in order."""
        if self.held and self.training and not recorded():
            return self._with_held_norms(x)
        for part in self._modules.values():
            x = call(part, x) if type(part) in (Chain, Parallel) else part(x)
        return x

    def _with_held_norms(self, x: Tensor) -> Tensor:
        parts = list(self._modules.values())
        while parts:
            part = parts.pop(0)
            x = normed(part, parts.pop(0), x) if parts and holds(part, parts[0]) else part(x)
        return x


class Parallel(nn.Module):
    """Every branch gets the same input; `join` takes their outputs."""

    def __init__(self, branches: dict[str, nn.Module], join: nn.Module):
        super().__init__()
        self.branches = tuple(branches)
        for name, branch in branches.items():
            self.add_module(name, branch)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        """Run the branches in order and join them."""
        parts = cast(dict[str, nn.Module], self._modules)
        outputs = [call(parts[name], x) if type(parts[name]) is Chain else parts[name](x) for name in self.branches]
        return call(self.join, *outputs)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: the odd pixel goes right and below.

    Shape: (B, C, H, W) -> (B, C', ceil(H/stride), ceil(W/stride)).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pad by what this input size needs, then convolve."""
        reaches = [apart * (kernel - 1) + 1 for kernel, apart in zip(self.kernel_size, self.dilation, strict=True)]
        pads = [
            max(((size + stride - 1) // stride - 1) * stride + reach - size, 0)  # a tracer's -(-a // b) is not ceil
            for size, stride, reach in zip(x.shape[-2:], self.stride, reaches, strict=True)
        ]
        (high, wide) = pads
        sides = (wide // 2, wide - wide // 2, high // 2, high - high // 2)
        return super().forward(F.pad(x, sides, value=0.0))  # unsaid, ONNX Runtime leaves the padding a pass of its own


class SharedConv2d(nn.Conv2d):
    """One convolution of several maps: (B, C, H_i, W_i) each -> (B, C', H_i, W_i) each."""

    def forward(self, maps: Sequence[Tensor]) -> Sequence[Tensor]:  # type: ignore[override]
        """Of each."""
        return [super(SharedConv2d, self).forward(each) for each in maps]


class LayerScale(nn.Module):
    """A learned gain per channel, of a map or of tokens."""

    def __init__(self, channels: int, init: float, *, tokens: bool):
        super().__init__()
        self.gain = nn.Parameter(torch.full((channels,), init))
        self.tokens = tokens

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        return x * (self.gain if self.tokens else self.gain[:, None, None])


class GlobalPool(nn.Module):
    """(B, C, H, W) -> (B, C, 1, 1), or (B, N, C) -> (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Mean over all positions."""
        return x.mean((2, 3), keepdim=True) if x.dim() == 4 else x.mean(1)


class AveragePool(nn.AvgPool2d):
    """A stride-1 average that counts only real pixels at the border.

    Shape: (B, C, H, W) -> (B, C, H, W).

    On a CPU torch vectorises it over channels only: on a map whose channels lie apart it takes three to nine times as
    long, more than bringing them together and back.
    """

    def __init__(self, kernel: int):
        super().__init__(kernel, stride=1, padding=kernel // 2, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Average, in the memory format of the input."""
        apart = x.device.type == "cpu" and x.is_contiguous() and not x.is_contiguous(memory_format=torch.channels_last)
        if not apart or torch.compiler.is_compiling():
            return super().forward(x)
        return super().forward(x.contiguous(memory_format=torch.channels_last)).contiguous()


class StochasticDepth(nn.Module):
    """Zeroes the branch for a random share of the images in training and scales up the rest.

    Source: arXiv:1603.09382.
    """

    def __init__(self, rate: float = 0.0):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Identity in eval mode."""
        if not self.training or self.rate == 0.0:
            return x
        keep = torch.rand((x.shape[0],) + (1,) * (x.dim() - 1), device=x.device) >= self.rate
        return x * keep.to(x.dtype) / (1.0 - self.rate)


class Grid:
    """The height and width that the current tokens came from: written by the reshape, read by attention."""

    size: tuple[int, int] = (0, 0)


class ToTokens(nn.Module):
    """(B, C, H, W) -> (B, H*W, C), row by row."""

    def __init__(self, grid: Grid):
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """Reshape and remember the grid."""
        self.grid.size = (x.shape[2], x.shape[3])
        return x.flatten(2).transpose(1, 2)


class ToMap(nn.Module):
    """(B, H*W, C) -> (B, C, H, W), with the grid that the tokens came from."""

    def __init__(self, grid: Grid):
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """Reshape."""
        map_BCHW: Tensor = x.transpose(1, 2).unflatten(2, self.grid.size)
        return map_BCHW


def resized_table(table_HT: Tensor, given: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """Biases by offset, of so many rows and columns, for a grid of another size, (heads, rows * columns)."""
    if wanted == given:
        return table_HT
    square = table_HT.view(1, len(table_HT), *given)
    return F.interpolate(square, wanted, mode="bilinear", align_corners=True).flatten(2)[0]


class SelfAttention(nn.Module):
    """Multi-head attention with a learned bias per offset, from joint projections.

    Shape: (B, N, heads*(2*key_dim + value_dim)) -> (B, N, heads*value_dim).

    Differs: the reference fails for grids other than the trained one and keeps a cached bias after new weights are
    loaded; here the table is resized (bilinear, by offset) and nothing is cached.
    """

    def __init__(self, layer: spec.SelfAttention, grid: Grid):
        super().__init__()
        self.heads, self.key_dim, self.value_dim = layer.heads, layer.key_dim, layer.value_dim
        self.table_size = (layer.bias_height, layer.bias_width)
        self.bias = nn.Parameter(torch.zeros(layer.heads, layer.bias_height * layer.bias_width))
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """Softmax of scaled products plus bias."""
        batch, count, _ = x.shape
        heads_BHND = x.view(batch, count, self.heads, -1).transpose(1, 2)
        split = heads_BHND.split((self.key_dim, self.key_dim, self.value_dim), dim=3)
        query_BHND, key_BHND, value_BHND = split
        mixed_BHND = self.mix(query_BHND, key_BHND, value_BHND)
        return mixed_BHND.transpose(1, 2).reshape(batch, count, -1)

    def mix(self, query_BHND: Tensor, key_BHND: Tensor, value_BHND: Tensor) -> Tensor:
        """Values weighted by the softmax of products plus bias; heads are merged with the batch, as `bmm` wants it.

        Scaled last: right before a product, runtimes make the scale a part of it.
        """
        heads = query_BHND.shape[:2]
        query_RND, key_RND, value_RND = (part.flatten(0, 1) for part in (query_BHND, key_BHND, value_BHND))
        products_RNN = torch.bmm(query_RND * self.key_dim**-0.5, key_RND.transpose(1, 2))
        shares_BHNN = (products_RNN.unflatten(0, heads) + self.offset_bias()).softmax(-1)
        mixed_BHND: Tensor = torch.bmm(shares_BHNN.flatten(0, 1), value_RND).unflatten(0, heads)
        return mixed_BHND

    def offset_bias(self) -> Tensor:
        """The bias for every pair of positions of the current grid, (heads, N, N)."""
        height, width = self.grid.size
        table = resized_table(self.bias, self.table_size, (height, width))
        rows = torch.arange(height, device=table.device)
        columns = torch.arange(width, device=table.device)
        dy = (rows[:, None] - rows[None, :]).abs()[:, None, :, None]
        dx = (columns[:, None] - columns[None, :]).abs()[None, :, None, :]
        return table[:, (dy * width + dx).reshape(height * width, height * width)]


class MultiQueryAttention(nn.Module):
    """All heads share one key and one value, so attention is two plain matrix products.

    In files they are `bmm`: `matmul` is exported with copies for broadcasting, at which delegates of ExecuTorch end.

    Shape: query (B, heads*key_dim, H, W), key (B, key_dim, H', W'), value (B, value_dim, H', W')
    -> (B, heads*value_dim, H, W).

    Source: MobileNetV4, arXiv:2404.10518, section 4.2 and Table 17 (layouts without needless transposes).
    """

    def __init__(self, layer: spec.MultiQueryAttention):
        super().__init__()
        self.heads, self.key_dim, self.value_dim = layer.heads, layer.key_dim, layer.value_dim

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Softmax of scaled products, in the form that copies nothing for the memory format at hand."""
        key_BDM, value_BDM = (key * self.key_dim**-0.5).flatten(2), value.flatten(2)
        apart = query.is_contiguous() and not query.is_contiguous(memory_format=torch.channels_last)
        if apart and not torch.compiler.is_compiling():
            return self.by_channel(query, key_BDM, value_BDM)
        return self.by_position(query, key_BDM, value_BDM)

    def by_position(self, query: Tensor, key_BDM: Tensor, value_BDM: Tensor) -> Tensor:
        """Heads lie in the rows of one product: nothing is copied where channels lie together. For files."""
        batch, _, height, width = query.shape
        rows_BRD = query.permute(0, 2, 3, 1).reshape(batch, height * width * self.heads, self.key_dim)
        mixed_BRD = torch.bmm(torch.bmm(rows_BRD, key_BDM).softmax(-1), value_BDM.transpose(1, 2))
        mixed_BCHW = mixed_BRD.view(batch, height, width, self.heads * self.value_dim).permute(0, 3, 1, 2)
        return mixed_BCHW.contiguous() if query.is_contiguous() else mixed_BCHW

    def by_channel(self, query: Tensor, key_BDM: Tensor, value_BDM: Tensor) -> Tensor:
        """The same product transposed, softmax over rows: nothing is copied where positions lie together."""
        batch, _, height, width = query.shape
        columns_BHDN = query.view(batch, self.heads, self.key_dim, height * width)
        shares_BHMN = (key_BDM.transpose(1, 2)[:, None] @ columns_BHDN).softmax(2)
        return (value_BDM[:, None] @ shares_BHMN).view(batch, self.heads * self.value_dim, height, width)


class Add(nn.Module):
    """The sum of the branches."""

    def forward(self, first: Tensor, *rest: Tensor) -> Tensor:
        """Left to right."""
        for other in rest:
            first = first + other
        return first


class Subtract(nn.Module):
    """The first branch less the second."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Element-wise."""
        return first - second


class Gate(nn.Module):
    """Features times a (B, C, 1, 1) gate."""

    def forward(self, features: Tensor, gate: Tensor) -> Tensor:
        """Element-wise."""
        return features * gate


class Resize(nn.Module):
    """Features at the height and width of a map; bilinear, corners not aligned."""

    def forward(self, features: Tensor, like: Tensor) -> Tensor:
        """(B, C, H, W) and (B, C', H', W') to (B, C, H', W')."""
        return F.interpolate(features, like.shape[-2:], mode="bilinear", align_corners=False)


class ToRows(nn.Module):
    """(B, A*columns, H, W) -> (B, H*W*A, columns)."""

    def __init__(self, columns: int):
        super().__init__()
        self.columns = columns

    def forward(self, x: Tensor) -> Tensor:
        """By position, and at each one anchor after the other."""
        rows_BHWAK: Tensor = x.unflatten(1, (-1, self.columns)).permute(0, 3, 4, 1, 2)
        return rows_BHWAK.flatten(1, 3)


class Concat(nn.Module):
    """(B, N, C), (B, M, C), ... -> (B, N + M + ..., C)."""

    def forward(self, *rows: Tensor) -> Tensor:
        """One below the other."""
        return torch.cat(rows, 1)


class Pick(nn.Module):
    """One of several maps."""

    def __init__(self, index: int):
        super().__init__()
        self.index = index

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """The map of that number."""
        return maps[self.index]


class Bundle(nn.Module):
    """Maps that go on together."""

    def forward(self, *maps: Tensor) -> Sequence[Tensor]:
        """As they are."""
        return maps


class Average(nn.Module):
    """The mean of the branches, or all of them while a teacher trains the second one.

    Differs: the reference returns both whenever the module is in train mode; here `separate` says so.
    """

    separate: bool = False

    def forward(self, *branches: Tensor) -> Tensor | Sequence[Tensor]:
        """Mean, or the branches as they are."""
        return branches if self.separate else torch.stack(branches).mean(0)
