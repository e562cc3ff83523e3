"""A device of one's own from a few measurements: the profile of the nearest known device, brought to them.

Every known profile, by its own ridge point, is brought to the measurements in two ways: all its times multiplied by one
factor, or peak and overhead found anew. What predicts best each network that is left out wins. With so few networks
more than two numbers cannot be found, and the ridge point is none of them.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import family
from ridgepoint.cost.device import Device, Fit
from ridgepoint.cost.fitting import PER_PASS, Features, features_of, fit_line
from ridgepoint.cost.measurements import Measurement
from ridgepoint.cost.roofline import Roofline
from ridgepoint.errors import InputError
from ridgepoint.units import format_ms

Array = NDArray[np.float64]
WORTH = 5.0  # measurements: what the nearest device's own interval counts in that of the new one
NINE_OF_TEN = 0.95  # quantile of either side
SELECTED = (
    1.25  # times as wide: what was best of some twenty ways looks better than it is (benchmarks/absent_devices.py)
)
CONTRADICTS = 4.0  # times what the other rows make one expect


class Adapted(msgspec.Struct, frozen=True, kw_only=True):
    """A device of the user's own, and how it came about.

    Attributes:
        device: As every `--device` takes it.
        near: The known device whose profile it is made from.
        factor: By how much slower networks are than there, in the middle.
        before: Of each measurement, predicted over measured latency by the near profile as it is.
        left_out: The same by the adapted profile when the measurement itself was left out.
    """

    device: Device
    near: str
    factor: float
    before: tuple[float, ...]
    left_out: tuple[float, ...]


class _Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to bring a profile to measurements."""

    near: Device
    device: Device
    fitted: str
    predicted: Array
    left_out: Array


def adapt(measured: Sequence[Measurement], known: Sequence[Device], *, name: str, source: str) -> Adapted:
    """The nearest profile, brought to measurements.

    Args:
        measured: Networks with their milliseconds, as `read_measurements` gives them.
        known: Devices with rates and an interval.
        name: Of the new device.
        source: Where the measurements are from, for the record.

    Raises:
        InputError: If one measurement contradicts all others.
    """
    given = np.array([each.ms for each in measured])
    ways = [way for device in known for way in _ways(device, measured, given, name)]
    best = min(ways, key=lambda way: float(np.mean(np.log(way.left_out / given) ** 2)))
    _expect_agreement(measured, best, given, source)
    interval, of_large = _interval(best, given), best.near.large_depthwise_interval
    before = np.array([Roofline(best.near).latency(each.network).ms for each in measured])
    device = msgspec.structs.replace(
        best.device,
        description=f"{best.near.description}, brought to {len(measured)} measurements",
        source=f"{source}; near: {best.near.source}",
        fit=_fit(measured, best, given, source),
        interval=interval,
        large_depthwise_interval=of_large and (min(interval[0], of_large[0]), max(interval[1], of_large[1])),
    )
    return Adapted(
        device=device,
        near=best.near.name,
        factor=float(np.median(given / before)),
        before=tuple((before / given).tolist()),
        left_out=tuple((best.left_out / given).tolist()),
    )


def _ways(near: Device, measured: Sequence[Measurement], given: Array, name: str) -> list[_Way]:
    """Both ways to bring one profile to the measurements."""
    roofline, networks = Roofline(near), [each.network for each in measured]
    old = np.array([roofline.latency(network).ms for network in networks])
    return [_multiplied(near, old, given, name), _by_line(near, _in_its_proportions(near, networks), given, name)]


def _in_its_proportions(near: Device, networks: Sequence[Network]) -> Features:
    """What latencies are made of, where depthwise convolutions take as much longer than other MACs as there."""
    features = features_of(near, networks, [near.ridge])
    per_mac = np.array([near.depthwise_ns_per_mac, near.large_depthwise_ns_per_mac]) * 1e-9 * near.peak
    added = per_mac @ features.depthwise
    return features._replace(times=features.times + added, depthwise=np.zeros_like(features.depthwise))


def _multiplied(near: Device, old: Array, given: Array, name: str) -> _Way:
    """All times of the profile so many times: one number."""
    logs = np.log(given / old)
    others = (logs.sum() - logs) / (len(logs) - 1)
    factor = float(np.exp(logs.mean()))
    device = _device(
        near,
        name,
        peak=near.peak / factor,
        overhead_ms=near.overhead_ms * factor,
        pass_overhead_us=near.pass_overhead_us * factor,
    )
    return _Way(
        near=near,
        device=device,
        fitted=f"the profile of {near.name} times one factor",
        predicted=old * factor,
        left_out=old * np.exp(others),
    )


def _by_line(near: Device, features: Features, given: Array, name: str) -> _Way:
    """Peak and overhead anew, at the profile's ridge point: two numbers."""
    line, left_out = fit_line(features, given), np.empty_like(given)
    for place in range(len(given)):
        kept = np.arange(len(given)) != place
        left_out[place] = fit_line(features.of(kept), given[kept])(features.of(~kept))[0]
    per_pass = line.overhead == PER_PASS
    device = _device(
        near,
        name,
        peak=1e3 / max(line.ms_per_unit, 1e-15),
        overhead_ms=0.0 if per_pass else line.overhead_ms,
        pass_overhead_us=line.overhead_ms * 1e3 if per_pass else 0.0,
    )
    return _Way(
        near=near,
        device=device,
        fitted=f"peak and overhead at the ridge point of {near.name}",
        predicted=line(features),
        left_out=np.maximum(left_out, 1e-9),
    )


def _device(near: Device, name: str, *, peak: float, overhead_ms: float, pass_overhead_us: float) -> Device:
    return Device(
        name=name,
        source="",
        peak_macs_per_s=float(f"{peak:.4g}"),
        ridge_point=near.ridge,
        overhead_ms=float(f"{overhead_ms:.4g}"),
        pass_overhead_us=float(f"{pass_overhead_us:.4g}"),
        depthwise_ns_per_mac=float(f"{near.depthwise_ns_per_mac * near.peak / peak:.4g}"),
        large_depthwise_ns_per_mac=float(f"{near.large_depthwise_ns_per_mac * near.peak / peak:.4g}"),
        precision=near.precision,
        fused=near.fused,
    )


def _expect_agreement(measured: Sequence[Measurement], best: _Way, given: Array, source: str) -> None:
    """Refuse a row that all others contradict."""
    off = np.abs(np.log(best.left_out / given))
    worst = int(off.argmax())
    if off[worst] > np.log(CONTRADICTS):
        row = measured[worst]
        raise InputError(
            f"{source}: line {row.line}, {row.told}, takes {format_ms(row.ms)}, where the other rows make one expect "
            f"{format_ms(float(best.left_out[worst]))}. Check its network, size and unit, or leave it out"
        )


def _interval(best: _Way, given: Array) -> tuple[float, float]:
    """Where nine of ten networks should lie: errors of those left out, and of the near device's own, on either side.

    Few errors tell little of their spread, so that of the near device's interval counts as `WORTH` measurements more,
    and the quantile is Student's. Without `SELECTED` the intervals of seven devices that were left out in turn held 82
    of 100 networks in the median, not 90.
    """
    from scipy.stats import norm, t

    assert best.near.interval is not None
    low, high = best.near.interval
    usual = np.log(high / low) / 2 / norm.ppf(NINE_OF_TEN)
    squares, count = float(np.sum(np.log(best.left_out / given) ** 2)), len(given)
    spread = np.sqrt((squares + WORTH * usual**2) / (count + WORTH))
    width = float(SELECTED * t.ppf(NINE_OF_TEN, count + WORTH - 1) * spread)
    return float(f"{np.exp(-width):.3g}"), float(f"{np.exp(width):.3g}")


def _fit(measured: Sequence[Measurement], best: _Way, given: Array, source: str) -> Fit:
    from scipy.stats import spearmanr

    errors, left = np.abs(best.predicted / given - 1), np.abs(best.left_out / given - 1)
    return Fit(
        published=Path(source).name,
        networks=len(measured),
        families=len({family(each.network.name) for each in measured}),
        fitted=best.fitted,
        median_error=round(float(np.median(errors)), 3),
        worst_error=round(float(errors.max()), 3),
        left_out="networks",
        left_out_median_error=round(float(np.median(left)), 3),
        left_out_spearman=round(float(spearmanr(best.left_out, given).statistic), 3),
    )
