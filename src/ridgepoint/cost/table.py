"""The latency table of one machine: what was measured on it, and what its calibration learned from that.

A row is a block in deploy form at one input shape, timed alone and named by a digest of its layers; equal blocks of
different networks share a row. A sample is a network that calibration timed. The table belongs to a place, a machine, a
runtime, its version, a number of threads and a precision, and is refused elsewhere. Every time carries its date and how
busy others kept the machine; one that could not be relied on is kept only where the user accepts such times, and taken
again where not.
"""

import hashlib
import time
from functools import lru_cache
from pathlib import Path

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.recipe import Recipe
from ridgepoint.arch.shape import Shape
from ridgepoint.cost.device import Device
from ridgepoint.cost.pass_times import PassTimes
from ridgepoint.errors import InputError
from ridgepoint.files import read_file, write_atomic
from ridgepoint.locks import owning

LARGEST_BYTES = 50_000_000
Interval = tuple[float, float]
KEPT_S = 30 * 24 * 3600.0  # what is older is taken again: systems and runtimes are updated, machines are changed
SAVING_S = 60.0  # to wait for another process that saves the same table
PROTOCOL = 2  # how times are taken; those of another protocol lie in files of other names
_UNTOLD = {"place": "host", "precision": "float32"}  # what names of files do not tell


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Under what a table was measured; rows of other conditions do not count.

    Tables of older versions name neither place nor precision: all were of this machine, in float32.
    """

    device: str
    runtime: str
    runtime_version: str
    threads: int
    place: str = "host"
    precision: str = "float32"

    def file_name(self) -> str:
        """A file name that is the same for the same conditions, in older versions too."""
        told = {name: value for name, value in msgspec.to_builtins(self).items() if _UNTOLD.get(name) != value}
        digest = hashlib.sha256(msgspec.json.encode((PROTOCOL, told))).hexdigest()[:10]
        return f"{self.runtime}-{self.runtime_version}-t{self.threads}-{digest}.json"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A time that is kept, in milliseconds.

    `at` is when it was taken, in seconds since 1970, `load` the share of all processors that other processes kept busy,
    `doubt` why it is not to be relied on, absent if it is.
    """

    ms: float
    at: float
    load: float
    doubt: str | None = None

    @property
    def old(self) -> bool:
        """Whether it is to be taken again."""
        return is_old(self.at)


def is_old(at: float) -> bool:
    """Whether what was timed then, in seconds since 1970, is to be timed again."""
    return not 0 <= time.time() - at < KEPT_S


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A network that calibration timed; `again_ms` where it did so twice, with minutes between.

    `ms` is absent where the runtime cannot run it: it keeps its number, and nothing is learned from it.
    """

    network: Network
    ms: float | None
    at: float
    load: float = 0.0
    again_ms: float | None = None


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned from the samples.

    Attributes:
        passes: What every pass takes.
        device: This machine as a roofline, with its interval.
        tabled: Measured over tabled latency: nine of ten searched networks that were left out lay between.
        measured: The same for a second measurement.
        samples: How many there were.
    """

    passes: PassTimes
    device: Device
    tabled: Interval
    measured: Interval
    samples: int


class LatencyTable(msgspec.Struct, kw_only=True):
    """Measured milliseconds by row, of whole networks by digest, and of samples; on one machine."""

    conditions: Conditions
    overhead: Stored
    rows: dict[str, Stored] = {}
    networks: dict[str, Stored] = {}
    samples: list[Sample] = []
    calibration: Calibration | None = None

    @property
    def overhead_ms(self) -> float:
        """What one call takes beside its blocks."""
        return self.overhead.ms

    def trim(self, *, doubted: bool) -> "LatencyTable":
        """The table without times that are old and, unless they are accepted, doubted ones."""
        for stored in (self.rows, self.networks):
            for key in [key for key, each in stored.items() if each.old or (each.doubt and not doubted)]:
                del stored[key]
        return self

    def save(self, path: Path, *, doubted: bool, calibrating: bool = False) -> None:
        """Write the table as JSON, whole or not at all.

        Times that other processes have saved meanwhile stay, and count here: so all go by the same ones, and so does a
        run that is resumed.

        Args:
            path: The file.
            doubted: Whether doubted times of others are accepted.
            calibrating: Whether the samples and the calibration are this process's to change, not another's.
        """
        with owning(path.with_suffix(".saving"), what=path, otherwise="Try again", wait_s=SAVING_S):
            written = self
            if path.exists():
                others = load_table(path, conditions=self.conditions).trim(doubted=doubted)
                self.overhead = others.overhead
                self.rows |= others.rows
                self.networks |= others.networks
                if not calibrating:
                    kept = {"samples": others.samples, "calibration": others.calibration}
                    written = msgspec.structs.replace(self, **kept)
            write_atomic(path, msgspec.json.encode(written))


def load_table(path: Path, *, conditions: Conditions) -> LatencyTable:
    """Read a table.

    Raises:
        InputError: If the file is no table, or was measured under other conditions.
    """
    try:
        table = msgspec.json.decode(read_file(path, limit_bytes=LARGEST_BYTES), type=LatencyTable)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}: is no latency table ({error}). Give another file, or delete it to measure anew"
        ) from None
    if table.conditions != conditions:
        raise InputError(
            f"{path}: was measured on {table.conditions}, this is {conditions}. Delete it or give another file"
        )
    return table


@lru_cache(maxsize=65536)
def row_key(recipe: Recipe, shape: Shape) -> str:
    """The name of a block's row: the same for the same layers at the same input shape."""
    return hashlib.sha256(repr((recipe, shape)).encode()).hexdigest()[:16]
