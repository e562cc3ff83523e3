"""What is known of a device's profile: how far each published network is off, and which networks of the zoo suit it."""

import msgspec
import numpy as np

from ridgepoint.arch.zoo import family, list_models, load, published_top1
from ridgepoint.cost.device import Device, list_devices, load_device
from ridgepoint.cost.fitting import LARGE, confirmed, features_of, predicted_left_out
from ridgepoint.cost.left_out import covered
from ridgepoint.cost.published import PublishedTable, published_tables
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.sweep import pareto
from ridgepoint.errors import InputError


class Residual(msgspec.Struct, frozen=True, kw_only=True):
    """A published latency, and what was predicted for it from a fit to all other families."""

    network: str
    family: str
    size: int
    measured_ms: float
    left_out_ms: float
    covered: bool

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured_ms / self.left_out_ms

    @property
    def error(self) -> float:
        """Of the prediction, as a share of the measured latency."""
        return self.left_out_ms / self.measured_ms - 1


class FamilyError(msgspec.Struct, frozen=True, kw_only=True):
    """The networks of one design: how many, the median size of their errors, and the most extreme ones."""

    family: str
    networks: int
    median_error: float
    lowest: float
    highest: float
    covered: int


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """A network of the zoo on the device: predicted, with the interval where it is known; top-1 in percent."""

    name: str
    family: str
    size: int
    top1: float
    ms: float
    low_ms: float | None
    high_ms: float | None
    macs: int
    on_front: bool


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A device's profile and how far it can be relied on.

    Attributes:
        device: The profile.
        table: What its rates were fitted to; None where that is not in the package.
        licence: Of the table.
        residuals: Every network of the table, predicted from the other families; the largest error first.
        zoo: The networks with a published accuracy at their own size, the fastest first; of twins that differ by their
            padding alone, one.
    """

    device: Device
    table: str | None
    licence: str
    residuals: tuple[Residual, ...]
    zoo: tuple[Expected, ...]

    @property
    def covered(self) -> int:
        """How many residuals lie in an interval that was taken from the other families alone."""
        return sum(each.covered for each in self.residuals)

    @property
    def front(self) -> list[Expected]:
        """The networks that no other one beats there, the fastest first."""
        return [each for each in self.zoo if each.on_front]

    @property
    def families(self) -> list[FamilyError]:
        """Errors by family, the family that is furthest off first."""
        found: dict[str, list[Residual]] = {}
        for each in self.residuals:
            found.setdefault(each.family, []).append(each)
        every = [
            FamilyError(
                family=name,
                networks=len(rows),
                median_error=float(np.median([abs(each.error) for each in rows])),
                lowest=min(each.error for each in rows),
                highest=max(each.error for each in rows),
                covered=sum(each.covered for each in rows),
            )
            for name, rows in found.items()
        ]
        return sorted(every, key=lambda each: -each.median_error)


def device_card(device: Device) -> Card:
    """The card of a device.

    Raises:
        InputError: If it predicts no milliseconds.
    """
    if not device.timed:
        raise InputError(f"{device.name}: only its ridge point is known, so nothing is predicted in milliseconds")
    table = _table_of(device)
    return Card(
        device=device,
        table=None if table is None else table.source,
        licence="" if table is None else table.licence,
        residuals=() if table is None else _residuals(device, table),
        zoo=_zoo(device),
    )


def _table_of(device: Device) -> PublishedTable | None:
    """The table that a device of the package was fitted to; a file of the same name is another device."""
    if device.name not in list_devices() or load_device(device.name) != device:
        return None
    return next((table for table in published_tables() if device.name in table.devices), None)


def _residuals(device: Device, table: PublishedTable) -> tuple[Residual, ...]:
    rows = [row for row in table.rows if device.name in row.latency_ms]
    networks, families = [row.load() for row in rows], np.array([row.family for row in rows])
    given = np.array([row.latency_ms[device.name] for row in rows])
    features = features_of(table.device(device.name), networks, table.ridge_points(device.name))
    features = confirmed(features, families.tolist())
    left_out = predicted_left_out(features, given, families.tolist())
    inside = covered(given / left_out, families, features.depthwise[LARGE] > 0)
    found = [
        Residual(
            network=network.name,
            family=row.family,
            size=network.input[1],
            measured_ms=float(given[place]),
            left_out_ms=float(left_out[place]),
            covered=bool(inside[place]),
        )
        for place, (row, network) in enumerate(zip(rows, networks, strict=True))
    ]
    return tuple(sorted(found, key=lambda each: -abs(each.error)))


def _zoo(device: Device) -> tuple[Expected, ...]:
    roofline = Roofline(device)
    models = set(list_models())
    names = sorted(
        name for name in models if name.removeprefix("tf_") == name or name.removeprefix("tf_") not in models
    )
    known = [(load(name), top1.value) for name in names if (top1 := published_top1(name)) is not None]
    latencies = [roofline.latency(network) for network, _ in known]
    on_front = pareto([[each.ms for each in latencies]], [value for _, value in known])[0]
    found = [
        Expected(
            name=network.name,
            family=family(network.name),
            size=network.input[1],
            top1=value,
            ms=latency.ms,
            low_ms=latency.low_ms,
            high_ms=latency.high_ms,
            macs=round(sum(roofline.passes(network)[0])),
            on_front=bool(on),
        )
        for (network, value), latency, on in zip(known, latencies, on_front, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: each.ms))
