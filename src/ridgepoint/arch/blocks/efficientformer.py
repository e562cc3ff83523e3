"""EfficientFormer's blocks: a pool or attention as token mixer, then an MLP."""

from typing import ClassVar

from ridgepoint.arch.blocks.base import BlockBase, to_map
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import (
    Activation,
    ActivationKind,
    AveragePool,
    LayerNorm,
    Linear,
    SelfAttention,
    StochasticDepth,
    Subtract,
    ToTokens,
)
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Dim, Expansion, Heads, Kernel
from ridgepoint.arch.shape import Shape


class PoolMixer(BlockBase, frozen=True, tag="pool_mixer"):
    """EfficientFormer's 4D MetaBlock: pooling as token mixer, then a convolutional MLP.

    After a 3D one it brings the reshape from tokens back to a map; published networks have none there, a search may.

    Source: EfficientFormer, arXiv:2206.01191, section 3.2; PoolFormer, arXiv:2111.11418, for the mixer.
    """

    look: ClassVar = Look("pool_mixer", "pool mixer", "Pool mixer", "blue")
    expand_channels: Expansion
    kernel: Kernel = 3
    activation: ActivationKind = "gelu"

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[To map], add scale * (pool(x) - x), then add scale * MLP(x)."""
        channels = shape.channels
        mixer = chain(
            mix=Parallel((("pool", AveragePool(kernel=self.kernel)), ("skip", IDENTITY)), Subtract()),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
        mlp = chain(
            expand=conventions.conv(channels, self.expand_channels, bias=True, activation=self.activation),
            project=conventions.conv(self.expand_channels, channels, bias=True),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
        return chain(to_map=to_map(shape), mixer=residual(mixer), mlp=residual(mlp))


class AttentionMixer(BlockBase, frozen=True, tag="attention_mixer"):
    """EfficientFormer's 3D MetaBlock: self-attention over tokens, then a linear MLP.

    The first one in a network brings the reshape from map to tokens.

    Source: EfficientFormer, arXiv:2206.01191, section 3.2.
    """

    look: ClassVar = Look("attention", "attention", "Attention mixer", "rose")
    expand_channels: Expansion
    heads: Heads
    key_dim: Dim
    value_dim: Dim
    activation: ActivationKind = "gelu"

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[To tokens], add scale * attention(norm(x)), add scale * MLP(norm(x))."""
        channels = shape.channels
        attention = chain(
            norm=LayerNorm(channels=channels),
            qkv=Linear(in_features=channels, out_features=self.heads * (2 * self.key_dim + self.value_dim)),
            attention=SelfAttention(
                heads=self.heads,
                key_dim=self.key_dim,
                value_dim=self.value_dim,
                bias_height=shape.height,
                bias_width=shape.width,
            ),
            project=Linear(in_features=self.heads * self.value_dim, out_features=channels),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
        mlp = chain(
            norm=LayerNorm(channels=channels),
            expand=Linear(in_features=channels, out_features=self.expand_channels),
            act=Activation(kind=self.activation),
            project=Linear(in_features=self.expand_channels, out_features=channels),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
        return chain(
            to_tokens=ToTokens() if shape.layout == "map" else None,
            attention=residual(attention),
            mlp=residual(mlp),
        )
