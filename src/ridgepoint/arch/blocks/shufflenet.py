"""ShuffleNetV2's units, and the pooled convolution that it begins with."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import Chain, Parallel, Recipe, chain
from ridgepoint.arch.roles import Expansion, Kernel, Out, Stride
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.shaping import MaxPool, Shuffle, Slice, Stack
from ridgepoint.errors import ArchitectureError

GROUPS = 2


class ShuffleUnit(BlockBase, frozen=True, tag="shuffle"):
    """One half of the channels as it is, the other one convolved; stacked and shuffled.

    Source: ShuffleNetV2, arXiv:1807.11164, Figure 3c.
    """

    look: ClassVar = Look("shuffle", "shuffle unit", "Shuffle unit", "teal")
    expand_channels: Expansion
    kernel: Kernel = 3

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Both halves, stacked, shuffled."""
        half = _half(shape.channels)
        branch = _branch(half, self.expand_channels, half, self.kernel, 1, conventions)
        second = chain(slice=Slice(start=half, stop=2 * half), **dict(branch.parts))
        return _shuffled(Slice(start=0, stop=half), second)


class ShuffleReduction(BlockBase, frozen=True, tag="shuffle_down"):
    """Two strided branches of one input, stacked and shuffled.

    Source: ShuffleNetV2, arXiv:1807.11164, Figure 3d.
    """

    look: ClassVar = Look("shuffle_down", "shuffle reduction", "Shuffle reduction", "orange")
    out_channels: Out
    expand_channels: Expansion
    kernel: Kernel = 3
    stride: Stride = 2

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Both branches, stacked, shuffled."""
        channels, half = shape.channels, _half(self.out_channels)
        first = chain(
            depthwise=conventions.depthwise(channels, kernel=self.kernel, stride=self.stride),
            project=conventions.conv(channels, half, activation=conventions.activation),
        )
        second = _branch(channels, self.expand_channels, half, self.kernel, self.stride, conventions)
        return _shuffled(first, second)


class PooledConv(BlockBase, frozen=True, tag="pooled_conv"):
    """A convolution with norm and activation, then the largest of 3x3 pixels at every `pool_stride`-th.

    Source: ShuffleNetV2, arXiv:1807.11164, Table 5; ResNet, arXiv:1512.03385, Table 1.
    """

    look: ClassVar = Look("pooled_conv", "pooled convolution", "Pooled conv", "slate")
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 2
    pool_stride: Stride = 2

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Convolution, norm, activation, pool."""
        unit = conventions.conv(
            shape.channels,
            self.out_channels,
            kernel=self.kernel,
            stride=self.stride,
            activation=conventions.activation,
        )
        return chain(**dict(unit.parts), pool=MaxPool(kernel=3, stride=self.pool_stride))


def _half(channels: int) -> int:
    if channels % GROUPS:
        raise ArchitectureError(f"a shuffle unit got {channels} channels. Allowed: an even number")
    return channels // GROUPS


def _branch(channels: int, wide: int, out: int, kernel: int, stride: int, conventions: Conventions) -> Chain:
    """1x1, depthwise, 1x1."""
    activation = conventions.activation
    return chain(
        expand=conventions.conv(channels, wide, activation=activation),
        depthwise=conventions.depthwise(wide, kernel=kernel, stride=stride),
        project=conventions.conv(wide, out, activation=activation),
    )


def _shuffled(first: Recipe, second: Recipe) -> Chain:
    return chain(mix=Parallel((("first", first), ("second", second)), Stack()), shuffle=Shuffle(groups=GROUPS))
