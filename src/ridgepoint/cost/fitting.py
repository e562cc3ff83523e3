"""Fits a device's three numbers, peak, bandwidth and overhead, to published latencies.

    latency = time_macs(ridge point) / peak + overhead * (1 or the number of passes)

by least squares of the relative errors, so that a 2 ms network counts as much as an 80 ms one; nothing is negative. The
ridge point (peak over bandwidth) is given, or the one of a grid that fits best; so is what the overhead is paid for, an
image or a pass.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ridgepoint.arch.network import Network
from ridgepoint.cost.device import Device, Fit
from ridgepoint.cost.published import PublishedRow
from ridgepoint.cost.roofline import Roofline

Array = NDArray[np.float64]
MIN_ROWS = 4
PER_PASS = 1  # its row among the overheads


class Features(NamedTuple):
    """What a latency is made of: (choices, networks) times in any unit, and (choices, networks) counts of overheads."""

    times: Array
    overheads: Array

    def of(self, networks: NDArray[np.bool_]) -> "Features":
        """Those of some of the networks."""
        return Features(self.times[:, networks], self.overheads[:, networks])


class Line(NamedTuple):
    """latency = ms_per_unit * times[time] + overhead_ms * overheads[overhead]."""

    time: int
    overhead: int
    ms_per_unit: float
    overhead_ms: float

    def __call__(self, features: Features) -> Array:
        """Milliseconds of networks."""
        ms: Array = self.ms_per_unit * features.times[self.time] + self.overhead_ms * features.overheads[self.overhead]
        return ms


class LeftOut(NamedTuple):
    """How far networks are off that were predicted when their whole family was left out of the fit.

    Nine of ten measured latencies lie in the `interval` times the predicted one.
    """

    median_error: float
    spearman: float
    interval: tuple[float, float]


def fit_device(
    device: Device, rows: Sequence[PublishedRow], *, published: str, ridge_points: Sequence[float] | None = None
) -> Device:
    """The device with the rates that fit the rows best, and with the errors that remain.

    Args:
        device: Name, precision and fusing; its rates and overhead are replaced.
        rows: Published latencies; those without one for this device are left out.
        published: What the rows are, for the record.
        ridge_points: Those to choose from, such as `published.RIDGE_POINTS`; the device's own alone unless given.

    Raises:
        ValueError: If fewer than four rows have a latency for the device, or are left when a family is.
    """
    rows = [row for row in rows if device.name in row.latency_ms]
    if len(rows) < MIN_ROWS:
        raise ValueError(f"{len(rows)} latencies for device '{device.name}'; a fit needs at least {MIN_ROWS}")
    networks = [row.load() for row in rows]
    ridges = (device.ridge,) if ridge_points is None else tuple(ridge_points)
    features = features_of(device, networks, ridges)
    given = np.array([row.latency_ms[device.name] for row in rows])
    families = [row.family for row in rows]
    line, left = fit_line(features, given), leave_families_out(features, given, families)
    errors = np.abs(line(features) / given - 1)
    ridge, per_pass, overhead_ms = ridges[line.time], line.overhead == PER_PASS, line.overhead_ms
    fitted = ["peak"] + ["bandwidth"] * (len(ridges) > 1 and ridge > 0)
    fitted += [f"overhead per {'pass' if per_pass else 'image'}"] * (overhead_ms > 0)
    fit = Fit(
        published=published,
        networks=len(rows),
        families=len(set(families)),
        fitted=", ".join(fitted),
        median_error=round(float(np.median(errors)), 3),
        worst_error=round(float(errors.max()), 3),
        left_out_median_error=round(left.median_error, 3),
        left_out_spearman=round(left.spearman, 3),
    )
    return Device(
        name=device.name,
        description=device.description,
        source=device.source,
        ridge_point=ridge,
        peak_macs_per_s=float(f"{1e3 / line.ms_per_unit:.4g}"),
        overhead_ms=0.0 if per_pass else round(overhead_ms, 3),
        pass_overhead_us=round(overhead_ms * 1e3, 2) if per_pass else 0.0,
        precision=device.precision,
        fused=device.fused,
        fit=fit,
        interval=(round(left.interval[0], 3), round(left.interval[1], 3)),
    )


def features_of(device: Device, networks: Sequence[Network], ridge_points: Sequence[float]) -> Features:
    """What the latencies of networks on a device are made of, at each of the ridge points."""
    roofline = Roofline(device)
    times = np.stack([roofline.time_macs(network, ridge_points) for network in networks], axis=1)
    return Features(times, overheads(roofline, networks))


def overheads(roofline: Roofline, networks: Sequence[Network]) -> Array:
    """How often each network pays an overhead: once, or for every pass. Shape: (2, networks)."""
    passes = [len(roofline.passes(network)[0]) for network in networks]
    return np.array([np.ones(len(passes)), passes])


def fit_line(features: Features, given: Array) -> Line:
    """The line that fits (networks,) milliseconds best, over all choices of a time and an overhead.

    Raises:
        ValueError: If there are too few networks for a line.
    """
    from scipy.optimize import nnls

    if len(given) < MIN_ROWS:
        raise ValueError(f"{len(given)} latencies are left; a fit needs at least {MIN_ROWS}")
    found: list[tuple[float, Line]] = []
    for at, time in enumerate(features.times):
        scale = float(time.mean())
        for paid, count in enumerate(features.overheads):
            (slope, overhead), misfit = nnls(
                np.stack([time / scale, count], axis=1) / given[:, None], np.ones(len(given))
            )
            found.append((float(misfit), Line(at, paid, float(slope) / scale, float(overhead))))
    return min(found, key=lambda each: each[0])[1]


def predicted_left_out(features: Features, given: Array, families: Sequence[str]) -> Array:
    """Milliseconds of the networks of each family from a fit to all others, every choice made anew.

    Shape: (networks,).

    Args:
        features: Of all networks.
        given: (networks,) milliseconds.
        families: (networks,) which family each belongs to.

    Raises:
        ValueError: If leaving one family out leaves too few networks.
    """
    predicted = np.empty_like(given)
    for family in dict.fromkeys(families):
        out = np.array([each == family for each in families])
        predicted[out] = fit_line(features.of(~out), given[~out])(features.of(out))
    return predicted


def leave_families_out(features: Features, given: Array, families: Sequence[str]) -> LeftOut:
    """How far networks are off as `predicted_left_out` predicts them.

    Raises:
        ValueError: If leaving one family out leaves too few networks.
    """
    from scipy.stats import spearmanr

    predicted = predicted_left_out(features, given, families)
    low, high = np.quantile(given / predicted, [0.05, 0.95])
    median = float(np.median(np.abs(predicted / given - 1)))
    return LeftOut(median, float(spearmanr(predicted, given).statistic), (float(low), float(high)))
