"""Deploy forms: what a network computes, written down as one runtime takes it in whole.

A runtime hands the network to its kernels in parts, and ends a part at every operator that these do not know. How
attention, biases and gates are written decides how many parts there are, so each runtime has a form of its own. No
module asks who is tracing it.
"""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ridgepoint.errors import ParityError
from ridgepoint.nn import layers, map_norms, spelt_out
from ridgepoint.nn.anchored import AnchoredRows, centres_and_sides, placed
from ridgepoint.nn.attention import (
    LinearAttention,
    MultiHeadAttention,
    PatchedSeparableAttention,
    SeparableAttention,
    TalkingAttention,
)
from ridgepoint.nn.depthwise import DepthwiseConv2d
from ridgepoint.nn.pointwise import PointwiseConv2d
from ridgepoint.nn.shaping import ResizeNearest
from ridgepoint.nn.unmerged import UnmergedMultiHeadAttention, UnmergedSeparableAttention

TOLERANCE = 1e-4  # of the largest value: sums in another order; a wrong form is off by orders of magnitude more
Forms = Mapping[type[nn.Module], Callable[[Any], nn.Module]]
"""By the class of a module, what makes the one that takes its place."""


class BakedSelfAttention(layers.SelfAttention):
    """Self-attention with the biases of all pairs of positions as a constant, for the one grid that it saw last.

    Looked up from offsets, they are a dozen operators on integers, at which parts end and which ncnn does not know.
    """

    def __init__(self, source: layers.SelfAttention):
        nn.Module.__init__(self)
        self.heads, self.key_dim, self.value_dim = source.heads, source.key_dim, source.value_dim
        self.register_buffer("pairs", source.offset_bias().detach().clone())

    def offset_bias(self) -> Tensor:
        """The constant, (heads, N, N)."""
        pairs = self.pairs
        assert isinstance(pairs, Tensor)
        return pairs


class UnmergedSelfAttention(BakedSelfAttention):
    """The same with heads as an axis of their own: merged with the batch, ncnn loses track of where images end."""

    def mix(self, query_BHND: Tensor, key_BHND: Tensor, value_BHND: Tensor) -> Tensor:
        """See `SelfAttention`."""
        products_BHNN = (query_BHND * self.key_dim**-0.5) @ key_BHND.transpose(2, 3)
        mixed_BHND: Tensor = (products_BHNN + self.offset_bias()).softmax(-1) @ value_BHND
        return mixed_BHND


class BakedTalkingAttention(TalkingAttention):
    """Attention of three maps with the biases of all pairs of positions as a constant."""

    def __init__(self, source: TalkingAttention):
        nn.Module.__init__(self)
        self.heads, self.key_dim, self.value_dim = source.heads, source.key_dim, source.value_dim
        self.talks, self.grid = source.talks, source.grid
        self.register_buffer("pairs", source.offset_bias().detach().clone())
        for name, parameter in source.named_parameters():
            if name != "bias":
                self.register_parameter(name, parameter)

    def offset_bias(self) -> Tensor:
        """The constant, (heads, N, M)."""
        pairs = self.pairs
        assert isinstance(pairs, Tensor)
        return pairs


class TalkingByProduct(BakedTalkingAttention):
    """The same with heads that talk by a linear layer.

    After a convolution ExecuTorch's delegate keeps channels last, and takes the softmax over heads, without a word.
    """

    def __init__(self, source: TalkingAttention):
        super().__init__(source)
        for name in ("before", "after") if source.talks else ():
            matrix = self.get_parameter(f"{name}_weight").detach().flatten(1)
            delattr(self, f"{name}_weight")
            self.register_parameter(f"{name}_matrix", nn.Parameter(matrix))

    def talk(self, name: str, shares_BHNM: Tensor) -> Tensor:
        """See `TalkingAttention`."""
        if not self.talks:
            return shares_BHNM
        heads_last = shares_BHNM.flatten(2).transpose(1, 2)
        talked = nn.functional.linear(heads_last, getattr(self, f"{name}_matrix"), getattr(self, f"{name}_bias"))
        return talked.transpose(1, 2).reshape(shares_BHNM.shape)


class UnmergedTalkingAttention(BakedTalkingAttention):
    """The same with heads as an axis of their own, for ncnn."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """See `TalkingAttention`."""
        query, key, value = maps
        batch, _, height, width = query.shape
        query_BHDN, key_BHDM, value_BHDM = (
            part.reshape(batch, self.heads, part.shape[1] // self.heads, part.shape[2] * part.shape[3])
            for part in (query * self.key_dim**-0.5, key, value)
        )
        scores_BHNM = query_BHDN.transpose(2, 3) @ key_BHDM + self.offset_bias()
        shares_BHNM = self.talk("after", self.talk("before", scores_BHNM).softmax(-1))
        mixed_BHDN = value_BHDM @ shares_BHNM.transpose(2, 3)
        return mixed_BHDN.reshape(batch, self.heads * self.value_dim, height, width)


class AttentionByPosition(layers.MultiQueryAttention):
    """Shared-key attention in the form for files, whatever lies in the memory how."""

    def __init__(self, source: layers.MultiQueryAttention):
        nn.Module.__init__(self)
        self.heads, self.key_dim, self.value_dim = source.heads, source.key_dim, source.value_dim

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `MultiQueryAttention`."""
        return self.by_position(query, (key * self.key_dim**-0.5).flatten(2), value.flatten(2))


class AttentionInPairs(AttentionByPosition):
    """The same as a product of two batches, for one image.

    LiteRT's converter takes a product of one batch for a fully connected layer, whose weights XNNPACK wants constant.
    """

    def by_position(self, query: Tensor, key_BDM: Tensor, value_BDM: Tensor) -> Tensor:
        """Half of the heads' rows in each batch."""
        batch, _, height, width = query.shape
        rows_PRD = query.permute(0, 2, 3, 1).reshape(2, batch * height * width * self.heads // 2, self.key_dim)
        shares_PRM = torch.bmm(rows_PRD, key_BDM.expand(2, -1, -1)).softmax(-1)
        mixed_PRD = torch.bmm(shares_PRM, value_BDM.transpose(1, 2).expand(2, -1, -1))
        return mixed_PRD.reshape(batch, height, width, self.heads * self.value_dim).permute(0, 3, 1, 2).contiguous()


class SingleHeadInHalves(MultiHeadAttention):
    """Attention of one head, for one image, as products of two batches: halves of the dims, summed, then of the values.

    For what `AttentionInPairs` is for; here a head's rows may be odd in number.
    """

    def forward(self, x: Tensor) -> Tensor:
        """See `MultiHeadAttention`."""
        batch, _, height, width = x.shape
        query, key, value = x.split((self.key_dim, self.key_dim, self.value_dim), 1)
        query_2DN, key_2DN, value_2DN = (
            part.reshape(2 * batch, part.shape[1] // 2, height * width)
            for part in (query * self.key_dim**-0.5, key, value)
        )
        parts_2NN = torch.bmm(query_2DN.transpose(1, 2), key_2DN)
        shares_1NN = (parts_2NN[:1] + parts_2NN[1:]).softmax(-1)
        mixed_2DN = torch.bmm(value_2DN, shares_1NN.transpose(1, 2).expand(2, -1, -1))
        return mixed_2DN.reshape(batch, self.value_dim, height, width)


class BakedAnchoredRows(AnchoredRows):
    """Rows of boxes with anchors as constants, for the one size of image that it sees first.

    Computed from the sizes of maps they are dozens of operators, of which LiteRT's XNNPACK leaves some outside.
    """

    own_centres: Tensor | None
    own_sides: Tensor | None

    def __init__(self, source: AnchoredRows):
        super().__init__(source.anchors, source.scores)
        self.train(source.training)
        self.register_buffer("own_centres", None)
        self.register_buffer("own_sides", None)

    def decoded(self, offsets_BA4: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """See `AnchoredRows`."""
        if self.own_centres is None or self.own_sides is None:
            found = centres_and_sides(self.anchors_of(maps).to(offsets_BA4.device))
            self.own_centres, self.own_sides = (each[None] for each in found)
        return placed(offsets_BA4, self.own_centres, self.own_sides)


class ConvolutionOfEach(nn.Module):
    """One convolution of several maps, with a copy of its weights for each, for as many as it sees first.

    ExecuTorch folds the norm that comes after it for a map into the weights, those of all other maps, without a word.
    """

    def __init__(self, source: layers.SharedConv2d):
        super().__init__()
        self.shared, self.each = _as(nn.Conv2d)(source), nn.ModuleList()

    def forward(self, maps: Sequence[Tensor]) -> Sequence[Tensor]:
        """See `SharedConv2d`."""
        if not self.each:
            self.each.extend(copy.deepcopy(self.shared) for _ in maps)
        return [conv(each) for conv, each in zip(self.each, maps, strict=True)]


class ConcatOfFew(layers.Concat):
    """The same by as few at a time as LiteRT's XNNPACK puts together; of more it leaves the operator outside.

    What was put together goes on without its columns: the converter makes one operator of two that follow each other.
    """

    MOST = 5

    def forward(self, *rows: Tensor) -> Tensor:
        """See `Concat`."""
        few, others = rows[: self.MOST], rows[self.MOST :]
        joined = torch.cat(few, 1)
        if not others:
            return joined
        both = torch.cat([joined.flatten(1), self(*others).flatten(1)], 1)
        return both.reshape(len(joined), -1, joined.shape[-1])


class AddingLinearAttention(LinearAttention):
    """Attention without a softmax whose row of ones is one of zeros, to which ones are added.

    LiteRT's XNNPACK pads with zeros alone.
    """

    def __init__(self, source: LinearAttention):
        nn.Module.__init__(self)
        self.heads, self.key_dim, self.value_dim = source.heads, source.key_dim, source.value_dim
        self.register_buffer("last", torch.cat([torch.zeros(source.value_dim, 1), torch.ones(1, 1)]))

    def with_ones(self, value_RDN: Tensor) -> Tensor:
        """One more row."""
        last = self.last
        assert isinstance(last, Tensor)
        return nn.functional.pad(value_RDN, (0, 0, 0, 1)) + last


class ClampedHardsigmoid(nn.Module):
    """A hard sigmoid as a scaled clamp: ExecuTorch leaves two scalars of the usual operator outside of its delegate."""

    def forward(self, x: Tensor) -> Tensor:
        """Element-wise."""
        return (x * (1 / 6) + 0.5).clamp(0, 1)


class SigmoidGelu(nn.Module):
    """The approximation of a GELU by a hyperbolic tangent, with a sigmoid: 1 + tanh(u) is twice sigmoid(2u).

    ExecuTorch's delegate takes either kind of GELU, and computes the exact one, without a word.
    """

    SLOPE, CUBIC = 2 * math.sqrt(2 / math.pi), 0.044715

    def forward(self, x: Tensor) -> Tensor:
        """Element-wise."""
        return x * (x * (x * x * (self.SLOPE * self.CUBIC) + self.SLOPE)).sigmoid()


class RepeatedNearest(ResizeNearest):
    """The nearest pixel of a map some whole times as large, as pixels and rows side by side, which XNNPACK takes.

    Each copy is reshaped by itself: ExecuTorch's delegate wants what is put together to be different tensors.
    """

    def forward(self, features: Tensor, like: Tensor) -> Tensor:
        """See `ResizeNearest`."""
        batch, channels, high, wide = features.shape
        rows, columns = like.shape[2] // high, like.shape[3] // wide
        if (rows * high, columns * wide) != like.shape[2:]:
            return super().forward(features, like)
        pixels = torch.cat([features.reshape(batch, channels * high, wide, 1) for _ in range(columns)], 3)
        lines = torch.cat([pixels.reshape(batch, channels, high, columns * wide) for _ in range(rows)], 3)
        return lines.reshape(batch, channels, rows * high, columns * wide)


def _gelu(module: nn.GELU) -> nn.Module:
    return SigmoidGelu() if module.approximate == "tanh" else _as(nn.GELU)(module)


class MultipliedHardswish(nn.Module):
    """A hard swish as products and a sum, which LiteRT's XNNPACK takes in 8 bits; there it knows no hard swish.

    In this order, for the converter makes a hard swish of others. The clamp goes into the sum.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Element-wise."""
        return (x * (1 / 6)) * nn.functional.relu6(x + 3)


def _in_pairs(module: layers.MultiQueryAttention) -> nn.Module:
    return (AttentionByPosition if module.heads % 2 else AttentionInPairs)(module)


def _as(kind: type[nn.Module]) -> Callable[[nn.Module], nn.Module]:
    """A module as one of the class that it derives from."""

    def plain(module: nn.Module) -> nn.Module:
        made = copy.copy(module)
        made.__class__, made._forward_hooks = kind, OrderedDict()
        return made

    return plain


def _in_halves(module: MultiHeadAttention) -> nn.Module:
    halved = module.heads * module.patch == 1 and not (module.key_dim | module.value_dim) % 2
    return _as(SingleHeadInHalves if halved else MultiHeadAttention)(module)


# Torch's own classes for ours that differ from them in speed alone, or in training.
_ANY: Forms = {
    DepthwiseConv2d: _as(nn.Conv2d),
    PointwiseConv2d: _as(nn.Conv2d),
    layers.AveragePool: _as(nn.AvgPool2d),
    layers.SelfAttention: BakedSelfAttention,
    TalkingAttention: BakedTalkingAttention,
    layers.MultiQueryAttention: AttentionByPosition,
    AnchoredRows: BakedAnchoredRows,
}
_LITERT: Forms = {
    **_ANY,
    layers.MultiQueryAttention: _in_pairs,
    MultiHeadAttention: _in_halves,
    LinearAttention: AddingLinearAttention,
    layers.Concat: _as(ConcatOfFew),
    ResizeNearest: _as(RepeatedNearest),
    SeparableAttention: _as(PatchedSeparableAttention),
}
FORMS: Mapping[str, Forms] = {
    "any": _ANY,
    "executorch": {
        **_ANY,
        nn.Hardsigmoid: lambda _: ClampedHardsigmoid(),
        nn.GELU: _gelu,
        layers.SharedConv2d: ConvolutionOfEach,
        ResizeNearest: _as(RepeatedNearest),
        nn.LayerNorm: spelt_out.layer_norm,
        map_norms.MapLayerNorm: spelt_out.layer_norm,
        nn.GroupNorm: spelt_out.group_norm,
        map_norms.RmsNorm: spelt_out.rms_norm,
        map_norms.ResponseNorm: spelt_out.SpeltResponseNorm,
        layers.GlobalPool: lambda _: spelt_out.SpeltPool(),
        TalkingAttention: TalkingByProduct,
        SeparableAttention: _as(spelt_out.SpeltSeparableAttention),
    },
    "litert": _LITERT,
    "litert-int8": {**_LITERT, nn.Hardswish: lambda _: MultipliedHardswish()},
    "ncnn": {
        **_ANY,
        layers.SelfAttention: UnmergedSelfAttention,
        TalkingAttention: UnmergedTalkingAttention,
        MultiHeadAttention: _as(UnmergedMultiHeadAttention),
        SeparableAttention: _as(UnmergedSeparableAttention),
    },
}
"""By target; `any` for runtimes whose compilers bring the usual operators into one graph by themselves."""


@torch.no_grad()
def in_form(module: nn.Module, target: str, example: Tensor) -> nn.Module:
    """A copy of a module in the form of a target, for images of one size; each part that is changed is checked.

    Args:
        module: In eval mode.
        target: One of `FORMS`.
        example: An input, (B, ...); its size is what the form is for, its values do not matter.

    Raises:
        ParityError: If a part does not compute in its form what it computed before.
    """
    module, forms = copy.deepcopy(module), FORMS[target]
    made: dict[nn.Module, nn.Module] = {}

    def see(part: nn.Module, inputs: tuple[Any, ...], output: Tensor | Sequence[Tensor]) -> None:
        made[part] = forms[type(part)](part)
        _check(part, output, made[part](*inputs))

    changed = [part for part in module.modules() if type(part) in forms]
    for part in changed:
        if isinstance(part, nn.Hardswish):  # in place, else its form would be compared on what it left behind
            part.inplace = False
    hooks = [part.register_forward_hook(see) for part in changed]
    if hooks:
        generator = torch.Generator().manual_seed(0)
        module(torch.randn(example.shape, generator=generator).to(example.device, example.dtype))
    for hook in hooks:
        hook.remove()
    for name, part in list(module.named_modules(remove_duplicate=False)):
        if part in made and name:
            owner, _, key = name.rpartition(".")
            setattr(module.get_submodule(owner), key, made[part])
    return made.get(module, module)


def _check(part: nn.Module, expected: Tensor | Sequence[Tensor], found: Tensor | Sequence[Tensor]) -> None:
    if not isinstance(expected, Tensor):  # several maps
        for each, other in zip(expected, found, strict=True):
            _check(part, each, other)
        return
    assert isinstance(found, Tensor)
    error = ((expected - found).abs().max() / expected.abs().max().clamp_min(1e-12)).item()
    if not error <= TOLERANCE:
        raise ParityError(
            f"the form of {part} for its runtime does not compute what it computes: relative error {error:.2g} on "
            f"random input, allowed {TOLERANCE:.0e}"
        )
