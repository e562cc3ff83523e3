"""RepGhostNet's block: an inverted bottleneck of two ghost units, sums that fold into one convolution each."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions, squeeze_excite
from ridgepoint.arch.layer import Activation, ActivationKind, Add, StochasticDepth
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe, chain
from ridgepoint.arch.roles import Expansion, Kernel, Out, Squeeze, Stride
from ridgepoint.arch.shape import Shape


class RepGhost(BlockBase, frozen=True, tag="repghost"):
    """Ghost expansion, [depthwise with the stride], [squeeze-excitation], ghost projection; plus the input.

    Where the shapes differ, the input goes through a depthwise and a 1x1 convolution first.

    Source: RepGhost, arXiv:2211.06088, sections 3.3 and 3.4, and its released code.
    """

    look: ClassVar = Look("repghost", "RepGhost bottleneck", "RepGhost", "rose")
    expand_channels: Expansion
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    se_channels: Squeeze | None = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Both ghost units with what is between them, and the shortcut."""
        channels, wide = shape.channels, self.expand_channels
        body = chain(
            expand=_ghost(channels, wide, conventions, conventions.activation),
            depthwise=conventions.depthwise(wide, kernel=self.kernel, stride=self.stride) if self.stride > 1 else None,
            se=squeeze_excite(wide, self.se_channels, "hard_sigmoid") if self.se_channels else None,
            project=_ghost(wide, self.out_channels, conventions, "none"),
            drop_path=StochasticDepth(),
        )
        shortcut = chain(
            depthwise=conventions.depthwise(channels, kernel=self.kernel, stride=self.stride),
            project=conventions.conv(channels, self.out_channels),
        )
        same = self.stride == 1 and channels == self.out_channels
        return Parallel((("skip", IDENTITY if same else shortcut), ("body", body)), Add())


def _ghost(channels: int, out: int, conventions: Conventions, activation: ActivationKind) -> Chain:
    """A 1x1 convolution, then a 3x3 depthwise one and a norm of the same features, summed."""
    branches = (
        ("cheap", conventions.depthwise(out, kernel=3)),
        ("skip", chain(norm=conventions.norm(out))),
    )
    return chain(
        primary=conventions.conv(channels, out, activation=activation),
        rep=Parallel(branches, Add()),
        act=None if activation == "none" else Activation(kind=activation),
    )
