"""What one layer, or one fused pass, costs."""

import msgspec

from ridgepoint.arch.attention import AttentionStep, HeadAttention
from ridgepoint.arch.layer import (
    BatchNorm,
    Conv2d,
    Layer,
    LayerNorm,
    LayerScale,
    Linear,
    MultiQueryAttention,
    Routing,
    SelfAttention,
    SharedConv2d,
)
from ridgepoint.arch.norms import GroupNorm, ResponseNorm, RmsNorm
from ridgepoint.arch.recipe import PlacedLayer
from ridgepoint.cost.precision import Precision

_ATTENTION = (MultiQueryAttention, SelfAttention)
LARGEST_DEPTHWISE = 5
"""The side of the largest depthwise kernel that libraries have code of its own for.

Source: XNNPACK's src/configs/dwconv-config.c, whose 8-bit depthwise kernels have 3, 9 or 25 taps.
"""
_GAINS = (BatchNorm, GroupNorm, LayerNorm, LayerScale, ResponseNorm, RmsNorm)


class LayerCost(msgspec.Struct, frozen=True, gc=False):
    """What one layer, or one fused pass, costs for one image. Elements become bytes with a width.

    `vectors` says how many of the `params` are biases or gains; `absorbed` which kinds of layers joined the pass;
    `depthwise_macs` how many of the `macs` are of depthwise convolutions, `large_depthwise_macs` how many of those with
    kernels above 5x5.
    """

    path: str
    kind: str
    macs: int
    params: int
    read_elements: int
    write_elements: int
    vectors: int = 0
    absorbed: tuple[str, ...] = ()
    depthwise_macs: int = 0
    large_depthwise_macs: int = 0

    def weight_bytes(self, width: float, vector_width: float | None = None) -> float:
        """Bytes of weights read, for a width in bytes per weight and one per bias or gain (the same unless given)."""
        return self.params * width + self.vectors * ((width if vector_width is None else vector_width) - width)

    def activation_bytes(self, width: float) -> float:
        """Bytes of activations read and written, for a width in bytes per element."""
        return (self.read_elements + self.write_elements) * width

    def bytes_moved(self, precision: Precision) -> float:
        """Bytes of weights and activations together."""
        return self.weight_bytes(precision.weight, precision.vector) + self.activation_bytes(precision.activation)

    def intensity(self, precision: Precision) -> float:
        """Arithmetic intensity: MACs per byte moved; what lies below a device's ridge point is memory-bound there."""
        moved = self.bytes_moved(precision)
        return self.macs / moved if moved else 0.0


def count_layer(placed: PlacedLayer) -> list[LayerCost]:
    """One layer's cost; attention gives three: both products and the softmax between them, as runtimes run it.

    What only routes maps gives none.
    """
    layer, inputs = placed.layer, placed.inputs
    if isinstance(layer, Routing):
        return []
    if isinstance(layer, _ATTENTION):
        return _attention(placed, layer)
    if isinstance(layer, HeadAttention):
        return [_step(placed.path, step) for step in layer.steps(*inputs)]
    params, macs, kind = layer.params(), layer.macs(*inputs), kind_of(placed)
    depthwise_macs = macs if kind == "depthwise" else 0
    return [
        LayerCost(
            placed.path,
            kind,
            macs,
            params,
            inputs[0].elements if len(inputs) == 1 else sum([shape.elements for shape in inputs]),
            placed.output.elements,
            _vectors(layer) if params else 0,
            depthwise_macs=depthwise_macs,
            large_depthwise_macs=depthwise_macs if depthwise_macs and _kernel(layer) > LARGEST_DEPTHWISE else 0,
        )
    ]


def merge(together: list[PlacedLayer], counted: list[LayerCost]) -> LayerCost:
    """One cost for layers that share a pass: what one hands to the next is neither written nor read."""
    first = counted[0]
    extra = sum([each.read_elements for each in counted[1:]]) - sum([each.write_elements for each in counted[:-1]])
    return LayerCost(
        path=first.path,
        kind=first.kind,
        macs=sum([each.macs for each in counted]),
        params=sum([each.params for each in counted]),
        read_elements=first.read_elements + extra,
        write_elements=counted[-1].write_elements,
        vectors=sum([each.vectors for each in counted]),
        absorbed=tuple([kind_of(layer) for layer in together[1:]]),
        depthwise_macs=sum([each.depthwise_macs for each in counted]),
        large_depthwise_macs=sum([each.large_depthwise_macs for each in counted]),
    )


def kind_of(placed: PlacedLayer) -> str:
    """A short name for the kind of work: conv, depthwise, pointwise, linear, attention, norm, ..."""
    layer = placed.layer.conv if isinstance(placed.layer, SharedConv2d) else placed.layer
    if isinstance(layer, Conv2d):
        if layer.groups > 1 and layer.groups == layer.in_channels:
            return "depthwise"
        return "pointwise" if layer.kernel == 1 else "conv"
    return type(layer).__name__.lower()


def _kernel(layer: Layer) -> int:
    conv = layer.conv if isinstance(layer, SharedConv2d) else layer
    return conv.kernel if isinstance(conv, Conv2d) else 0


def _vectors(layer: Layer) -> int:
    layer = layer.conv if isinstance(layer, SharedConv2d) else layer
    if isinstance(layer, Conv2d):
        return layer.out_channels if layer.bias else 0
    if isinstance(layer, Linear):
        return layer.out_features if layer.bias else 0
    return layer.params() if isinstance(layer, _GAINS) else 0


def _step(path: str, step: AttentionStep) -> LayerCost:
    return LayerCost(f"{path}.{step.name}", step.kind, step.macs, step.params, step.read_elements, step.write_elements)


def _attention(placed: PlacedLayer, layer: MultiQueryAttention | SelfAttention) -> list[LayerCost]:
    """Query times key, softmax, scores times value; the scores, one per head and pair of positions, reach memory."""
    given, query = placed.inputs, placed.inputs[0].positions
    key = given[1].positions if isinstance(layer, MultiQueryAttention) else query
    value_elements = layer.value_dim * key * (1 if isinstance(layer, MultiQueryAttention) else layer.heads)
    key_and_query = sum([shape.elements for shape in given]) - value_elements
    scores = layer.heads * query * key
    path, out = placed.path, placed.output.elements
    return [
        LayerCost(f"{path}.scores", "attention", scores * layer.key_dim, layer.params(), key_and_query, scores),
        LayerCost(f"{path}.softmax", "softmax", 0, 0, scores, scores),
        LayerCost(f"{path}.values", "attention", scores * layer.value_dim, 0, scores + value_elements, out),
    ]
