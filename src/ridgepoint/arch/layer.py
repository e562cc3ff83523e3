"""Layers: the smallest parts of a network, each with its output shape and its counts.

A layer is a frozen value without weights. Costs read `macs`, `params` and `weights`; `ridgepoint.nn` makes the
matching module. Counts are for one image and follow one convention: a multiply-accumulate is 1 MAC; convolutions,
linear layers and the two products of attention count; normalisation, activation, pooling, softmax and additions do not.
"""

from typing import ClassVar, Literal, TypeAlias

import msgspec

from ridgepoint.arch.shape import Shape, together
from ridgepoint.errors import ArchitectureError

ActivationKind = Literal["none", "relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "silu", "gelu", "gelu_tanh"]
Padding = Literal["symmetric", "same"]
Scores = Literal["softmax", "sigmoid"]


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all layers: keeps the shape, has no weights and does no multiplications."""

    def output(self, *inputs: Shape) -> Shape:
        """The output shape.

        Raises:
            ArchitectureError: If the inputs do not fit the layer.
        """
        return inputs[0]

    def macs(self, *inputs: Shape) -> int:
        """Multiply-accumulates for one image."""
        return 0

    def params(self) -> int:
        """Trainable parameters."""
        return 0


class Conv2d(Layer, frozen=True):
    """A convolution with a square kernel, padded so that stride 1 keeps the size (odd kernels).

    `padding="same"` is TensorFlow's: the missing pixel of a strided convolution is added right and below.
    """

    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = False
    padding: Padding = "symmetric"
    dilation: ClassVar[int] = 1

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) to (C', ceil(H/stride), ceil(W/stride))."""
        (given,) = inputs
        given.expect("map", by=f"a {self.kernel}x{self.kernel} convolution")
        _expect_odd(self.kernel, by="a convolution")
        given.expect_channels(self.in_channels, by=f"a {self.kernel}x{self.kernel} convolution")
        return Shape(self.out_channels, -(-given.height // self.stride), -(-given.width // self.stride))

    def macs(self, *inputs: Shape) -> int:
        """Kernel area x input channels per group x output elements."""
        return self.kernel**2 * (self.in_channels // self.groups) * self.output(*inputs).elements

    def params(self) -> int:
        """Kernel weights, and one bias per output channel if there is one."""
        return self.kernel**2 * (self.in_channels // self.groups) * self.out_channels + self.bias * self.out_channels


class DilatedConv2d(Conv2d, frozen=True):
    """A convolution whose kernel leaves out pixels: its taps are `dilation` pixels apart.

    A class of its own, so that what was known of convolutions before there were dilated ones goes by the same digests.

    Source: DeepLab, arXiv:1606.00915, section 3.1.
    """

    dilation: int = 2  # type: ignore[misc]


class PatchConv2d(Conv2d, frozen=True):
    """A convolution of patches `stride` pixels apart; a larger kernel reaches over their borders on both sides.

    It is padded by (kernel - stride + 1) // 2: by nothing where the kernel is a patch.
    """

    @property
    def margin(self) -> int:
        """Pixels of padding on every side."""
        return (self.kernel - self.stride + 1) // 2

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) to (C', (H + 2*margin - kernel) // stride + 1, ...)."""
        (given,) = inputs
        given.expect("map", by="a convolution of patches")
        given.expect_channels(self.in_channels, by="a convolution of patches")
        height, width = (
            (side + 2 * self.margin - self.kernel) // self.stride + 1 for side in (given.height, given.width)
        )
        if self.kernel < self.stride or min(height, width) < 1:
            raise ArchitectureError(
                f"a convolution of patches has kernel {self.kernel} and stride {self.stride}, and its input is {given}."
                " Allowed: a kernel not below the stride, and not above the input"
            )
        return Shape(self.out_channels, height, width)


class SharedConv2d(Layer, frozen=True):
    """One convolution for all maps that flow together.

    Source: RetinaNet, arXiv:1708.02002, section 4 (its subnets are shared across all levels).
    """

    conv: Conv2d

    def output(self, *inputs: Shape) -> Shape:
        """Each map, convolved."""
        (given,) = inputs
        return together(*[self.conv.output(each) for each in given.maps])

    def macs(self, *inputs: Shape) -> int:
        """Of all maps."""
        return sum(self.conv.macs(each) for each in inputs[0].maps)

    def params(self) -> int:
        """Once."""
        return self.conv.params()


class Linear(Layer, frozen=True):
    """A matrix product over the channels of a vector or of each token."""

    in_features: int
    out_features: int
    bias: bool = True

    def output(self, *inputs: Shape) -> Shape:
        """(..., in_features) to (..., out_features)."""
        (given,) = inputs
        if given.layout == "map":
            raise ArchitectureError(f"a linear layer needs tokens or a vector, but its input is {given} (map)")
        given.expect_channels(self.in_features, by="a linear layer")
        return msgspec.structs.replace(given, channels=self.out_features)

    def macs(self, *inputs: Shape) -> int:
        """Input features x output elements."""
        return self.in_features * self.output(*inputs).elements

    def params(self) -> int:
        """The matrix, and the bias if there is one."""
        return self.in_features * self.out_features + self.bias * self.out_features


class BatchNorm(Layer, frozen=True):
    """Batch normalisation of a map; gain and bias count as parameters, running statistics do not."""

    channels: int
    eps: float = 1e-5
    momentum: float = 0.1

    def output(self, *inputs: Shape) -> Shape:
        """Keeps the shape."""
        inputs[0].expect_channels(self.channels, by="a batch norm")
        return inputs[0]

    def params(self) -> int:
        """A gain and a bias per channel."""
        return 2 * self.channels


class LayerNorm(Layer, frozen=True):
    """Layer normalisation over the channels of each token or position, or of a vector."""

    channels: int
    eps: float = 1e-5

    def output(self, *inputs: Shape) -> Shape:
        """Keeps the shape."""
        inputs[0].expect_channels(self.channels, by="a layer norm")
        return inputs[0]

    def params(self) -> int:
        """A gain and a bias per channel."""
        return 2 * self.channels


class Activation(Layer, frozen=True):
    """An element-wise non-linearity."""

    kind: ActivationKind


class LayerScale(Layer, frozen=True):
    """A learned gain per channel.

    Source: CaiT, arXiv:2103.17239, section 2.
    """

    channels: int
    init: float = 1e-5

    def params(self) -> int:
        """A gain per channel."""
        return self.channels


class StochasticDepth(Layer, frozen=True):
    """Drops a residual branch for a random share of the images in training; the rate is set when built."""


class Dropout(Layer, frozen=True):
    """Dropout before the classifier; the rate is set when built."""


class AveragePool(Layer, frozen=True):
    """A stride-1 average over a square window; at the border only real pixels are counted."""

    kernel: int

    def output(self, *inputs: Shape) -> Shape:
        """Keeps the shape."""
        inputs[0].expect("map", by="an average pool")
        _expect_odd(self.kernel, by="an average pool")
        return inputs[0]


class GlobalPool(Layer, frozen=True):
    """The mean over all positions: a map becomes 1x1, tokens become a vector."""

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) to (C, 1, 1); (N, C) to (C,)."""
        (given,) = inputs
        return Shape(given.channels, layout="map" if given.layout == "map" else "vector")


class ToTokens(Layer, frozen=True):
    """The one reshape from a map to tokens, row by row."""

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) to (H*W, C)."""
        inputs[0].expect("map", by="the reshape to tokens")
        return msgspec.structs.replace(inputs[0], layout="tokens")


class ToMap(Layer, frozen=True):
    """The reshape from tokens back to the map they came from."""

    def output(self, *inputs: Shape) -> Shape:
        """(H*W, C) to (C, H, W)."""
        inputs[0].expect("tokens", by="the reshape to a map")
        return msgspec.structs.replace(inputs[0], layout="map")


class ToVector(Layer, frozen=True):
    """Drops the two spatial axes of a 1x1 map."""

    def output(self, *inputs: Shape) -> Shape:
        """(C, 1, 1) to (C,)."""
        (given,) = inputs
        given.expect("map", by="the reshape to a vector")
        return Shape(given.elements, layout="vector")


class SelfAttention(Layer, frozen=True):
    """Softmax attention of every token to every token, with a learned bias per offset.

    The input holds, per head, query, key and value one after the other. The bias is a table over (|dy|, |dx|),
    learned for `bias_height` x `bias_width` positions and resized to others.

    Source: LeViT, arXiv:2104.01136, section 4.2; EfficientFormer, arXiv:2206.01191, section 3.2.
    """

    heads: int
    key_dim: int
    value_dim: int
    bias_height: int
    bias_width: int

    def output(self, *inputs: Shape) -> Shape:
        """(N, heads*(2*key_dim + value_dim)) to (N, heads*value_dim)."""
        (given,) = inputs
        given.expect("tokens", by="self-attention")
        given.expect_channels(self.heads * (2 * self.key_dim + self.value_dim), by="self-attention")
        return msgspec.structs.replace(given, channels=self.heads * self.value_dim)

    def macs(self, *inputs: Shape) -> int:
        """Both products: N*N*(key_dim + value_dim) per head."""
        return self.heads * inputs[0].positions ** 2 * (self.key_dim + self.value_dim)

    def params(self) -> int:
        """One bias per head and offset."""
        return self.heads * self.bias_height * self.bias_width


class Join(Layer, frozen=True):
    """Base of the layers that take several inputs; all inputs must have one shape."""

    def output(self, *inputs: Shape) -> Shape:
        """The common shape."""
        first, *rest = inputs
        for other in rest:
            if other != first:
                raise ArchitectureError(
                    f"cannot {type(self).__name__.lower()} {first} and {other}: both branches need one shape; "
                    "check stride and out_channels, or set residual: false"
                )
        return first


class Add(Join, frozen=True):
    """The sum of all branches: a residual connection, or re-parameterisable branches."""


class Subtract(Join, frozen=True):
    """The first branch less the second."""


class Average(Join, frozen=True):
    """The mean of the branches: two classifiers, one of them trained on a teacher's labels."""


class Gate(Layer, frozen=True):
    """The first branch times the second, a (C, 1, 1) gate: squeeze and excitation."""

    def output(self, *inputs: Shape) -> Shape:
        """The first branch's shape."""
        features, gate = inputs
        gate.expect_channels(features.channels, by="a squeeze-excitation gate")
        return features


class Resize(Layer, frozen=True):
    """The first branch at the height and width of the second; bilinear, corners not aligned."""

    def output(self, *inputs: Shape) -> Shape:
        """(C, H, W) and (C', H', W') to (C, H', W')."""
        given, like = inputs
        given.expect("map", by="a resize")
        like.expect("map", by="a resize")
        return Shape(given.channels, like.height, like.width)


class ToRows(Layer, frozen=True):
    """A map of several times so many channels as rows of so many columns, by position and then one after the other.

    Source: torchvision's and others' order of a detector's boxes.
    """

    columns: int

    def output(self, *inputs: Shape) -> Shape:
        """(A*columns, H, W) to (H*W*A, columns)."""
        (given,) = inputs
        given.expect("map", by="a reshape to rows")
        return Shape(self.columns, given.height * given.channels // self.columns, given.width, layout="tokens")


class Concat(Layer, frozen=True):
    """The rows of all branches, one below the other."""

    def output(self, *inputs: Shape) -> Shape:
        """(N, C), (M, C), ... to (N + M + ..., C)."""
        for each in inputs:
            each.expect("tokens", by="a concatenation of rows")
            each.expect_channels(inputs[0].channels, by="a concatenation of rows")
        return Shape(inputs[0].channels, sum(each.positions for each in inputs), layout="tokens")


class AnchoredRows(Layer, frozen=True):
    """Rows of offsets and of classes, and the maps that they are of: a box and the probability of each class a row.

    At every position of a map lie its anchors, (width, height) each in parts of the image; a row belongs to one. A
    network that learns gives what its loss asks for instead: offsets, anchors and logits, side by side.
    Probabilities are those of a softmax, whose classes exclude each other and the background, or each of its own.

    Source: SSD, arXiv:1512.02325, section 2.1.
    """

    anchors: tuple[tuple[tuple[float, float], ...], ...]
    scores: Scores = "softmax"

    def output(self, *inputs: Shape) -> Shape:
        """(A, 4), (A, 1 + K), maps to (A, 4 + K): the background, which comes first, has no column."""
        offsets, classes, *maps = inputs
        offsets.expect("tokens", by="boxes at anchors")
        classes.expect("tokens", by="boxes at anchors")
        count = sum(each.positions * len(own) for each, own in zip(maps, self.anchors, strict=True))
        if not offsets.positions == classes.positions == count:
            raise ArchitectureError(f"there are {count} anchors, and {offsets.positions} rows of boxes for them")
        return Shape(4 + classes.channels - 1, count, layout="tokens")


class Routing(Layer, frozen=True):
    """Base of what chooses or gathers maps: nothing is computed, read or written."""


class Pick(Routing, frozen=True):
    """One of the maps that flow together."""

    index: int

    def output(self, *inputs: Shape) -> Shape:
        """The map of that number."""
        return inputs[0].maps[self.index]


class Bundle(Routing, frozen=True):
    """All branches, which flow on together."""

    def output(self, *inputs: Shape) -> Shape:
        """What all of them are."""
        return together(*inputs)


class MultiQueryAttention(Layer, frozen=True):
    """Softmax attention in which all heads share one key and one value.

    Inputs are the query map (heads*key_dim, H, W), the key map (key_dim, H', W') and the value map (value_dim, H', W').

    Source: MobileNetV4, arXiv:2404.10518, section 4.2.
    """

    heads: int
    key_dim: int
    value_dim: int

    def output(self, *inputs: Shape) -> Shape:
        """(heads*value_dim, H, W)."""
        query, key, value = inputs
        query.expect_channels(self.heads * self.key_dim, by="the query of attention")
        key.expect_channels(self.key_dim, by="the key of attention")
        value.expect_channels(self.value_dim, by="the value of attention")
        return msgspec.structs.replace(query, channels=self.heads * self.value_dim)

    def macs(self, *inputs: Shape) -> int:
        """Both products: N*M*(key_dim + value_dim) per head for N queries and M keys."""
        query, key, _ = inputs
        return self.heads * query.positions * key.positions * (self.key_dim + self.value_dim)


AnyLayer: TypeAlias = Layer


def _expect_odd(kernel: int, *, by: str) -> None:
    if kernel % 2 == 0:
        raise ArchitectureError(
            f"{by} has a kernel of {kernel}. Allowed: odd kernels, which have a centre: 1, 3, 5, ..."
        )


def round_channels(channels: float, divisor: int = 8) -> int:
    """Channels rounded to a multiple of the divisor, never more than 10 % below what was asked.

    Source: MobileNetV2's reference code; all MobileNets round so.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
