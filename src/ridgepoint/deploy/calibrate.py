"""The latency table of a machine, this one or a device: made, filled by measuring, calibrated."""

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import platformdirs
from torch import nn

from ridgepoint.arch.network import Network, PlacedBlock
from ridgepoint.arch.shape import Shape
from ridgepoint.cost.calibrating import calibrate
from ridgepoint.cost.count import cost
from ridgepoint.cost.device import Device, write_device
from ridgepoint.cost.latency import MeasuredLatency, TabledLatency
from ridgepoint.cost.precision import FLOAT32, INT8
from ridgepoint.cost.table import Conditions, LatencyTable, Stored, is_old, load_table, row_key
from ridgepoint.cost.tabled import TabledModel
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import PATIENCE_S, measure
from ridgepoint.deploy.parts import part_of, time_parts
from ridgepoint.deploy.places.place import LOCAL, Place
from ridgepoint.deploy.quantize import find_quantizer
from ridgepoint.deploy.quantize.timing import quantise_for_timing
from ridgepoint.deploy.reference import reference_files
from ridgepoint.deploy.runtimes import DEFAULT, find_runtime
from ridgepoint.deploy.sampling import Progress, time_samples
from ridgepoint.deploy.timing import Timing, cannot_tell
from ridgepoint.errors import InputError, NotMeasurableError, nearest
from ridgepoint.files import make_folder, writing
from ridgepoint.locks import owning
from ridgepoint.nn.build import build

TOGETHER = 8
TABLED = (FLOAT32.name, INT8.name)


class HostTable:
    """A machine's latency table behind the `LatencyModel` interface.

    Rows that are missing are interpolated once the machine is calibrated; until then they are measured when needed. A
    table in int8 has no rows, since a block by itself pays for conversions that it does not pay for in a network: it is
    what a calibration learned from whole files.

    Args:
        runtime: The runtime to measure with.
        threads: Threads inside one inference.
        path: The table's file; by default one per machine, runtime, version, threads and precision in the user's cache
            folder.
        busy: Accept times taken while the machine is busy, and do not wait for a calm one.
        precision: In what whole networks are clocked: `float32`, `int8`, or `auto`, whichever is faster.
        place: The machine that the table is of.
        tabled: The table's own precision, `float32` or `int8`; if left open int8 where networks are clocked in int8 and
            such a table is calibrated, else float32.

    Raises:
        InputError: If nothing can be timed so.
        NotMeasurableError: Here and wherever something is measured: if times are not to be relied on, unless `busy`.
    """

    def __init__(
        self,
        *,
        runtime: str = DEFAULT,
        threads: int = 1,
        path: Path | None = None,
        busy: bool = False,
        precision: str = "float32",
        place: Place = LOCAL,
        tabled: str | None = None,
    ):
        self.busy, self.precision, self.place = busy, precision, place
        conditions = table_conditions(runtime, threads, place, tabled or FLOAT32.name)
        if tabled is None and precision == INT8.name:
            int8 = table_conditions(runtime, threads, place, INT8.name)
            conditions = int8 if _is_calibrated(path or table_path(int8), int8) else conditions
        self.path = path or table_path(conditions)
        if self.path.exists():
            self.table = load_table(self.path, conditions=conditions).trim(doubted=busy)
        else:
            make_folder(self.path.parent)
            self.table = LatencyTable(conditions=conditions, overhead=self._overhead(conditions))
            self.table.save(self.path, doubted=self.busy)
        self.model = TabledModel(self.table)

    @property
    def tabled(self) -> str:
        """The table's own precision."""
        return self.table.conditions.precision

    @property
    def device(self) -> Device | None:
        """This machine as a roofline, named `host`; absent until it is calibrated."""
        return self.table.calibration.device if self.table.calibration else None

    @property
    def device_path(self) -> Path:
        """Where `calibrate` writes the device, as a file that every --device takes."""
        return self.path.with_suffix(".device.yaml")

    def latency(self, network: Network) -> TabledLatency:
        """The network's tabled latency; without a calibration, what the table lacks is measured and saved.

        Raises:
            InputError: If the table is in int8 and not calibrated.
        """
        if self.table.calibration is None:
            self.measure_blocks(self.model.missing(network))
        return self.model.latency(network)

    def calibrate(self, *, time_s: float, progress: Progress | None = None) -> None:
        """Time random networks and learn from them what every pass takes; goes on where an earlier one stopped.

        Args:
            time_s: Seconds to time for.
            progress: Called with the share done and a text.
        """
        if any(is_old(sample.at) for sample in self.table.samples):
            self.table.samples.clear()
        time_samples(self.table, self.path, time_s=time_s, busy=self.busy, place=self.place, progress=progress)
        if self.table.calibration is None or self.table.calibration.samples != len(self.table.samples):
            self.table.calibration = calibrate(self.table.samples, self.table.conditions)
            self.table.save(self.path, doubted=self.busy, calibrating=True)
            self.model = TabledModel(self.table)
        write_device(self.device_path, self.table.calibration.device, by="calibrate")

    def measure_blocks(self, blocks: Sequence[PlacedBlock], progress: Callable[[int, int], None] | None = None) -> None:
        """Time blocks, a few at a time in interleaved rounds, and save the table.

        Raises:
            InputError: If the table is in int8.
        """
        if self.tabled != FLOAT32.name:
            raise InputError(
                f"{self.path}: is in {self.tabled}, where blocks are not measured one by one: each "
                "would pay for conversions of its own. Calibrate it: ridgepoint calibrate --precision int8"
            )
        for start in range(0, len(blocks), TOGETHER):
            part = blocks[start : start + TOGETHER]
            for block, found in zip(part, self._time(part), strict=True):
                ms = max(found.ms - self.table.overhead_ms, 0.0)
                self.table.rows[row_key(block.recipe, block.input)] = msgspec.structs.replace(found, ms=ms)
            self.table.save(self.path, doubted=self.busy)
            if progress:
                progress(min(start + TOGETHER, len(blocks)), len(blocks))

    def measure_networks(self, networks: Mapping[str, Network]) -> dict[str, float]:
        """Milliseconds of whole networks as exported files, side by side; what is known is not repeated."""
        known = self.table.networks
        wanted = {name: network for name, network in networks.items() if self._key(network) not in known}
        if wanted:
            for name, found in self.clock(wanted).items():
                known[self._key(wanted[name])] = self._kept(found)
            self.table.save(self.path, doubted=self.busy)
        return {name: known[self._key(network)].ms for name, network in networks.items()}

    def clock(
        self, networks: Mapping[str, Network], *, patience_s: float | None = None, seconds: float = math.inf
    ) -> dict[str, MeasuredLatency]:
        """Networks clocked now, side by side, as exported files with fresh weights.

        Once calibrated, with what a second measurement may differ by.

        Args:
            networks: By any names.
            patience_s: How long to wait for a calm machine; as for all measurements of the table if left open.
            seconds: After so many no further file is written: the first networks alone are clocked, at least one.
        """
        until, conditions = time.monotonic() + seconds, self.table.conditions
        with tempfile.TemporaryDirectory() as folder:
            files, forms = dict[str, Path](), dict[str, list[str]]()
            for index, (name, network) in enumerate(networks.items()):
                if forms and time.monotonic() > until:
                    break
                written = {f"{name} {form}": file for form, file in self._forms(network, Path(folder) / str(index))}
                files, forms[name] = files | written, list(written)
            of_forms = measure(
                files,
                runtime=conditions.runtime,
                threads=conditions.threads,
                place=self.place,
                patience_s=self._patience_s if patience_s is None else patience_s,
                macs={f"{name} float32": cost(networks[name], form="deploy").macs for name in forms},
            )
        clocked = {
            name: min((of_forms[form] for form in written), key=lambda each: each.ms) for name, written in forms.items()
        }
        if self.table.calibration is None:
            return clocked
        low, high = self.table.calibration.measured
        return {
            name: msgspec.structs.replace(found, low_ms=found.ms * low, high_ms=found.ms * high)
            for name, found in clocked.items()
        }

    def _forms(self, network: Network, folder: Path) -> Iterator[tuple[str, Path]]:
        """Files of a network for the clock alone, in every precision that may ship."""
        runtime = find_runtime(self.table.conditions.runtime)
        folder.mkdir()
        path = folder / f"float32{runtime.suffix}"
        model, shape = build(network).eval(), network.input_shape
        export_for_timing(model, shape, path, runtime.name)
        if self.precision != "int8":
            yield "float32", path
        if self.precision != "float32":
            int8 = folder / f"int8{runtime.suffix}"
            yield "int8", quantise_for_timing(path, int8, shape, runtime.name, model)

    def _key(self, network: Network) -> str:
        return network.digest if self.precision == "float32" else f"{network.digest}-{self.precision}"

    @property
    def _patience_s(self) -> float:
        return 0.0 if self.busy else PATIENCE_S

    def _time(self, blocks: Sequence[PlacedBlock]) -> list[Stored]:
        conditions, parts = self.table.conditions, [part_of([block]) for block in blocks]
        timings = time_parts(parts, conditions, patience_s=self._patience_s, place=self.place)
        found = []
        for block, timing in zip(blocks, timings, strict=True):
            if timing is None:
                raise InputError(
                    f"{conditions.runtime} {conditions.runtime_version} cannot run {block.recipe} at {block.input}. "
                    "Choose another block or input size, or another --runtime"
                )
            found.append(timing)
        return [self._kept(timing) for timing in found]

    def _overhead(self, conditions: Conditions) -> Stored:
        """Milliseconds of one call of a network that does nothing."""
        in_float = msgspec.structs.replace(conditions, precision=FLOAT32.name)
        (found,) = time_parts(
            [(nn.ReLU(), Shape(1))], in_float, rounds=20, patience_s=self._patience_s, place=self.place
        )
        assert found is not None  # every runtime knows ReLU
        return self._kept(found)

    def _kept(self, found: Timing | MeasuredLatency) -> Stored:
        """A time as the table keeps it.

        Raises:
            NotMeasurableError: If it is not to be relied on, and such times are not accepted.
        """
        if found.doubt and not self.busy:
            raise NotMeasurableError(cannot_tell(found.doubt))
        return Stored(ms=found.ms, at=time.time(), load=found.load or 0.0, doubt=found.doubt)


def table_conditions(runtime: str, threads: int, place: Place = LOCAL, precision: str = FLOAT32.name) -> Conditions:
    """Under what a table is measured.

    Args:
        runtime: What loads the files.
        threads: Threads inside one inference.
        place: Where they run.
        precision: Of the files: `float32` or `int8`.

    Raises:
        InputError: If there is no such precision, or nothing can be timed so.
    """
    if precision not in TABLED:
        raise InputError(f"--precision is '{precision}'; {nearest(precision, TABLED)}")
    if precision == INT8.name:
        find_quantizer(runtime)
    return msgspec.structs.replace(place.conditions(runtime, threads), precision=precision)


def table_path(conditions: Conditions) -> Path:
    """Where a machine's table lies, in the user's cache folder; a device has one, whatever its address is."""
    return platformdirs.user_cache_path("ridgepoint") / "tables" / conditions.file_name()


def _is_calibrated(path: Path, conditions: Conditions) -> bool:
    with contextlib.suppress(InputError):
        return load_table(path, conditions=conditions).calibration is not None
    return False


def owning_table(path: Path) -> contextlib.AbstractContextManager[None]:
    """A table that one process at a time calibrates or clears.

    Raises:
        InputError: If the path is a folder's.
        RunError: If another process is at it.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder. Give a file with --table")
    make_folder(path.parent)
    otherwise = "Wait until it has ended, or give another file with --table"
    return owning(path.with_suffix(".lock"), what=path, otherwise=otherwise)


def clear_table(path: Path) -> list[str]:
    """Forget a table, the device learned from it, and how fast the references ran; the files that are gone."""
    files = [path, path.with_suffix(".device.yaml"), *reference_files()]
    gone = [file for file in files if file.is_file()]
    for file in gone:
        with writing(file, verb="removed"):
            file.unlink()
    return [str(file) for file in gone]
