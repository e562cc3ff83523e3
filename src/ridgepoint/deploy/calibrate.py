"""This machine's latency table: made, filled by measuring, calibrated."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import platformdirs
from torch import nn

from ridgepoint.arch.network import Network, PlacedBlock
from ridgepoint.arch.shape import Shape
from ridgepoint.cost.calibrating import calibrate
from ridgepoint.cost.device import Device
from ridgepoint.cost.host import cpu_name
from ridgepoint.cost.latency import MeasuredLatency, TabledLatency
from ridgepoint.cost.table import Conditions, LatencyTable, load_table, row_key
from ridgepoint.cost.tabled import TabledModel
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.parts import part_of, time_parts
from ridgepoint.deploy.runtimes import find_runtime, runtime_version
from ridgepoint.deploy.sampling import Progress, time_samples
from ridgepoint.documents import dump_document
from ridgepoint.files import make_folder, write_atomic
from ridgepoint.nn.build import build

TOGETHER = 8


class HostTable:
    """This machine's latency table behind the `LatencyModel` interface.

    Rows that are missing are interpolated once the machine is calibrated; until then they are measured when needed.

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
        self.model = TabledModel(self.table)

    @property
    def device(self) -> Device | None:
        """This machine as a roofline, named `host`; absent until it is calibrated."""
        return self.table.calibration.device if self.table.calibration else None

    @property
    def device_path(self) -> Path:
        """Where `calibrate` writes the device, as a file that every --device takes."""
        return self.path.with_suffix(".device.yaml")

    def latency(self, network: Network) -> TabledLatency:
        """The network's tabled latency; without a calibration, what the table lacks is measured and saved."""
        if self.table.calibration is None:
            self.measure_blocks(self.model.missing(network))
        return self.model.latency(network)

    def calibrate(self, *, time_s: float, progress: Progress | None = None) -> None:
        """Time random networks and learn from them what every pass takes; goes on where an earlier one stopped.

        Args:
            time_s: Seconds to time for.
            progress: Called with the share done and a text.
        """
        time_samples(self.table, self.path, time_s=time_s, progress=progress)
        if self.table.calibration is None or self.table.calibration.samples < len(self.table.samples):
            self.table.calibration = calibrate(self.table.samples, self.table.conditions)
            self.table.save(self.path)
            self.model = TabledModel(self.table)
        write_atomic(self.device_path, _as_yaml(self.table.calibration.device))

    def measure_blocks(self, blocks: Sequence[PlacedBlock], progress: Callable[[int, int], None] | None = None) -> None:
        """Time blocks, a few at a time in interleaved rounds, and save the table."""
        for start in range(0, len(blocks), TOGETHER):
            part = blocks[start : start + TOGETHER]
            for block, ms in zip(part, self._time(part), strict=True):
                self.table.rows[row_key(block.recipe, block.input)] = max(ms - self.table.overhead_ms, 0.0)
            self.table.save(self.path)
            if progress:
                progress(min(start + TOGETHER, len(blocks)), len(blocks))

    def measure_networks(self, networks: Mapping[str, Network]) -> dict[str, float]:
        """Milliseconds of whole networks as exported files, side by side; what is known is not repeated."""
        wanted = {name: network for name, network in networks.items() if network.digest not in self.table.networks}
        if wanted:
            for name, found in self.clock(wanted).items():
                self.table.networks[wanted[name].digest] = found.ms
            self.table.save(self.path)
        return {name: self.table.networks[network.digest] for name, network in networks.items()}

    def clock(self, networks: Mapping[str, Network]) -> dict[str, MeasuredLatency]:
        """Networks clocked now, side by side, as exported files with fresh weights.

        Once calibrated, with what a second measurement may differ by.
        """
        conditions = self.table.conditions
        with tempfile.TemporaryDirectory() as folder:
            suffix = find_runtime(conditions.runtime).suffix
            files = {name: Path(folder) / f"{index}{suffix}" for index, name in enumerate(networks)}
            for name, network in networks.items():
                export_for_timing(build(network), network.input_shape, files[name], conditions.runtime)
            clocked = measure(files, runtime=conditions.runtime, threads=conditions.threads)
        if self.table.calibration is None:
            return clocked
        low, high = self.table.calibration.measured
        return {
            name: msgspec.structs.replace(found, low_ms=found.ms * low, high_ms=found.ms * high)
            for name, found in clocked.items()
        }

    def _time(self, blocks: Sequence[PlacedBlock]) -> list[float]:
        return [timing.ms for timing in time_parts([part_of([block]) for block in blocks], self.table.conditions)]

    @staticmethod
    def _overhead(conditions: Conditions) -> float:
        """Milliseconds of one call of a network that does nothing."""
        return time_parts([(nn.ReLU(), Shape(1))], conditions, rounds=20)[0].ms


def _as_yaml(device: Device) -> str:
    plain = {**msgspec.to_builtins(device), "precision": device.precision, "fused": device.fused}
    return "# Written by ridgepoint calibrate.\n" + dump_document(plain)
