"""RepViT's blocks: a depthwise token mixer trained as a sum of branches, then a convolutional MLP around a residual."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions, squeeze_excite
from ridgepoint.arch.layer import Add, Conv2d, StochasticDepth
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Count, Expansion, Kernel, Out, SqueezeExcite, Stride
from ridgepoint.arch.shape import Shape


class RepViT(BlockBase, frozen=True, tag="repvit"):
    """A token mixer, optional squeeze-excitation to about a quarter, and an MLP that adds its input.

    Source: RepViT, arXiv:2307.09283, section 3.2, and its released code for the branches and the squeeze.
    """

    look: ClassVar = Look("repvit", "RepViT block", "RepViT", "teal")
    expand_channels: Expansion
    kernel: Kernel = 3
    se: SqueezeExcite = False

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Norm of (depthwise + 1x1 depthwise + input), [squeeze-excitation], plus MLP."""
        squeeze = max(8, (shape.channels // 4 + 4) // 8 * 8)
        return chain(
            mixer=_mixer(shape.channels, self.kernel, conventions),
            se=squeeze_excite(shape.channels, squeeze, "sigmoid") if self.se else None,
            mlp=_mlp(shape.channels, self.expand_channels, conventions),
        )


class RepViTReduction(BlockBase, frozen=True, tag="repvit_down"):
    """A plain RepViT block, depthwise with the stride, 1x1 to other channels, and an MLP that adds its input.

    Source: RepViT, arXiv:2307.09283, section 3.3 ("deeper downsampling layers").
    """

    look: ClassVar = Look("repvit_down", "RepViT reduction", "RepViT reduction", "orange")
    first_channels: Expansion
    out_channels: Out
    expand_channels: Expansion
    kernel: Kernel = 3
    stride: Stride = 2

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Token mixer, plus MLP; depthwise, project; plus MLP."""
        channels = shape.channels
        return chain(
            mixer=_mixer(channels, self.kernel, conventions),
            first_mlp=_mlp(channels, self.first_channels, conventions),
            depthwise=conventions.depthwise(channels, kernel=self.kernel, stride=self.stride),
            project=conventions.conv(channels, self.out_channels),
            mlp=_mlp(self.out_channels, self.expand_channels, conventions),
        )


def _mixer(channels: int, kernel: Kernel, conventions: Conventions) -> Chain:
    """A depthwise convolution with a norm, a 1x1 one with a bias, and the input, summed and normed."""
    branches = (
        ("conv", conventions.depthwise(channels, kernel=kernel)),
        ("scale", Conv2d(in_channels=channels, out_channels=channels, groups=channels, bias=True)),
        ("skip", IDENTITY),
    )
    return chain(rep=Parallel(branches, Add()), norm=conventions.norm(channels))


def _mlp(channels: Count, wide: Count, conventions: Conventions) -> Parallel:
    """The input plus a 1x1 expansion and a linear 1x1 projection."""
    return residual(
        chain(
            expand=conventions.conv(channels, wide, activation=conventions.activation),
            project=conventions.conv(wide, channels),
            drop_path=StochasticDepth(),
        )
    )
