"""PoolFormer's block: a pool as token mixer, then an MLP, both behind norms of whole maps."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import AveragePool, Conv2d, StochasticDepth, Subtract
from ridgepoint.arch.norms import GroupNorm
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Expansion, Kernel
from ridgepoint.arch.shape import Shape


class PoolFormer(BlockBase, frozen=True, tag="poolformer"):
    """Add scale * (pool(norm) - norm), then add scale * MLP(norm); its convolutions have biases and no norms.

    Source: PoolFormer, arXiv:2111.11418, section 3.
    """

    look: ClassVar = Look("poolformer", "PoolFormer block", "PoolFormer", "blue")
    expand_channels: Expansion
    kernel: Kernel = 3

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Mixer and MLP, each plus its input."""
        channels = shape.channels
        mixer = chain(
            norm=GroupNorm(channels=channels),
            mix=Parallel((("pool", AveragePool(kernel=self.kernel)), ("skip", IDENTITY)), Subtract()),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
        mlp = chain(
            norm=GroupNorm(channels=channels),
            expand=conventions.conv(
                channels, self.expand_channels, bias=True, norm=False, activation=conventions.activation
            ),
            project=Conv2d(in_channels=self.expand_channels, out_channels=channels, bias=True),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
        return chain(mixer=residual(mixer), mlp=residual(mlp))
