"""Blocks: the vocabulary of architectures. A block is a recipe of layers for a given input.

Each block is a frozen row of a network's table. `recipe(shape, conventions)` is the only place where its topology is
written; counts, modules, drawings and exported files all read it.
"""

from typing import TypeAlias

import msgspec

from ridgepoint.arch.conventions import Branches, Conventions, Count, Kernel, KernelOrNone, squeeze_excite
from ridgepoint.arch.layer import (
    Activation,
    ActivationKind,
    Add,
    AveragePool,
    Conv2d,
    LayerNorm,
    Linear,
    MultiQueryAttention,
    SelfAttention,
    StochasticDepth,
    Subtract,
    ToMap,
    ToTokens,
)
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe, chain, residual
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError


class BlockBase(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="block", forbid_unknown_fields=True, omit_defaults=True
):
    """Base of all blocks."""

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """The block's layers for an input of the given shape."""
        raise NotImplementedError


class Conv(BlockBase, frozen=True, tag="conv"):
    """A convolution with batch norm and activation; tokens become a map again first."""

    out_channels: Count
    kernel: Kernel = 3
    stride: Count = 1
    bias: bool = False
    activation: ActivationKind | None = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[To map], conv, norm, activation."""
        unit = conventions.conv(
            shape.channels,
            self.out_channels,
            kernel=self.kernel,
            stride=self.stride,
            bias=self.bias,
            activation=self.activation or conventions.activation,
        )
        return chain(to_map=_to_map(shape), **dict(unit.parts))


class Separable(BlockBase, frozen=True, tag="separable"):
    """MobileNetV1's depthwise separable convolution.

    Source: MobileNetV1, arXiv:1704.04861, section 3.1.
    """

    out_channels: Count
    kernel: Kernel = 3
    stride: Count = 1
    activation: ActivationKind | None = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Depthwise, then pointwise; no residual."""
        activation = self.activation or conventions.activation
        return chain(
            depthwise=conventions.depthwise(
                shape.channels, kernel=self.kernel, stride=self.stride, activation=activation
            ),
            pointwise=conventions.conv(shape.channels, self.out_channels, activation=activation),
        )


class InvertedBottleneck(BlockBase, frozen=True, tag="ib"):
    """Expand, depthwise with the stride, optional squeeze-excitation, linear projection.

    The expansion is left out when it would not widen. `residual` left open means: where the shapes allow it.

    Source: MobileNetV2, arXiv:1801.04381, section 3.3; MobileNetV3, arXiv:1905.02244, section 5.
    """

    expand_channels: Count
    out_channels: Count
    kernel: Kernel = 3
    stride: Count = 1
    se_channels: Count | None = None
    activation: ActivationKind | None = None
    residual: bool | None = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[expand], depthwise, [squeeze-excitation], project; plus the input if residual."""
        activation = self.activation or conventions.activation
        wide = self.expand_channels
        body = chain(
            expand=conventions.conv(shape.channels, wide, activation=activation) if wide != shape.channels else None,
            depthwise=conventions.depthwise(wide, kernel=self.kernel, stride=self.stride, activation=activation),
            se=squeeze_excite(wide, self.se_channels, "hard_sigmoid") if self.se_channels else None,
            project=conventions.conv(wide, self.out_channels),
            drop_path=StochasticDepth() if _adds(self, shape) else None,
        )
        return residual(body) if _adds(self, shape) else body


class FusedInvertedBottleneck(BlockBase, frozen=True, tag="fused_ib"):
    """An inverted bottleneck whose expansion and depthwise are one dense convolution.

    Source: EfficientNet-EdgeTPU; MobileNetV4, arXiv:2404.10518, Tables 11 to 15.
    """

    expand_channels: Count
    out_channels: Count
    kernel: Kernel = 3
    stride: Count = 1
    activation: ActivationKind | None = None
    residual: bool | None = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Dense expansion with the stride, linear projection; plus the input if residual."""
        body = chain(
            expand=conventions.conv(
                shape.channels,
                self.expand_channels,
                kernel=self.kernel,
                stride=self.stride,
                activation=self.activation or conventions.activation,
            ),
            project=conventions.conv(self.expand_channels, self.out_channels),
            drop_path=StochasticDepth() if _adds(self, shape) else None,
        )
        return residual(body) if _adds(self, shape) else body


class UniversalInvertedBottleneck(BlockBase, frozen=True, tag="uib"):
    """An inverted bottleneck with two optional depthwise convolutions; a kernel of 0 leaves one out.

    Both are ExtraDW, only the middle IB, only the start ConvNext, none FFN. The stride sits in the middle depthwise,
    or in the start one where there is no middle.

    Source: MobileNetV4, arXiv:2404.10518, section 4.1.
    """

    expand_channels: Count
    out_channels: Count
    start_kernel: KernelOrNone = 0
    middle_kernel: KernelOrNone = 0
    stride: Count = 1
    activation: ActivationKind | None = None
    residual: bool | None = None

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """[start depthwise, linear], expand, [middle depthwise], project, [layer scale]; plus the input if residual."""
        if self.stride > 1 and not (self.start_kernel or self.middle_kernel):
            raise ArchitectureError(
                f"a uib with stride {self.stride} needs a depthwise convolution: give start_kernel or middle_kernel"
            )
        activation = self.activation or conventions.activation
        wide = self.expand_channels
        start_stride = 1 if self.middle_kernel else self.stride
        body = chain(
            start_depthwise=conventions.depthwise(shape.channels, kernel=self.start_kernel, stride=start_stride)
            if self.start_kernel
            else None,
            expand=conventions.conv(shape.channels, wide, activation=activation),
            middle_depthwise=conventions.depthwise(
                wide, kernel=self.middle_kernel, stride=self.stride, activation=activation
            )
            if self.middle_kernel
            else None,
            project=conventions.conv(wide, self.out_channels),
            layer_scale=conventions.scale(self.out_channels),
            drop_path=StochasticDepth() if _adds(self, shape) else None,
        )
        return residual(body) if _adds(self, shape) else body

    @property
    def variant(self) -> str:
        """The paper's name of this instantiation."""
        return {(True, True): "ExtraDW", (False, True): "IB", (True, False): "ConvNext", (False, False): "FFN"}[
            (self.start_kernel > 0, self.middle_kernel > 0)
        ]


class MobileMultiQueryAttention(BlockBase, frozen=True, tag="mqa"):
    """Attention with one key and one value head, optionally down-sampled, around a residual.

    Source: MobileNetV4, arXiv:2404.10518, section 4.2.
    """

    heads: Count
    key_dim: Count
    value_dim: Count
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


class RepConv(BlockBase, frozen=True, tag="rep_conv"):
    """A convolution trained as a sum of branches that fold into one: `branches` copies, a 1x1 and an identity.

    Source: MobileOne, arXiv:2206.04040, section 3.2.
    """

    out_channels: Count
    kernel: Kernel = 3
    stride: Count = 1
    branches: Branches = 1

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """A dense re-parameterisable convolution and an activation."""
        return _rep_unit(
            shape.channels, self.out_channels, conventions, self.branches, kernel=self.kernel, stride=self.stride
        )


class MobileOne(BlockBase, frozen=True, tag="mobileone"):
    """A re-parameterisable depthwise convolution with the stride, then a re-parameterisable pointwise one.

    Squeeze-excitation, where asked for, squeezes to a sixteenth and sits before each activation.

    Source: MobileOne, arXiv:2206.04040, section 3.2 and Table 7.
    """

    out_channels: Count
    kernel: Kernel = 3
    stride: Count = 1
    branches: Branches = 1
    se: bool = False

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Depthwise unit, pointwise unit."""
        channels = shape.channels
        return chain(
            depthwise=_rep_unit(
                channels,
                channels,
                conventions,
                self.branches,
                kernel=self.kernel,
                stride=self.stride,
                groups=channels,
                se=self.se,
            ),
            pointwise=_rep_unit(channels, self.out_channels, conventions, self.branches, se=self.se),
        )


class PoolMixer(BlockBase, frozen=True, tag="pool_mixer"):
    """EfficientFormer's 4D MetaBlock: pooling as token mixer, then a convolutional MLP.

    After a 3D one it brings the reshape from tokens back to a map; published networks have none there, a search may.

    Source: EfficientFormer, arXiv:2206.01191, section 3.2; PoolFormer, arXiv:2111.11418, for the mixer.
    """

    expand_channels: Count
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
        return chain(to_map=_to_map(shape), mixer=residual(mixer), mlp=residual(mlp))


class AttentionMixer(BlockBase, frozen=True, tag="attention_mixer"):
    """EfficientFormer's 3D MetaBlock: self-attention over tokens, then a linear MLP.

    The first one in a network brings the reshape from map to tokens.

    Source: EfficientFormer, arXiv:2206.01191, section 3.2.
    """

    expand_channels: Count
    heads: Count
    key_dim: Count
    value_dim: Count
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


Block: TypeAlias = (
    Conv
    | Separable
    | InvertedBottleneck
    | FusedInvertedBottleneck
    | UniversalInvertedBottleneck
    | MobileMultiQueryAttention
    | RepConv
    | MobileOne
    | PoolMixer
    | AttentionMixer
)


def _adds(block: InvertedBottleneck | FusedInvertedBottleneck | UniversalInvertedBottleneck, shape: Shape) -> bool:
    if block.residual is not None:
        return block.residual
    return block.stride == 1 and block.out_channels == shape.channels


def _to_map(shape: Shape) -> ToMap | None:
    return ToMap() if shape.layout == "tokens" else None


def _rep_unit(
    in_channels: int,
    out_channels: Count,
    conventions: Conventions,
    branches: Count,
    *,
    kernel: Kernel = 1,
    stride: Count = 1,
    groups: int = 1,
    se: bool = False,
) -> Chain:
    """Sum of `branches` convolutions, a 1x1 one (where the kernel is larger) and an identity (where shapes allow)."""

    def folded(kernel: int) -> Chain:
        return conventions.conv(in_channels, out_channels, kernel=kernel, stride=stride, groups=groups)

    parallel: list[tuple[str, Recipe]] = [(f"conv{index}", folded(kernel)) for index in range(branches)]
    if kernel > 1:
        parallel.append(("scale", folded(1)))
    if stride == 1 and in_channels == out_channels:
        parallel.append(("skip", chain(norm=conventions.norm(in_channels))))
    return chain(
        rep=Parallel(tuple(parallel), Add()),
        se=squeeze_excite(out_channels, max(1, out_channels // 16), "sigmoid") if se else None,
        act=Activation(kind=conventions.activation),
    )
