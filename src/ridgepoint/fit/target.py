"""What the networks of a fit must run on: a machine with a clock, or a device that is not at hand and is predicted.

Both give times of networks and of exported files. Of a clock they are what was measured; of a device's profile they
come from counts, with an interval, and the budget is held against the interval's upper end.
"""

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.cost.confidence import above
from ridgepoint.cost.count import cost
from ridgepoint.cost.device import Device, list_devices, load_device
from ridgepoint.cost.latency import Latency, PredictedLatency
from ridgepoint.cost.roofline import Roofline
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.places.find import find_place
from ridgepoint.deploy.places.place import HOST, LOCAL, Place
from ridgepoint.deploy.rounds import example_image
from ridgepoint.deploy.runtimes import find_runtime, open_session
from ridgepoint.errors import InputError
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.wanted import Wanted
from ridgepoint.nn.build import build
from ridgepoint.run.result import Told, bound_ms

_TRIED = 5  # runs of a network, to see how long checks will take here


class Target(Protocol):
    """What a search asks of what it fits networks to: one device, or several as one (`ridgepoint.fit.goals`).

    Attributes:
        measured: Whether its times come from a clock.
    """

    measured: bool

    @property
    def model(self) -> str:
        """What tells of a network's time without clocking it, in words."""
        ...

    def allowed_ms(self, budget_ms: float) -> float:
        """The most that a told time may be for the budget to hold."""
        ...

    def latency(self, network: Network) -> Latency:
        """A network's time, without clocking it as a whole."""
        ...

    def measure_networks(self, networks: Mapping[str, Network]) -> dict[str, float]:
        """Milliseconds of whole networks, by the clock where there is one; what is known is not clocked again."""
        ...

    def clock(
        self, networks: Mapping[str, Network], *, patience_s: float | None = None, seconds: float = math.inf
    ) -> Mapping[str, Told]:
        """The same, now; of the first ones alone where to write files takes more than so many seconds."""
        ...

    def lacking(self, network: Network) -> set[str]:
        """The blocks of a network that would have to be clocked."""
        ...

    def knows(self, network: Network) -> bool:
        """Whether the whole network need not be clocked."""
        ...

    def try_out(self, network: Network) -> tuple[float, float]:
        """Seconds to export one network and find its time, and milliseconds of a run of it here; asked once."""
        ...


class OneTarget(Target, Protocol):
    """A single one, on which files run."""

    @property
    def place(self) -> Place:
        """Where exported files run, to be checked and clocked."""
        ...

    def files(
        self, files: Mapping[str, Path], networks: Mapping[str, Network], *, patience_s: float
    ) -> Mapping[str, Told]:
        """The time of each exported file, of which `networks` says what is in it; of int8 files it says nothing."""
        ...


@dataclass
class Clocked:
    """A machine whose clock has the last word; a `OneTarget`."""

    host: HostTable
    measured = True
    _alone: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False)  # seconds to clock, and ms

    @property
    def place(self) -> Place:
        """See `Target`."""
        return self.host.place

    @property
    def model(self) -> str:
        """See `Target`."""
        return "this machine's latency table" if self.place is LOCAL else f"the latency table of {self.place.name}"

    def allowed_ms(self, budget_ms: float) -> float:
        """See `Target`."""
        return budget_ms

    def latency(self, network: Network) -> Latency:
        """See `Target`."""
        return self.host.latency(network)

    def measure_networks(self, networks: Mapping[str, Network]) -> dict[str, float]:
        """See `Target`."""
        return self.host.measure_networks(networks)

    def clock(
        self, networks: Mapping[str, Network], *, patience_s: float | None = None, seconds: float = math.inf
    ) -> Mapping[str, Told]:
        """See `Target`."""
        started = time.monotonic()
        found = self.host.clock(networks, patience_s=patience_s, seconds=seconds)
        if len(networks) == 1:
            for name, network in networks.items():
                self._alone[network.digest] = time.monotonic() - started, found[name].ms
        return found

    def files(
        self, files: Mapping[str, Path], networks: Mapping[str, Network], *, patience_s: float
    ) -> Mapping[str, Told]:
        """See `Target`."""
        conditions = self.host.table.conditions
        return measure(
            files,
            runtime=conditions.runtime,
            threads=conditions.threads,
            place=self.place,
            patience_s=patience_s,
            macs={name: cost(network, form="deploy").macs for name, network in networks.items()},
        )

    def lacking(self, network: Network) -> set[str]:
        """See `Target`."""
        if self.host.table.calibration is not None:
            return set()
        return {repr(placed) for placed in self.host.model.missing(network)}

    def knows(self, network: Network) -> bool:
        """See `Target`."""
        return network.digest in self.host.table.networks

    def try_out(self, network: Network) -> tuple[float, float]:
        """See `Target`."""
        if network.digest not in self._alone:
            self.clock({"average": network})
        return self._alone[network.digest]


class Predicted:
    """A device that is not at hand, by its profile; a `OneTarget`. Nothing is ever measured on it.

    Args:
        device: With rates and an interval, in its own precision.
        confidence: The share of networks that the interval must hold whose upper end the budget is held against.
        runtime: What writes the files, which are checked here.
    """

    measured = False
    place: Place = LOCAL

    def __init__(self, device: Device, *, confidence: float, runtime: str):
        assert device.interval is not None
        self.device, self.confidence, self.runtime = device, confidence, runtime
        self.model = f"the profile of {device.name}"
        self._roofline = Roofline(device)
        self._above = above(device.interval, confidence)

    def allowed_ms(self, budget_ms: float) -> float:
        """See `Target`."""
        return budget_ms / self._above

    def latency(self, network: Network) -> PredictedLatency:
        """See `Target`: of a network with an interval of its own, the time of a usual one with the same bound.

        So that what is allowed is one number for all networks; of what ships, `files` tells the prediction itself.
        """
        found = self._predicted(network)
        assert found.bound_ms is not None
        return msgspec.structs.replace(found, ms=found.bound_ms / self._above)

    def measure_networks(self, networks: Mapping[str, Network]) -> dict[str, float]:
        """See `Target`."""
        return {name: self.latency(network).ms for name, network in networks.items()}

    def clock(
        self, networks: Mapping[str, Network], *, patience_s: float | None = None, seconds: float = math.inf
    ) -> Mapping[str, Told]:
        """See `Target`."""
        return {name: self.latency(network) for name, network in networks.items()}

    def files(
        self, files: Mapping[str, Path], networks: Mapping[str, Network], *, patience_s: float
    ) -> Mapping[str, Told]:
        """See `Target`."""
        return {name: self._predicted(networks[name]) for name in files}

    def _predicted(self, network: Network) -> PredictedLatency:
        """What the profile says, and the bound by the network's own interval."""
        found = self._roofline.latency(network)
        interval = self.device.interval_of(self._roofline.depthwise_macs(network)[1] > 0)
        assert interval is not None
        return msgspec.structs.replace(
            found,
            confidence=self.confidence,
            bound_ms=found.ms * above(interval, self.confidence),
            precision=self.device.precision,
        )

    def lacking(self, network: Network) -> set[str]:
        """See `Target`."""
        return set()

    def knows(self, network: Network) -> bool:
        """See `Target`."""
        return True

    def try_out(self, network: Network) -> tuple[float, float]:
        """See `Target`."""
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"average{find_runtime(self.runtime).suffix}"
            export_for_timing(build(network), network.input_shape, path, self.runtime)
            session = open_session(path, runtime=self.runtime, pinned=False)
            image, began = example_image(session), time.monotonic()
            for _ in range(_TRIED):
                session.run(image)
            ms = (time.monotonic() - began) / _TRIED * 1e3
        return time.monotonic() - started, ms


def find_target(wanted: Wanted, settings: FitSettings) -> OneTarget:
    """What is wanted, by the request that it is of; `--table` is the first one's.

    Raises:
        InputError: If it is no device, or one that nothing can be promised for.
    """
    if wanted.predicted:
        return Predicted(predictable(wanted, settings), confidence=settings.confidence, runtime=wanted.runtime)
    table = Path(settings.table) if settings.table and not wanted.further else None
    return Clocked(
        HostTable(
            runtime=wanted.runtime,
            threads=settings.threads,
            path=table,
            busy=settings.busy,
            precision=wanted.precision,
            place=find_place(wanted.device),
        )
    )


def in_float(target: OneTarget) -> OneTarget:
    """The same for files in float32 alone."""
    if not isinstance(target, Clocked):
        return target
    host, conditions = target.host, target.host.table.conditions
    return Clocked(
        HostTable(
            runtime=conditions.runtime,
            threads=conditions.threads,
            path=host.path,
            busy=host.busy,
            place=host.place,
        )
    )


def told_place(device: str) -> str:
    """A place with a clock, in words."""
    return "this machine" if device == HOST else device


def predictable(wanted: Wanted, settings: FitSettings) -> Device:
    """The device of a request that is not at hand, if a budget can be held against predictions for it.

    Raises:
        InputError: Saying what it lacks and what to do.
    """
    device, option = load_device(wanted.device), wanted.option
    if not (device.timed and device.interval):
        lacks = "an interval" if device.timed else "a peak"
        good = ", ".join(name for name in list_devices() if (one := load_device(name)).timed and one.interval)
        raise InputError(
            f"{option}: its profile has no {lacks.split()[-1]}, so nothing tells how far its predictions are off. "
            f"Allowed: host, {good}; or a device file with peak_macs_per_s, bandwidth_bytes_per_s and interval, as "
            "`ridgepoint calibrate` writes one on the device itself"
        )
    if wanted.further:  # threads, precision and table are those of `--device`
        return device
    for name, value, usual in (
        ("--precision", settings.precision, "float32"),
        ("--threads", settings.threads, 1),
        ("--table", settings.table, None),
    ):
        if value != usual:
            raise InputError(
                f"{name} is {value}, but {option} is predicted, in {device.precision} and as its profile was found. "
                f"Leave {name} out"
                + ("; an int8 file is then made by: ridgepoint export RUN --int8" if name == "--precision" else "")
            )
    return device


def meets(latency: Told, budget_ms: float) -> bool:
    """Whether a budget holds: by the clock, or by the upper end of what was predicted."""
    return bound_ms(latency) <= budget_ms * (1 + 1e-9)  # which a prediction may fill to the last digit


def as_candidate(latency: Told) -> dict[str, float]:
    """A time as the fields of a candidate: what was predicted is never called measured."""
    if isinstance(latency, PredictedLatency):
        return {"predicted_ms": latency.ms}
    return {"measured_ms": latency.ms, "measured_p90_ms": latency.p90_ms}
