"""The latency table of one machine: block latencies measured one by one, summed for a whole network.

A row is a block in deploy form at one input shape, named by a digest of its layers; equal blocks of different networks
share a row. The table belongs to a machine, a runtime, its version and a number of threads, and is refused elsewhere.
"""

import hashlib
from functools import lru_cache
from pathlib import Path

import msgspec

from ridgepoint.arch.network import Network, PlacedBlock, place_blocks
from ridgepoint.arch.recipe import Recipe
from ridgepoint.arch.shape import Shape
from ridgepoint.cost.latency import TabledLatency
from ridgepoint.errors import InputError
from ridgepoint.files import write_atomic


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Under what a table was measured; rows of other conditions do not count."""

    device: str
    runtime: str
    runtime_version: str
    threads: int

    def file_name(self) -> str:
        """A file name that is the same for the same conditions."""
        digest = hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:10]
        return f"{self.runtime}-{self.runtime_version}-t{self.threads}-{digest}.json"


class LatencyTable(msgspec.Struct, kw_only=True):
    """Measured milliseconds by row, and of whole networks by digest, on one machine."""

    conditions: Conditions
    overhead_ms: float
    rows: dict[str, float] = {}
    networks: dict[str, float] = {}

    def tabled(self, network: Network) -> TabledLatency:
        """The sum of a network's rows and the overhead of one call.

        Raises:
            InputError: If rows are missing; `missing` tells which blocks they belong to.
        """
        keys = [row_key(block) for block in place_blocks(network, deploy=True)]
        absent = [key for key in keys if key not in self.rows]
        if absent:
            raise InputError(f"the latency table has no row for {len(absent)} of {len(keys)} blocks of {network.name}")
        return TabledLatency(
            ms=self.overhead_ms + sum(self.rows[key] for key in keys),
            device=self.conditions.device,
            runtime=self.conditions.runtime,
            threads=self.conditions.threads,
            rows=len(keys),
        )

    def missing(self, network: Network) -> list[PlacedBlock]:
        """The blocks of a network whose rows are not in the table, each once."""
        blocks = {row_key(block): block for block in place_blocks(network, deploy=True)}
        return [block for key, block in blocks.items() if key not in self.rows]

    def save(self, path: Path) -> None:
        """Write the table as JSON, whole or not at all."""
        write_atomic(path, msgspec.json.encode(self))


def load_table(path: Path, *, conditions: Conditions) -> LatencyTable:
    """Read a table.

    Raises:
        InputError: If the file is no table, or was measured under other conditions.
    """
    try:
        table = msgspec.json.decode(path.read_bytes(), type=LatencyTable)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Give a file with --table") from None
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: is no latency table ({error}). Delete it to measure anew") from None
    if table.conditions != conditions:
        raise InputError(
            f"{path}: was measured on {table.conditions}, this is {conditions}. Delete it or give another file"
        )
    return table


def row_key(block: PlacedBlock) -> str:
    """The name of a block's row: the same for the same layers at the same input shape."""
    return _row_key(block.recipe, block.input)


@lru_cache(maxsize=65536)
def _row_key(recipe: Recipe, shape: Shape) -> str:
    return hashlib.sha256(repr((recipe, shape)).encode()).hexdigest()[:16]
