"""Counts, torch-free: MACs, parameters, and the bytes that weights and activations move, per layer and per block.

Convention, printed with every table: one multiply-accumulate is 1 MAC; convolutions, linear layers and the two products
of attention count; normalisation, activation, pooling, softmax, bias and residual additions do not. One image.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import msgspec

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads import Head
from ridgepoint.arch.network import Network, place_row, stream
from ridgepoint.arch.shape import Shape
from ridgepoint.cost.fusing import Fusing, fusing_named, passes
from ridgepoint.cost.layer import LayerCost, count_layer, kind_of, merge
from ridgepoint.cost.precision import FLOAT32, Precision

__all__ = ["CONVENTION", "BlockCost", "Form", "LayerCost", "NetworkCost", "cost", "kind_of"]

CONVENTION = (
    "MACs: 1 multiply-accumulate = 1; convolution, linear and attention products; "
    "not normalisation, activation, pooling, softmax, bias, additions. One image."
)
Form = Literal["train", "deploy"]
FORMS = ("train", "deploy")


class BlockCost(msgspec.Struct, frozen=True, gc=False):
    """What one block (or the head) costs for one image; the paths of its layers start at the block."""

    kind: str
    input: Shape
    output: Shape
    layers: tuple[LayerCost, ...]
    macs: int
    params: int

    @property
    def depthwise_macs(self) -> int:
        """Multiply-accumulates of depthwise convolutions."""
        return sum([layer.depthwise_macs for layer in self.layers])

    @property
    def large_depthwise_macs(self) -> int:
        """Those of depthwise convolutions with kernels above 5x5."""
        return sum([layer.large_depthwise_macs for layer in self.layers])

    def bytes_moved(self, precision: Precision) -> float:
        """Bytes of weights and activations that its passes move."""
        return sum(layer.bytes_moved(precision) for layer in self.layers)


class NetworkCost(msgspec.Struct, frozen=True):
    """The counts of a network in one form, fused in one way."""

    name: str
    form: Form
    fused: Fusing
    rows: tuple[tuple[str, BlockCost], ...]

    @property
    def blocks(self) -> dict[str, BlockCost]:
        """Every block and the head, by path."""
        return dict(self.rows)

    @property
    def layers(self) -> tuple[LayerCost, ...]:
        """Every layer, or fused pass, in execution order, with its path in the network."""
        return tuple(
            msgspec.structs.replace(layer, path=path + layer.path) for path, row in self.rows for layer in row.layers
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum([row.macs for _, row in self.rows])

    @property
    def depthwise_macs(self) -> int:
        """Those of depthwise convolutions."""
        return sum([row.depthwise_macs for _, row in self.rows])

    @property
    def large_depthwise_macs(self) -> int:
        """Those of depthwise convolutions with kernels above 5x5."""
        return sum([row.large_depthwise_macs for _, row in self.rows])

    @property
    def params(self) -> int:
        """Parameters."""
        return sum([row.params for _, row in self.rows])

    def weight_bytes(self, width: float = 4.0, vector_width: float | None = None) -> float:
        """Bytes of all weights, for a width in bytes per weight and one per bias or gain (the same unless given)."""
        return sum(layer.weight_bytes(width, vector_width) for layer in self._passes())

    def activation_bytes(self, width: float = 4.0) -> float:
        """Bytes of activations that all layers read and write."""
        return sum(layer.activation_bytes(width) for layer in self._passes())

    def bytes_moved(self, precision: Precision = FLOAT32) -> float:
        """Bytes of weights and activations together."""
        return sum(row.bytes_moved(precision) for _, row in self.rows)

    def intensity(self, precision: Precision = FLOAT32) -> float:
        """MACs per byte moved."""
        return self.macs / self.bytes_moved(precision)

    def _passes(self) -> Iterator[LayerCost]:
        return (layer for _, row in self.rows for layer in row.layers)


def cost(network: Network, *, form: Form = "train", fused: bool | Fusing = False) -> NetworkCost:
    """Count a network at its own input.

    Args:
        network: The network.
        form: `train` counts batch norms and branches; `deploy` what is left after folding, which is what ships.
        fused: Which layers share one pass, so that what flows between them never reaches memory; see
            `ridgepoint.cost.fusing`. True means `activation`: convolution, norm and activation in one pass.

    Raises:
        ArchitectureError: If the network is impossible; the message starts with the block's path.
        InputError: If there is no such way of fusing.
    """
    fusing = fusing_named(fused)
    rows = [(path, row) for path, _, row in stream(network, lambda site: count_part(*site, form == "deploy", fusing))]
    return NetworkCost(network.name, form, fusing, tuple(rows))


# Most rows of a network that a search proposes were in an earlier one. Kept small: a row is about 2 kB.
@lru_cache(maxsize=16384)
def count_part(
    part: Block | Head, shape: Shape, conventions: Conventions, num_classes: int, deploy: bool, fusing: Fusing
) -> BlockCost:
    """Count one block or head for a given input.

    Raises:
        ArchitectureError: If it cannot take the shape; the message lacks only the block's path in front.
    """
    placed = place_row(part, shape, conventions, num_classes, deploy)
    kind = part.tag()
    layers: list[LayerCost] = []
    for together in passes(placed.recipe, placed.layers, fusing):
        counted = [each for layer in together for each in count_layer(layer)]
        layers += counted if len(together) == 1 else [merge(together, counted)]
    if fusing == "block":
        ends = {"read_elements": shape.elements, "write_elements": placed.output.elements}
        layers = [msgspec.structs.replace(layers[0], path="", kind=kind, **ends)]
    return BlockCost(
        kind=kind,
        input=shape,
        output=placed.output,
        layers=tuple(layers),
        macs=sum([layer.macs for layer in layers]),
        params=sum([layer.params for layer in layers]),
    )
