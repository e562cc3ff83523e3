"""EfficientFormerV2's blocks: a convolutional MLP, talking attention before it, and a reduction that attends."""

from typing import ClassVar

from ridgepoint.arch.attention import TalkingAttention
from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import Activation, Add, Bundle, Conv2d, Pick, Resize, StochasticDepth
from ridgepoint.arch.part import Look
from ridgepoint.arch.recipe import IDENTITY, Chain, Parallel, Recipe, chain, residual
from ridgepoint.arch.roles import Dim, Expansion, Heads, Kernel, Out, Stride
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.shaping import Subsample


class ConvMlp(BlockBase, frozen=True, tag="conv_mlp"):
    """Add scale * (expand, depthwise, project), all biased and normed.

    Source: EfficientFormerV2, arXiv:2212.08059, section 3.1 ("unified FFN").
    """

    look: ClassVar = Look("conv_mlp", "convolutional MLP", "Conv MLP", "blue")
    expand_channels: Expansion
    kernel: Kernel = 3

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """The MLP, plus its input."""
        return _mlp(shape.channels, self.expand_channels, self.kernel, conventions)


class TalkingMixer(BlockBase, frozen=True, tag="talking_mixer"):
    """Add scale * attention whose heads talk and whose values are convolved too, then scale * convolutional MLP.

    With `half` attention is at half the resolution, and what it gives is resized.

    Source: EfficientFormerV2, arXiv:2212.08059, sections 3.2 and 3.3.
    """

    look: ClassVar = Look("attention", "attention", "Talking mixer", "rose")
    expand_channels: Expansion
    heads: Heads
    key_dim: Dim
    value_dim: Dim
    kernel: Kernel = 3
    half: bool = False

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Attention, then the MLP, each plus its input."""
        channels, step = shape.channels, 2 if self.half else 1
        wide = self.heads * self.value_dim
        attention = TalkingAttention(
            heads=self.heads,
            key_dim=self.key_dim,
            value_dim=self.value_dim,
            bias_height=-(-shape.height // step),
            bias_width=-(-shape.width // step),
        )
        mixed = chain(
            reduce=_depthwise(channels, self.kernel, step, conventions) if self.half else None,
            parties=Parallel(
                (
                    ("query", conventions.conv(channels, self.heads * self.key_dim, bias=True)),
                    ("key", conventions.conv(channels, self.heads * self.key_dim, bias=True)),
                    ("value", conventions.conv(channels, wide, bias=True)),
                ),
                Bundle(),
            ),
            mixed=_with_local(attention, _depthwise(wide, self.kernel, 1, conventions)),
        )
        body = chain(
            mix=Parallel((("features", mixed), ("like", IDENTITY)), Resize()) if self.half else mixed,
            act=Activation(kind=conventions.activation),
            project=conventions.conv(wide, channels, bias=True),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
        return chain(attention=residual(body), mlp=_mlp(channels, self.expand_channels, self.kernel, conventions))


class AttentionReduction(BlockBase, frozen=True, tag="attention_down"):
    """A strided convolution plus attention whose queries are coarser than its keys and values.

    Source: EfficientFormerV2, arXiv:2212.08059, section 3.3 ("dual-path attention downsampling").
    """

    look: ClassVar = Look("attention_down", "attention reduction", "Attention reduction", "orange")
    out_channels: Out
    heads: Heads
    key_dim: Dim
    value_dim: Dim
    kernel: Kernel = 3
    stride: Stride = 2

    def recipe(self, shape: Shape, conventions: Conventions) -> Recipe:
        """Convolution and attention of one input, summed."""
        channels, wide = shape.channels, self.heads * self.value_dim
        local = Conv2d(
            in_channels=channels, out_channels=channels, kernel=self.kernel, stride=self.stride, groups=channels,
            bias=True, padding=conventions.padding,
        )  # fmt: skip
        query = chain(
            mix=Parallel((("local", local), ("pool", Subsample(stride=self.stride))), Add()),
            project=conventions.conv(channels, self.heads * self.key_dim, bias=True),
        )
        attention = TalkingAttention(
            heads=self.heads,
            key_dim=self.key_dim,
            value_dim=self.value_dim,
            bias_height=shape.height,
            bias_width=shape.width,
            stride=self.stride,
            talks=False,
        )
        attended = chain(
            parties=Parallel(
                (
                    ("query", query),
                    ("key", conventions.conv(channels, self.heads * self.key_dim, bias=True)),
                    ("value", conventions.conv(channels, wide, bias=True)),
                ),
                Bundle(),
            ),
            mixed=_with_local(attention, _depthwise(wide, self.kernel, self.stride, conventions)),
            act=Activation(kind=conventions.activation),
            project=conventions.conv(wide, self.out_channels, bias=True),
        )
        conv = conventions.conv(channels, self.out_channels, kernel=self.kernel, stride=self.stride, bias=True)
        return Parallel((("conv", conv), ("attention", attended)), Add())


def _with_local(attention: TalkingAttention, local: Chain) -> Parallel:
    """What attention makes of query, key and value, plus a convolution of the value."""
    branches = (("attention", attention), ("local", chain(value=Pick(index=2), **dict(local.parts))))
    return Parallel(branches, Add())


def _depthwise(channels: int, kernel: int, stride: int, conventions: Conventions) -> Chain:
    return conventions.conv(channels, channels, kernel=kernel, stride=stride, groups=channels, bias=True)


def _mlp(channels: int, wide: int, kernel: int, conventions: Conventions) -> Parallel:
    activation = conventions.activation
    return residual(
        chain(
            expand=conventions.conv(channels, wide, bias=True, activation=activation),
            depthwise=conventions.conv(wide, wide, kernel=kernel, groups=wide, bias=True, activation=activation),
            project=conventions.conv(wide, channels, bias=True),
            layer_scale=conventions.scale(channels),
            drop_path=StochasticDepth(),
        )
    )
