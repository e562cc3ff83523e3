"""MobileViT's blocks, V1 and V2: a convolution, transformer layers over pixels of equal place in patches, and back."""

from typing import ClassVar

from ridgepoint.arch.attention import MultiHeadAttention, SeparableAttention
from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import Activation, Conv2d, Layer, LayerNorm, Resize, StochasticDepth
from ridgepoint.arch.norms import GroupNorm
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Dim, Expansion, Heads, Kernel, Layers
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.shaping import Stack, ToMultiple

PATCH = 2


class MobileViT(BlockBase, frozen=True, tag="mobilevit"):
    """Convolution, transformer of another width, 1x1 back, and a convolution of the input stacked on that.

    A map whose size is no multiple of the patch's is interpolated to the next one, and back.

    Source: MobileViT, arXiv:2110.02178, section 3.1.
    """

    look: ClassVar = Look("mobilevit", "MobileViT block", "MobileViT", "rose")
    inner_channels: Expansion
    expand_channels: Expansion
    heads: Heads
    key_dim: Dim
    layers: Layers = 2
    kernel: Kernel = 3

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Features, and the input, stacked and convolved."""
        channels, inner, activation = shape.channels, self.inner_channels, conventions.activation
        inner_chain = chain(
            grow=_grown(shape, corners=False),
            **{f"layer{number}": self._layer(conventions) for number in range(self.layers)},
            norm=LayerNorm(channels=inner),
        )
        core: Recipe = chain(inner=inner_chain)
        if _grown(shape, corners=False):
            core = Parallel((("inner", inner_chain), ("like", IDENTITY)), Resize())
        features = chain(
            local=conventions.conv(channels, channels, kernel=self.kernel, activation=activation),
            enter=Conv2d(in_channels=channels, out_channels=inner),
            core=core,
            leave=conventions.conv(inner, channels, activation=activation),
        )
        return chain(
            mix=Parallel((("input", IDENTITY), ("features", features)), Stack()),
            fuse=conventions.conv(2 * channels, channels, kernel=self.kernel, activation=activation),
        )

    def _layer(self, conventions: Conventions) -> Chain:
        inner, wide = self.inner_channels, self.heads * self.key_dim
        attention = chain(
            norm=LayerNorm(channels=inner),
            qkv=Conv2d(in_channels=inner, out_channels=3 * wide, bias=True),
            attention=MultiHeadAttention(heads=self.heads, key_dim=self.key_dim, value_dim=self.key_dim, patch=PATCH),
            project=Conv2d(in_channels=wide, out_channels=inner, bias=True),
            drop_path=StochasticDepth(),
        )
        norm = LayerNorm(channels=inner)
        return chain(attention=residual(attention), mlp=_mlp(norm, inner, self.expand_channels, conventions))


class MobileViTV2(BlockBase, frozen=True, tag="mobilevitv2"):
    """Depthwise convolution, transformer of another width whose attention is linear, and 1x1 back.

    A map whose size is no multiple of the patch's is interpolated to the next one, and stays so.

    Source: MobileViTv2, arXiv:2206.02680, section 3.
    """

    look: ClassVar = Look("mobilevitv2", "MobileViTv2 block", "MobileViTv2", "rose")
    inner_channels: Expansion
    expand_channels: Expansion
    layers: Layers = 2
    kernel: Kernel = 3

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """One after the other; no residual around it."""
        channels, inner = shape.channels, self.inner_channels
        return chain(
            grow=_grown(shape, corners=True),
            local=conventions.depthwise(channels, kernel=self.kernel, activation=conventions.activation),
            enter=Conv2d(in_channels=channels, out_channels=inner),
            **{f"layer{number}": self._layer(conventions) for number in range(self.layers)},
            norm=GroupNorm(channels=inner),
            leave=conventions.conv(inner, channels),
        )

    def _layer(self, conventions: Conventions) -> Chain:
        inner = self.inner_channels
        attention = chain(
            norm=GroupNorm(channels=inner),
            qkv=Conv2d(in_channels=inner, out_channels=1 + 2 * inner, bias=True),
            attention=SeparableAttention(channels=inner, patch=PATCH),
            project=Conv2d(in_channels=inner, out_channels=inner, bias=True),
            drop_path=StochasticDepth(),
        )
        norm = GroupNorm(channels=inner)
        return chain(attention=residual(attention), mlp=_mlp(norm, inner, self.expand_channels, conventions))


def _grown(shape: Shape, *, corners: bool) -> ToMultiple | None:
    """What makes a map's size a multiple of the patch's; nothing where it is one."""
    return ToMultiple(step=PATCH, corners=corners) if shape.height % PATCH or shape.width % PATCH else None


def _mlp(norm: Layer, channels: int, wide: int, conventions: Conventions) -> Parallel:
    return residual(
        chain(
            norm=norm,
            expand=Conv2d(in_channels=channels, out_channels=wide, bias=True),
            act=Activation(kind=conventions.activation),
            project=Conv2d(in_channels=wide, out_channels=channels, bias=True),
            drop_path=StochasticDepth(),
        )
    )
