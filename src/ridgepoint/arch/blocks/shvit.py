"""SHViT's blocks: a depthwise convolution, attention of some of the channels with one head, an MLP; and a reduction."""

from typing import ClassVar

from ridgepoint.arch.attention import MultiHeadAttention
from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions, squeeze_excite
from ridgepoint.arch.layer import Activation, StochasticDepth
from ridgepoint.arch.norms import GroupNorm
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Dim, Expansion, Kernel, Out, Squeeze, Stride
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.shaping import Slice, Stack
from ridgepoint.errors import ArchitectureError

KERNEL = 3  # of a reduction's convolutions


class SingleHead(BlockBase, frozen=True, tag="single_head"):
    """Add a depthwise convolution, [attention of the first `value_dim` channels], an MLP; each plus its input.

    Source: SHViT, arXiv:2401.16456, section 3.2.
    """

    look: ClassVar = Look("attention", "attention", "Single head", "rose")
    expand_channels: Expansion
    value_dim: Dim | None = None
    key_dim: Dim = 16
    kernel: Kernel = 3

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Convolution, [attention], MLP."""
        channels = shape.channels
        return chain(
            depthwise=_depthwise(channels, self.kernel, conventions),
            attention=self._attention(channels, self.value_dim, conventions) if self.value_dim else None,
            mlp=_mlp(channels, self.expand_channels, conventions),
        )

    def _attention(self, channels: int, attended: int, conventions: Conventions) -> Recipe:
        if attended >= channels:
            raise ArchitectureError(
                f"value_dim is {attended}, and its input has {channels} channels. Allowed: fewer than these, the "
                "others are left as they are"
            )
        head = chain(
            slice=Slice(start=0, stop=attended),
            norm=GroupNorm(channels=attended),
            qkv=conventions.conv(attended, 2 * self.key_dim + attended),
            attention=MultiHeadAttention(heads=1, key_dim=self.key_dim, value_dim=attended),
        )
        return residual(
            chain(
                mix=Parallel((("head", head), ("others", Slice(start=attended, stop=channels))), Stack()),
                act=Activation(kind=conventions.activation),
                project=conventions.conv(channels, channels),
                drop_path=StochasticDepth(),
            )
        )


class SingleHeadReduction(BlockBase, frozen=True, tag="single_head_down"):
    """Convolution and MLP, expansion with a strided depthwise convolution and squeeze-excitation, convolution and MLP.

    Source: SHViT, arXiv:2401.16456, section 3.2, and its released code.
    """

    look: ClassVar = Look("shvit_down", "SHViT reduction", "SHViT reduction", "orange")
    first_channels: Expansion
    middle_channels: Expansion
    out_channels: Out
    expand_channels: Expansion
    se_channels: Squeeze | None = None
    stride: Stride = 2

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """What comes before the reduction, the reduction, and what comes after it."""
        channels, wide, out = shape.channels, self.middle_channels, self.out_channels
        activation = conventions.activation
        return chain(
            first_depthwise=_depthwise(channels, KERNEL, conventions),
            first_mlp=_mlp(channels, self.first_channels, conventions),
            expand=conventions.conv(channels, wide, activation=activation),
            reduce=conventions.depthwise(wide, kernel=KERNEL, stride=self.stride, activation=activation),
            se=squeeze_excite(wide, self.se_channels, "sigmoid") if self.se_channels else None,
            project=conventions.conv(wide, out),
            depthwise=_depthwise(out, KERNEL, conventions),
            mlp=_mlp(out, self.expand_channels, conventions),
        )


def _depthwise(channels: int, kernel: int, conventions: Conventions) -> Parallel:
    """The input plus a depthwise convolution of it: it folds into one."""
    return residual(chain(conv=conventions.depthwise(channels, kernel=kernel), drop_path=StochasticDepth()))


def _mlp(channels: int, wide: int, conventions: Conventions) -> Parallel:
    """The input plus a 1x1 expansion and a linear 1x1 projection."""
    return residual(
        chain(
            expand=conventions.conv(channels, wide, activation=conventions.activation),
            project=conventions.conv(wide, channels),
            drop_path=StochasticDepth(),
        )
    )
