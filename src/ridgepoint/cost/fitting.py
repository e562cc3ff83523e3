"""Fits a device's peak and overhead to published latencies, its ridge point being given.

    latency = overhead + time_macs / peak,  overhead >= 0

by least squares of the relative errors: a 2 ms network counts as much as an 80 ms one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ridgepoint.cost.device import Device, Fit
from ridgepoint.cost.published import PublishedRow
from ridgepoint.cost.roofline import Roofline

Array = NDArray[np.float64]
MIN_ROWS = 4


def fit_device(device: Device, rows: Sequence[PublishedRow], *, published: str) -> Device:
    """The device with the peak and overhead that fit the rows best, and with the errors that remain.

    Args:
        device: Name, ridge point, precision and fusing; its peak and overhead are replaced.
        rows: Published latencies; those without one for this device are left out.
        published: What the rows are, for the record.

    Raises:
        ValueError: If fewer than four rows have a latency for the device.
    """
    rows = [row for row in rows if device.name in row.latency_ms]
    if len(rows) < MIN_ROWS:
        raise ValueError(f"{len(rows)} latencies for device '{device.name}'; a fit needs at least {MIN_ROWS}")
    roofline = Roofline(device)
    times = np.array([float(roofline.time_macs(row.load())) for row in rows])
    given = np.array([row.latency_ms[device.name] for row in rows])
    ms_per_mac, overhead = _solve(times, given)
    errors = np.abs(overhead + ms_per_mac * times - given) / given
    return _with(device, ms_per_mac, overhead, errors, _left_out(times, given), published)


def _with(device: Device, ms_per_mac: float, overhead: float, errors: Array, left_out: Array, published: str) -> Device:
    fit = Fit(
        published=published,
        networks=len(errors),
        fitted="peak and overhead" if overhead else "peak",
        median_error=round(float(np.median(errors)), 3),
        worst_error=round(float(errors.max()), 3),
        left_out_median_error=round(float(np.median(left_out)), 3),
    )
    return Device(
        name=device.name,
        description=device.description,
        source=device.source,
        ridge_point=device.ridge,
        peak_macs_per_s=float(f"{1e3 / ms_per_mac:.4g}"),
        overhead_ms=round(overhead, 3),
        precision=device.precision,
        fused=device.fused,
        fit=fit,
    )


def _left_out(times: Array, given: Array) -> Array:
    """The relative error for each row when the others alone were fitted."""
    errors = []
    for index in range(len(times)):
        rest = np.arange(len(times)) != index
        ms_per_mac, overhead = _solve(times[rest], given[rest])
        errors.append(abs(overhead + ms_per_mac * times[index] - given[index]) / given[index])
    return np.array(errors)


def _solve(times: Array, given: Array) -> tuple[float, float]:
    """Milliseconds per MAC and overhead in milliseconds; the overhead is 0 where the best one would be negative."""
    scale = times.mean()
    matrix = np.stack([times / scale / given, 1 / given], axis=1)
    (slope, overhead), *_ = np.linalg.lstsq(matrix, np.ones(len(given)), rcond=None)
    if overhead <= 0:
        ratio = matrix[:, 0]
        slope, overhead = ratio.sum() / (ratio**2).sum(), 0.0
    return float(slope / scale), float(overhead)
