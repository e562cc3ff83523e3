"""A latency is predicted, tabled or measured, and says which. Three types, never a bare float."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from ridgepoint.arch.network import Network

MILLISECONDS = ("ms", "low_ms", "high_ms", "bound_ms", "median_ms", "p90_ms")


class Latency(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of the three kinds. `ms` is for one image, in milliseconds.

    Between `low_ms` and `high_ms` lie nine of ten networks: what this machine's calibration saw its model miss by, on
    networks that the model had not learned from. Absent where no such residuals are known.
    """

    ms: float
    device: str
    low_ms: float | None = None
    high_ms: float | None = None

    @property
    def kind(self) -> str:
        """`predicted`, `tabled` or `measured`."""
        return str(self.__struct_config__.tag)


class PredictedLatency(Latency, frozen=True, tag="predicted"):
    """Computed from counts and a device's peak rates; nothing was run.

    Where a budget is held against it, that is `bound_ms`: the upper end of the interval that holds a share of networks,
    the `confidence`. `precision` is what the device's rates hold for, whatever precision a file has.
    """

    method: str
    bytes_per_element: float
    precision: str | None = None
    confidence: float | None = None
    bound_ms: float | None = None


class TabledLatency(Latency, frozen=True, tag="tabled"):
    """The sum of what blocks take on this machine, measured one by one or learned from its calibration.

    `rows` are the blocks and the head; `interpolated` are the paths of those that were not measured themselves.
    """

    runtime: str
    threads: int
    rows: int
    interpolated: tuple[str, ...] = ()
    place: str = "host"
    precision: str = "float32"


class MeasuredLatency(Latency, frozen=True, tag="measured"):
    """Clocked at a place, from a file, with the protocol that the other fields tell; the place `host` is this machine.

    `ms` is what one run takes when nothing disturbs it: the first decile of all runs, by a reference network brought
    to the machine's calm state. `median_ms` and `p90_ms` are of the same runs; `spread` is the difference between the
    fastest and the slowest round's median as a share of the median, `drift` how much slower the last third of the
    rounds was than the first, `slowdown` how much slower the machine was than when calm: `ms * slowdown` is what the
    clock showed. `undisturbed` is the share of the rounds that nothing disturbed, `load` the share of all processors
    that other processes kept busy, `at` when that was (ISO 8601). `doubt` tells why the time is not to be relied on; it
    is absent if it is. `peak_memory_bytes` is what a process grows by when it loads and runs the file.
    `means` tells that of each round's runs only their mean is known, which stands for them above, and `checked` whether
    the file's answers could be looked at in that place.
    `temperature_c` of the hottest zone, `frequency_mhz` and `governor` of the core are of the end of the last round,
    where the system tells them.
    """

    p90_ms: float
    spread: float
    runtime: str
    runtime_version: str
    threads: int
    precision: str
    warmup: int
    rounds: int
    runs: int
    file_bytes: int
    median_ms: float | None = None
    drift: float | None = None
    slowdown: float | None = None
    undisturbed: float | None = None
    load: float | None = None
    doubt: str | None = None
    at: str | None = None
    peak_memory_bytes: int | None = None
    place: str = "host"
    temperature_c: float | None = None
    frequency_mhz: float | None = None
    governor: str | None = None
    means: bool = False
    checked: bool = True


class LatencyModel(Protocol):
    """Anything that gives a network a latency: a roofline, a table, a stopwatch."""

    def latency(self, network: Network) -> Latency:
        """The latency of one image, in milliseconds, of the kind that this model gives."""
        ...


L = TypeVar("L", bound=Latency)


@dataclass(frozen=True)
class Corrected:
    """A latency model all of whose milliseconds are so many times those of another one; a `LatencyModel`."""

    model: LatencyModel
    factor: float

    def latency(self, network: Network) -> Latency:
        """The other model's latency, of the same kind."""
        return scaled(self.model.latency(network), self.factor)


def scaled(latency: L, factor: float) -> L:
    """A latency all of whose milliseconds are so many times what they were, of the same kind."""
    times = {name: getattr(latency, name, None) for name in MILLISECONDS}
    return msgspec.structs.replace(latency, **{name: ms * factor for name, ms in times.items() if ms is not None})
