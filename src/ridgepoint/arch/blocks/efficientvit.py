"""EfficientViT's attention at two scales, without a softmax."""

from typing import ClassVar

from ridgepoint.arch.attention import LinearAttention
from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import Conv2d, StochasticDepth
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Dim, Heads, Kernel
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.shaping import Stack


class LinearAttentionBlock(BlockBase, frozen=True, tag="linear_attention"):
    """Linear attention of a projection and of what a depthwise and a grouped convolution make of it; plus the input.

    Source: EfficientViT, arXiv:2205.14756, section 3.1 ("multi-scale linear attention").
    """

    look: ClassVar = Look("attention", "attention", "Linear attention", "rose")
    heads: Heads
    key_dim: Dim
    kernel: Kernel = 5

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Both sets of queries, keys and values; attention of all their heads; projection."""
        channels, wide = shape.channels, 3 * self.heads * self.key_dim
        coarse = chain(
            depthwise=Conv2d(
                in_channels=wide, out_channels=wide, kernel=self.kernel, groups=wide, padding=conventions.padding
            ),
            grouped=Conv2d(in_channels=wide, out_channels=wide, groups=3 * self.heads),
        )
        return residual(
            chain(
                qkv=Conv2d(in_channels=channels, out_channels=wide),
                scales=Parallel((("fine", IDENTITY), ("coarse", coarse)), Stack()),
                attention=LinearAttention(heads=2 * self.heads, key_dim=self.key_dim, value_dim=self.key_dim),
                project=conventions.conv(2 * self.heads * self.key_dim, channels),
                drop_path=StochasticDepth(),
            )
        )
