"""The rows of a latency table: fused passes, described by what decides how long they take on a machine."""

from collections.abc import Sequence
from math import log

import msgspec

from ridgepoint.arch.layer import Activation, Add
from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.recipe import PlacedLayer, Recipe
from ridgepoint.arch.shape import Shape
from ridgepoint.cost.fusing import Fusing, Pass, passes
from ridgepoint.cost.layer import LayerCost, count_layer, merge

FUSED: Fusing = "residual"
VECTOR = 16  # channels or positions; where some are left over depthwise kernels leave the fast path, others fill one up
IMAGE_CHANNELS = 4  # up to so many, a first convolution reads its input as it comes; runtimes reorder wider maps


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One pass: its counts, its shape, and what else runs in it. Elements, not bytes; `positions` are the output's."""

    kind: str
    macs: int = 0
    params: int = 0
    read_elements: int = 0
    write_elements: int = 0
    in_channels: int = 1
    out_channels: int = 1
    positions: int = 1
    kernel: int = 1
    stride: int = 1
    heads: int = 1
    padded: bool = False
    activation: str = "none"
    adds: int = 0

    @property
    def variant(self) -> str:
        """The kind, with kernel and stride: what runtimes have a routine of its own for."""
        return f"{self.kind} {self.kernel}/{self.stride}"

    def rates(self) -> dict[str, float]:
        """Amounts whose prices, learned per machine, add up to the pass's first estimate: each is 0 or more."""
        amounts = {
            f"{self.variant}: M MACs": self.macs / 1e6,
            f"{self.variant}: M elements": (self.read_elements + self.write_elements) / 1e6,
            f"{self.variant}: M weights": self.params / 1e6,
            f"{self.variant}: k passes": 1e-3,
        }
        if self.kind == "depthwise" and self.in_channels % VECTOR:
            amounts[f"{self.variant}, odd channels: M MACs"] = self.macs / 1e6
        if self.macs and self.kind != "depthwise":
            channels = _filled(self.in_channels) * _filled(self.out_channels)
            amounts[f"{self.variant}, vectors of channels: M MACs"] = self.macs * channels / 1e6
            amounts[f"{self.variant}, vectors of positions: M MACs"] = self.macs * _filled(self.positions) / 1e6
        if self.activation != "none":
            amounts[f"{self.activation}: M elements"] = self.write_elements / 1e6
        if self.padded:
            amounts |= {"padding: M elements": self.read_elements / 1e6, "padding: k passes": 1e-3}
        if self.adds:
            amounts["addition: M elements"] = self.adds * self.write_elements / 1e6
        return amounts

    def place(self) -> dict[str, float]:
        """Where the pass lies among all passes; two at a distance far above 1 tell nothing about each other."""
        return {
            f"kind: {self.kind}": 2.0,
            f"activation: {self.activation}": 0.5,
            "in_channels": 0.6 * log(self.in_channels),
            "out_channels": 0.6 * log(self.out_channels),
            "positions": 0.5 * log(self.positions),
            "kernel": log(self.kernel),
            "heads": 0.5 * log(self.heads),
            "stride": 0.7 * self.stride,
            "adds": 0.7 * self.adds,
            "padded": 0.7 * self.padded,
            "odd_in": 0.3 * (self.in_channels % VECTOR > 0),
            "odd_out": 0.3 * (self.out_channels % VECTOR > 0),
        }


def _filled(count: int) -> float:
    """How many times as many there are where the last vector is filled."""
    return -(-count // VECTOR) * VECTOR / count


def entry_row(shape: Shape) -> Row:
    """What one call of the runtime costs before the first layer: the call itself and taking the input in."""
    return Row(
        kind="image" if shape.channels <= IMAGE_CHANNELS else "map",
        read_elements=shape.elements,
        in_channels=shape.channels,
        out_channels=shape.channels,
        positions=shape.positions,
    )


def block_rows(recipe: Recipe, layers: Sequence[PlacedLayer]) -> list[Row]:
    """The passes of one placed block in deploy form, fused as runtimes on CPUs fuse."""
    return [row for together in passes(recipe, tuple(layers), FUSED) for row in _rows(together)]


def network_rows(network: Network) -> list[Row]:
    """The entry and every pass of a network."""
    blocks = place_blocks(network, deploy=True)
    return [
        entry_row(network.input_shape),
        *[row for block in blocks for row in block_rows(block.recipe, block.layers)],
    ]


def _rows(together: Pass) -> list[Row]:
    counted = [each for placed in together for each in count_layer(placed)]
    costs = counted if len(together) == 1 else [merge(together, counted)]
    return [_row(together, cost) for cost in costs]


def _row(together: Pass, cost: LayerCost) -> Row:
    first = together[0]
    layer, given, output = first.layer, first.inputs[0], first.output
    stride = getattr(layer, "stride", 1)
    activations = [placed.layer.kind for placed in together if isinstance(placed.layer, Activation)]
    grouped = cost.kind == "depthwise" and given.channels != output.channels  # of which few runtimes have a routine
    return Row(
        kind="grouped" if grouped else cost.kind,
        macs=cost.macs,
        params=cost.params,
        read_elements=cost.read_elements,
        write_elements=cost.write_elements,
        in_channels=given.channels,
        out_channels=output.channels,
        positions=output.positions,
        kernel=getattr(layer, "kernel", 1),
        stride=stride,
        heads=getattr(layer, "heads", 1),
        padded=stride > 1 and getattr(layer, "padding", "") == "same",
        activation=activations[0] if activations else "none",
        adds=sum(isinstance(placed.layer, Add) for placed in together[1:]),
    )
