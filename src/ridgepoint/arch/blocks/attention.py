"""MobileNetV4's attention."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import Conv2d, MultiQueryAttention, StochasticDepth
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import Chain, Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Count, Dim, Heads, Kernel
from ridgepoint.arch.shape import Shape


class MobileMultiQueryAttention(BlockBase, frozen=True, tag="mqa"):
    """Attention with one key and one value head, optionally down-sampled, around a residual.

    Source: MobileNetV4, arXiv:2404.10518, section 4.2.
    """

    look: ClassVar = Look("attention", "attention", "Mobile MQA", "rose")
    heads: Heads
    key_dim: Dim
    value_dim: Dim
    kv_stride: Count = 1
    kv_kernel: Kernel = 3

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Norm; query, key, value by 1x1 convolutions; attention; output convolution; layer scale; plus the input."""
        channels = shape.channels

        def key_or_value(out_channels: int) -> Chain:
            return chain(
                downsample=conventions.depthwise(channels, kernel=self.kv_kernel, stride=self.kv_stride)
                if self.kv_stride > 1
                else None,
                project=Conv2d(in_channels=channels, out_channels=out_channels),
            )

        attention = Parallel(
            (
                ("query", Conv2d(in_channels=channels, out_channels=self.heads * self.key_dim)),
                ("key", key_or_value(self.key_dim)),
                ("value", key_or_value(self.value_dim)),
            ),
            MultiQueryAttention(heads=self.heads, key_dim=self.key_dim, value_dim=self.value_dim),
        )
        return residual(
            chain(
                norm=conventions.norm(channels),
                attention=attention,
                output=Conv2d(in_channels=self.heads * self.value_dim, out_channels=channels),
                layer_scale=conventions.scale(channels),
                drop_path=StochasticDepth(),
            )
        )

    @property
    def detail(self) -> str:
        """Its heads, and how much smaller the map is that keys and values come from."""
        reduced = f", K/V ↓{self.kv_stride}" if self.kv_stride > 1 else ""
        return f"{super().detail}{reduced}"
