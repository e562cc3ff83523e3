"""Tabled latency: the sum of a network's rows, interpolated where a row is missing and the machine is calibrated."""

from collections.abc import Sequence

from ridgepoint.arch.network import Network, PlacedBlock, place_blocks
from ridgepoint.arch.recipe import Recipe, place
from ridgepoint.arch.shape import Shape
from ridgepoint.cost.latency import TabledLatency
from ridgepoint.cost.rows import block_rows, entry_row
from ridgepoint.cost.table import LatencyTable, row_key
from ridgepoint.errors import InputError


class TabledModel:
    """A latency table as a `LatencyModel`: nothing is measured.

    Args:
        table: The table; rows that are added to it later count at once.
    """

    def __init__(self, table: LatencyTable):
        self.table = table
        self._interpolated: dict[str, float] = {}

    def latency(self, network: Network) -> TabledLatency:
        """The sum of a network's rows and of what one call costs.

        Raises:
            InputError: If rows are missing and there is no calibration to interpolate them.
        """
        blocks = place_blocks(network, deploy=True)
        absent = self._absent(blocks)
        calibration, conditions = self.table.calibration, self.table.conditions
        if absent and calibration is None:
            raise InputError(
                f"the latency table has no row for {len(absent)} of {len(blocks)} blocks of {network.name}. "
                "Run `ridgepoint calibrate`: a calibrated table interpolates"
            )
        ms = self.call_ms(network.input_shape) + sum([self.block_ms(block.recipe, block.input) for block in blocks])
        return TabledLatency(
            ms=ms,
            low_ms=ms * calibration.tabled[0] if calibration else None,
            high_ms=ms * calibration.tabled[1] if calibration else None,
            device=conditions.device,
            runtime=conditions.runtime,
            threads=conditions.threads,
            place=conditions.place,
            precision=conditions.precision,
            rows=len(blocks),
            interpolated=tuple([block.path for block in absent]),
        )

    def call_ms(self, shape: Shape) -> float:
        """What one call costs beside its blocks, for a network whose input has the shape."""
        calibration = self.table.calibration
        if calibration is None:
            return self.table.overhead_ms
        return float(calibration.passes.ms([entry_row(shape)])[0])

    def block_ms(self, recipe: Recipe, shape: Shape) -> float:
        """What a block in deploy form adds to a network where its input has the shape.

        Raises:
            InputError: If it was not measured and there is no calibration to interpolate it.
        """
        key = row_key(recipe, shape)
        if key in self.table.rows:
            alone_ms = self.table.rows[key].ms
            return alone_ms - self._handing_over(recipe, shape, alone_ms)
        if key not in self._interpolated:
            if self.table.calibration is None:
                raise InputError(f"the latency table has no row for {recipe} at {shape}. Run `ridgepoint calibrate`")
            rows = block_rows(recipe, place(recipe, shape, "")[0])
            self._interpolated[key] = float(self.table.calibration.passes.ms(rows).sum())
        return self._interpolated[key]

    def missing(self, network: Network) -> list[PlacedBlock]:
        """The blocks of a network that were not measured, each once."""
        blocks = {row_key(block.recipe, block.input): block for block in place_blocks(network, deploy=True)}
        return self._absent(list(blocks.values()))

    def _absent(self, blocks: Sequence[PlacedBlock]) -> list[PlacedBlock]:
        return [block for block in blocks if row_key(block.recipe, block.input) not in self.table.rows]

    def _handing_over(self, recipe: Recipe, shape: Shape, alone_ms: float) -> float:
        """What a block timed alone pays for taking its input in and giving its output back; in a network it does not.

        Known once the machine is calibrated: runtimes that keep maps in an order of their own reorder them there.
        """
        calibration = self.table.calibration
        if calibration is None:
            return 0.0
        ends = (shape, place(recipe, shape, "")[1])
        return min(sum([calibration.passes.reorder_ms(end) for end in ends]), alone_ms / 2)
