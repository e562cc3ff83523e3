"""RepGhostNet's block: an inverted bottleneck of two ghost units, sums that fold into one convolution each."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.branches import summed
from ridgepoint.arch.conventions import Conventions, squeeze_excite
from ridgepoint.arch.layer import Activation, ActivationKind, Add, StochasticDepth
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe, chain
from ridgepoint.arch.roles import Expansion, Kernel, NormsAt, Out, Squeeze, Stride
from ridgepoint.arch.shape import Shape


class RepGhost(BlockBase, frozen=True, tag="repghost"):
    """Ghost expansion, [depthwise with the stride], [squeeze-excitation], ghost projection; plus the input.

    Where the shapes differ, the input goes through a depthwise and a 1x1 convolution first. With `norms: sum` one norm
    follows the sum of a ghost unit, and that of its identity goes.

    Source: RepGhost, arXiv:2211.06088, sections 3.3 and 3.4, and its released code; QARepVGG, arXiv:2212.01593, for
    `norms: sum`.
    """

    look: ClassVar = Look("repghost", "RepGhost bottleneck", "RepGhost", "rose")
    expand_channels: Expansion
    out_channels: Out
    kernel: Kernel = 3
    stride: Stride = 1
    se_channels: Squeeze | None = None
    norms: NormsAt = "branches"

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Both ghost units with what is between them, and the shortcut."""
        channels, wide = shape.channels, self.expand_channels
        body = chain(
            expand=_ghost(channels, wide, conventions, conventions.activation, self.norms),
            depthwise=conventions.depthwise(wide, kernel=self.kernel, stride=self.stride) if self.stride > 1 else None,
            se=squeeze_excite(wide, self.se_channels, "hard_sigmoid") if self.se_channels else None,
            project=_ghost(wide, self.out_channels, conventions, "none", self.norms),
            drop_path=StochasticDepth(),
        )
        shortcut = chain(
            depthwise=conventions.depthwise(channels, kernel=self.kernel, stride=self.stride),
            project=conventions.conv(channels, self.out_channels),
        )
        same = self.stride == 1 and channels == self.out_channels
        return Parallel((("skip", IDENTITY if same else shortcut), ("body", body)), Add())


def _ghost(channels: int, out: int, conventions: Conventions, activation: ActivationKind, norms: NormsAt) -> Chain:
    """A 1x1 convolution, then a 3x3 depthwise one and a norm of the same features, summed."""
    return chain(
        primary=conventions.conv(channels, out, activation=activation),
        **summed({"cheap": 3}, out, out, conventions, norms, groups=out, skip=True),
        act=None if activation == "none" else Activation(kind=activation),
    )
