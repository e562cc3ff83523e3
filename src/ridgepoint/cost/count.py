"""Counts per layer, torch-free: MACs, parameters, and the bytes that weights and activations move.

Convention, printed with every table: one multiply-accumulate is 1 MAC; convolutions, linear layers and the two products
of attention count; normalisation, activation, pooling, softmax, bias and residual additions do not. One image.
"""

from typing import Literal

import msgspec

from ridgepoint.arch.layer import Activation, BatchNorm, Conv2d, Dropout, LayerScale, StochasticDepth
from ridgepoint.arch.network import Network, lower
from ridgepoint.arch.recipe import PlacedLayer

CONVENTION = (
    "MACs: 1 multiply-accumulate = 1; convolution, linear and attention products; "
    "not normalisation, activation, pooling, softmax, bias, additions. One image."
)
Form = Literal["train", "deploy"]
BYTES = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0}


class LayerCost(msgspec.Struct, frozen=True):
    """What one layer, or one fused pass, costs for one image. Elements become bytes with a width."""

    path: str
    kind: str
    macs: int
    params: int
    read_elements: int
    write_elements: int

    def weight_bytes(self, width: float) -> float:
        """Bytes of weights read, for a width in bytes per weight."""
        return self.params * width

    def activation_bytes(self, width: float) -> float:
        """Bytes of activations read and written, for a width in bytes per element."""
        return (self.read_elements + self.write_elements) * width


class NetworkCost(msgspec.Struct, frozen=True):
    """The counts of a network in one form."""

    name: str
    form: Form
    fused: bool
    layers: tuple[LayerCost, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def params(self) -> int:
        """Parameters."""
        return sum(layer.params for layer in self.layers)

    def weight_bytes(self, width: float = 4.0) -> float:
        """Bytes of all weights."""
        return sum(layer.weight_bytes(width) for layer in self.layers)

    def activation_bytes(self, width: float = 4.0) -> float:
        """Bytes of activations that all layers read and write."""
        return sum(layer.activation_bytes(width) for layer in self.layers)


def cost(network: Network, *, form: Form = "train", fused: bool = False) -> NetworkCost:
    """Count a network at its own input.

    Args:
        network: The network.
        form: `train` counts batch norms and branches; `deploy` what is left after folding, which is what ships.
        fused: Whether element-wise layers that directly follow a convolution or linear layer are part of its pass, so
            that what flows between them never reaches memory, as on runtimes that fuse.

    Raises:
        ArchitectureError: If the network is impossible.
    """
    placed = lower(network, deploy=form == "deploy")
    layers = _fused(placed) if fused else [_one(layer) for layer in placed]
    return NetworkCost(network.name, form, fused, tuple(layers))


def _one(placed: PlacedLayer) -> LayerCost:
    layer = placed.layer
    return LayerCost(
        path=placed.path,
        kind=kind_of(placed),
        macs=layer.macs(*placed.inputs),
        params=layer.params(),
        read_elements=sum(shape.elements for shape in placed.inputs),
        write_elements=placed.output.elements,
    )


def kind_of(placed: PlacedLayer) -> str:
    """A short name for the kind of work: conv, depthwise, pointwise, linear, attention, norm, ..."""
    layer = placed.layer
    if isinstance(layer, Conv2d):
        if layer.groups > 1 and layer.groups == layer.in_channels:
            return "depthwise"
        return "pointwise" if layer.kernel == 1 else "conv"
    return type(layer).__name__.lower()


def _fused(placed: tuple[PlacedLayer, ...]) -> list[LayerCost]:
    """Element-wise followers merged into the pass before them."""
    passes: list[LayerCost] = []
    for layer in placed:
        this = _one(layer)
        follows = isinstance(layer.layer, BatchNorm | Activation | LayerScale | Dropout | StochasticDepth)
        before = passes[-1] if passes else None
        if follows and before is not None and before.write_elements == this.read_elements:
            passes[-1] = msgspec.structs.replace(before, params=before.params + this.params)
        else:
            passes.append(this)
    return passes
