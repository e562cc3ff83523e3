"""StarNet's block: two expansions multiplied with each other."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import Gate, StochasticDepth
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import Chain, Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Expansion, Kernel
from ridgepoint.arch.shape import Shape


class Star(BlockBase, frozen=True, tag="star"):
    """Depthwise, two 1x1 expansions of which one is activated, their product, 1x1, depthwise; plus the input.

    Source: StarNet, arXiv:2403.19967, section 4.1 and its released code.
    """

    look: ClassVar = Look("star", "star operation", "Star", "violet")
    expand_channels: Expansion
    kernel: Kernel = 7

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Every convolution biased, the first depthwise and the projection normed too."""
        channels, wide = shape.channels, self.expand_channels
        activation = conventions.activation
        factors = (
            ("first", conventions.conv(channels, wide, bias=True, norm=False, activation=activation)),
            ("second", conventions.conv(channels, wide, bias=True, norm=False)),
        )

        def depthwise(*, norm: bool) -> Chain:
            return conventions.conv(channels, channels, kernel=self.kernel, groups=channels, bias=True, norm=norm)

        return residual(
            chain(
                depthwise=depthwise(norm=True),
                star=Parallel(factors, Gate()),
                project=conventions.conv(wide, channels, bias=True),
                last=depthwise(norm=False),
                drop_path=StochasticDepth(),
            )
        )
