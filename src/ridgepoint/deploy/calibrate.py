"""Filling this machine's latency table: every block is exported, loaded in the runtime and timed."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import platformdirs
import torch
from torch import nn

from ridgepoint.arch.network import Network, PlacedBlock
from ridgepoint.arch.shape import Shape
from ridgepoint.arch.zoo import load
from ridgepoint.cost.host import cpu_name
from ridgepoint.cost.latency import TabledLatency
from ridgepoint.cost.table import Conditions, LatencyTable, load_table, row_key
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure, reference_session, time_sessions
from ridgepoint.deploy.runtimes import open_session, runtime_version
from ridgepoint.files import make_folder
from ridgepoint.nn import layers
from ridgepoint.nn.build import build, initialise, module_of

ROUNDS, ROUND_S = 5, 0.004


class HostTable:
    """This machine's latency table behind the `LatencyModel` interface: rows that are missing are measured when needed.

    Args:
        runtime: The runtime to measure with.
        threads: Threads inside one inference.
        path: The table's file; by default one per machine, runtime, version and threads in the user's cache folder.
    """

    def __init__(self, *, runtime: str = "onnxruntime", threads: int = 1, path: Path | None = None):
        conditions = Conditions(
            device=cpu_name(), runtime=runtime, runtime_version=runtime_version(runtime), threads=threads
        )
        self.path = path or platformdirs.user_cache_path("ridgepoint") / "tables" / conditions.file_name()
        if self.path.exists():
            self.table = load_table(self.path, conditions=conditions)
        else:
            make_folder(self.path.parent)
            self.table = LatencyTable(conditions=conditions, overhead_ms=self._overhead(conditions))
            self.table.save(self.path)

    def latency(self, network: Network) -> TabledLatency:
        """The network's tabled latency; measures what the table lacks and saves it."""
        missing = self.table.missing(network)
        if missing:
            self.measure_blocks(missing)
        return self.table.tabled(network)

    def measure_blocks(self, blocks: Sequence[PlacedBlock], progress: Callable[[int, int], None] | None = None) -> None:
        """Time blocks, a few at a time in interleaved rounds, and save the table."""
        chunk = 8
        for start in range(0, len(blocks), chunk):
            part = blocks[start : start + chunk]
            for block, ms in zip(part, self._time(part), strict=True):
                self.table.rows[row_key(block)] = max(ms - self.table.overhead_ms, 0.0)
            self.table.save(self.path)
            if progress:
                progress(min(start + chunk, len(blocks)), len(blocks))

    def measure_networks(self, networks: Mapping[str, Network]) -> dict[str, float]:
        """Median milliseconds of whole networks as exported files, side by side; what is known is not repeated."""
        wanted = {name: network for name, network in networks.items() if network.digest not in self.table.networks}
        if wanted:
            with tempfile.TemporaryDirectory() as folder:
                files = {name: Path(folder) / f"{index}.onnx" for index, name in enumerate(wanted)}
                for name, network in wanted.items():
                    export_for_timing(build(network), network.input_shape, files[name])
                conditions = self.table.conditions
                clocked = measure(files, runtime=conditions.runtime, threads=conditions.threads)
            for name, network in wanted.items():
                self.table.networks[network.digest] = clocked[name].ms
            self.table.save(self.path)
        return {name: self.table.networks[network.digest] for name, network in networks.items()}

    def _time(self, blocks: Sequence[PlacedBlock]) -> list[float]:
        conditions = self.table.conditions
        with tempfile.TemporaryDirectory() as folder:
            sessions = {}
            for index, block in enumerate(blocks):
                path = Path(folder) / f"{index}.onnx"
                export_for_timing(_block_module(block), block.input, path)
                sessions[str(index)] = open_session(path, runtime=conditions.runtime, threads=conditions.threads)
            timings = time_sessions(
                sessions,
                reference=reference_session(conditions.runtime, conditions.threads),
                rounds=ROUNDS,
                round_s=ROUND_S,
                warmup=3,
            )
        return [timings[str(index)].median_ms for index in range(len(blocks))]

    @staticmethod
    def _overhead(conditions: Conditions) -> float:
        """Milliseconds of one call of a network that does nothing."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "nothing.onnx"
            export_for_timing(nn.ReLU(), Shape(1), path)
            session = open_session(path, runtime=conditions.runtime, threads=conditions.threads)
            reference = reference_session(conditions.runtime, conditions.threads)
            timing = time_sessions({"nothing": session}, reference=reference, rounds=20, round_s=0.002)
        return timing["nothing"].median_ms


def default_networks() -> list[Network]:
    """What `calibrate` measures ahead of need: the networks of the zoo that phones run."""
    names = ("mobilenetv3_small_050", "mobilenetv3_small_100", "mobilenetv3_large_100", "mobilenetv4_conv_small")
    return [load(name) for name in names]


def _block_module(block: PlacedBlock) -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(module_of(block.recipe, block.input, layers.Grid(), 0.0, 0.0))
    initialise(module)
    return module.eval()
