"""Fits a device's numbers, peak, bandwidth, overhead and what depthwise convolutions add, to published latencies.

    latency = time_macs(ridge point) / peak + overhead * (1 or the number of passes)
              + MACs of depthwise * time + MACs of large depthwise * time

by the least relative errors, so that a 2 ms network counts as much as an 80 ms one; nothing is negative. The ridge
point (peak over bandwidth) is given, or the one of a grid that fits best; so is what the overhead is paid for, an image
or a pass. What depthwise convolutions up to 5x5 add is found in 8 bits alone, where units that multiply matrices are of
no use to them; in float a roofline says what they take.

Errors count by Huber's loss: squared while they are small, else in proportion. By squares alone, one family that a
runtime runs otherwise than all others bends what is said of the rest: on an iPhone 13 the errors of everything else
doubled with three EfficientViTs.

Source: P. J. Huber, Robust estimation of a location parameter, 1964; by iteratively reweighted least squares.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ridgepoint.arch.network import Network
from ridgepoint.cost.device import Device, Fit
from ridgepoint.cost.left_out import interval_of_families
from ridgepoint.cost.published import PublishedRow
from ridgepoint.cost.roofline import Roofline

Array = NDArray[np.float64]
MIN_ROWS = 4
PER_PASS = 1  # its row among the overheads
LARGE = 1  # the row of large depthwise convolutions among those of depthwise ones
SMALL = 0.03  # relative errors up to this are squared; of 0.1 and 0.03, tried on all devices, this kept all below 20 %
STEPS = 8  # of reweighting


class Features(NamedTuple):
    """What a latency is made of.

    (choices, networks) times in any unit; (choices, networks) counts of overheads; (2, networks) MACs of depthwise
    convolutions, and of those with kernels above 5x5.
    """

    times: Array
    overheads: Array
    depthwise: Array

    def of(self, networks: NDArray[np.bool_]) -> "Features":
        """Those of some of the networks."""
        return Features(self.times[:, networks], self.overheads[:, networks], self.depthwise[:, networks])


class Line(NamedTuple):
    """latency = ms_per_unit * times[time] + overhead_ms * overheads[overhead] + ms_per_depthwise_mac @ depthwise."""

    time: int
    overhead: int
    ms_per_unit: float
    overhead_ms: float
    ms_per_depthwise_mac: tuple[float, float]

    def __call__(self, features: Features) -> Array:
        """Milliseconds of networks."""
        ms: Array = self.ms_per_unit * features.times[self.time] + self.overhead_ms * features.overheads[self.overhead]
        ms = ms + np.array(self.ms_per_depthwise_mac) @ features.depthwise
        return ms


class LeftOut(NamedTuple):
    """How far networks are off that were predicted when their whole family was left out of the fit.

    Nine of ten measured latencies are expected in the `interval` times the predicted one; of networks with depthwise
    convolutions above 5x5 in `large_depthwise_interval`, which is None without any.
    """

    median_error: float
    spearman: float
    interval: tuple[float, float]
    large_depthwise_interval: tuple[float, float] | None


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
    given = np.array([row.latency_ms[device.name] for row in rows])
    families = [row.family for row in rows]
    features = confirmed(features_of(device, networks, ridges), families)
    line, left = fit_line(features, given), leave_families_out(features, given, families)
    errors = np.abs(line(features) / given - 1)
    ridge, per_pass, overhead_ms = ridges[line.time], line.overhead == PER_PASS, line.overhead_ms
    fitted = ["peak"] + ["bandwidth"] * (len(ridges) > 1 and ridge > 0)
    fitted += [f"overhead per {'pass' if per_pass else 'image'}"] * (overhead_ms > 0)
    depthwise_ns, large_ns = (round(ms * 1e6, 4) for ms in line.ms_per_depthwise_mac)
    fitted += ["depthwise convolutions"] * (depthwise_ns > 0) + ["large depthwise convolutions"] * (large_ns > 0)
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
        depthwise_ns_per_mac=depthwise_ns,
        large_depthwise_ns_per_mac=large_ns,
        precision=device.precision,
        fused=device.fused,
        fit=fit,
        interval=_rounded(left.interval),
        large_depthwise_interval=left.large_depthwise_interval and _rounded(left.large_depthwise_interval),
    )


def _rounded(interval: tuple[float, float]) -> tuple[float, float]:
    return float(f"{interval[0]:.3g}"), float(f"{interval[1]:.4g}")


def features_of(device: Device, networks: Sequence[Network], ridge_points: Sequence[float]) -> Features:
    """What the latencies of networks on a device are made of, at each of the ridge points."""
    roofline = Roofline(device)
    times = np.stack([roofline.time_macs(network, ridge_points) for network in networks], axis=1)
    passes = [len(roofline.passes(network)[0]) for network in networks]
    depthwise = np.array([roofline.depthwise_macs(network) for network in networks], dtype=np.float64).T
    if device.precision != "int8":
        depthwise[0] = 0
    return Features(times, np.array([np.ones(len(passes)), passes]), depthwise)


def confirmed(features: Features, families: Sequence[str]) -> Features:
    """The same, without large depthwise convolutions if fewer than two of the (networks,) families have them.

    Of one family alone nothing that is left out could tell whether what they add holds for others.
    """
    having = {family for family, macs in zip(families, features.depthwise[LARGE], strict=True) if macs}
    if len(having) > 1:
        return features
    return features._replace(depthwise=np.stack([features.depthwise[0], np.zeros(len(families))]))


def fit_line(features: Features, given: Array) -> Line:
    """The line that fits (networks,) milliseconds best, over all choices of a time and an overhead.

    Raises:
        ValueError: If there are too few networks for a line.
    """
    if len(given) < MIN_ROWS:
        raise ValueError(f"{len(given)} latencies are left; a fit needs at least {MIN_ROWS}")
    found: list[tuple[float, Line]] = []
    macs = features.depthwise.mean(axis=1)
    macs[macs == 0] = 1.0
    for at, time in enumerate(features.times):
        scale = float(time.mean())
        for paid, count in enumerate(features.overheads):
            terms = np.stack([time / scale, count, *(features.depthwise / macs[:, None])], axis=1) / given[:, None]
            (slope, overhead, *added), loss = _least_loss(terms)
            usual, large = (np.array(added) / macs).tolist()
            found.append((loss, Line(at, paid, slope / scale, overhead, (usual, large))))
    return min(found, key=lambda each: each[0])[1]


def _least_loss(terms: Array) -> tuple[list[float], float]:
    """Non-negative prices of (networks, terms) that come nearest to 1 for every network, and Huber's loss of that."""
    from scipy.optimize import nnls

    weights = np.ones(len(terms))
    for _ in range(STEPS):
        root = np.sqrt(weights)
        prices = nnls(terms * root[:, None], root)[0]
        off = np.abs(terms @ prices - 1)
        weights = SMALL / np.maximum(off, SMALL)
    return prices.tolist(), float(np.where(off < SMALL, off**2 / 2, SMALL * (off - SMALL / 2)).sum())


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
    ratios, of, large = given / predicted, np.array(families), features.depthwise[LARGE] > 0
    median = float(np.median(np.abs(predicted / given - 1)))
    return LeftOut(
        median,
        float(spearmanr(predicted, given).statistic),
        interval_of_families(ratios[~large], of[~large]) if not large.all() else interval_of_families(ratios, of),
        interval_of_families(ratios[large], of[large]) if large.any() else None,
    )
