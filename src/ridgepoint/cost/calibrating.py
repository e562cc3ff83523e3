"""From the samples of a machine to its latency models, and to what each misses on networks it had not learned from."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ridgepoint.cost.device import Device
from ridgepoint.cost.pass_times import learn
from ridgepoint.cost.published import RIDGE_POINTS
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.rows import network_rows
from ridgepoint.cost.samples import is_searched
from ridgepoint.cost.table import Calibration, Conditions, Interval, Sample
from ridgepoint.errors import InputError

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
LEAST_SAMPLES = 100
FOLDS = 5
NINE_OF_TEN = (0.05, 0.95)


def calibrate(samples: Sequence[Sample], conditions: Conditions) -> Calibration:
    """Learn what passes take, fit a roofline, and see how far both and a second measurement are off.

    Args:
        samples: The first samples, in the order of their numbers; those that could not be run teach nothing.
        conditions: Where they were timed.

    Raises:
        InputError: If there are too few samples.
    """
    taken, samples = len(samples), [sample for sample in samples if sample.ms is not None]
    if len(samples) < LEAST_SAMPLES:
        raise InputError(
            f"{len(samples)} networks are timed; a calibration needs {LEAST_SAMPLES}. Go on with more --time"
        )
    ms = _milliseconds(samples)
    rows = [network_rows(sample.network) for sample in samples]
    searched = np.array([is_searched(sample.network) for sample in samples])
    again = np.array([sample.again_ms / sample.ms for sample in samples if sample.again_ms and sample.ms])
    rooflines = _Rooflines(samples, conditions.precision)

    def tabled(learned: Indices, asked: Indices) -> list[float]:
        passes = learn([rows[at] for at in learned], ms[learned])
        return [float(passes.ms(rows[at]).sum()) for at in asked]

    def predicted(learned: Indices, asked: Indices) -> Array:
        return rooflines.predict(rooflines.fit(learned), asked)

    return Calibration(
        passes=learn(rows, ms),
        device=rooflines.device(conditions, _interval((ms / _left_out(predicted, len(ms)))[searched])),
        tabled=_interval((ms / _left_out(tabled, len(ms)))[searched]),
        measured=_interval(again),
        samples=taken,
    )


class _Rooflines:
    """Rooflines of many ridge points over all samples.

    A roofline knows no activations: runtimes run most of them as passes of their own. So it is fitted to samples with
    ReLU, which they do not, and to those of several passes, whose times are more than a call's.
    """

    PASSES = 10

    def __init__(self, samples: Sequence[Sample], precision: str):
        self.shape = Device(name="host", source="", ridge_point=1.0, precision=precision, fused="activation")
        roofline = Roofline(self.shape)
        counted = [roofline.passes(sample.network) for sample in samples]
        self.ms = _milliseconds(samples)
        self.passes = np.array([len(macs) for macs, _ in counted], dtype=np.float64)
        self.times = np.stack([roofline.time_macs(sample.network, RIDGE_POINTS) for sample in samples], axis=1)
        relu = np.array([sample.network.conventions.activation.startswith("relu") for sample in samples])
        self.telling = relu & (self.passes >= self.PASSES)

    def fit(self, learned: Indices) -> tuple[int, Array]:
        """The best of the ridge points, with milliseconds per MAC, per pass and per call; none is negative."""
        from scipy.optimize import nnls  # not above: scipy takes longer to load than all else of a command's start

        learned = learned[self.telling[learned]]
        fits = []
        for at in range(len(RIDGE_POINTS)):
            terms = self._terms(at, learned) / self.ms[learned, None]
            scale = terms.mean(axis=0)
            prices, misfit = nnls(terms / scale, np.ones(len(learned)))
            fits.append((misfit, at, prices / scale))
        _, at, prices = min(fits, key=lambda fit: fit[0])
        return at, prices

    def predict(self, fit: tuple[int, Array], asked: Indices) -> Array:
        """Milliseconds of the samples asked for."""
        found: Array = self._terms(fit[0], asked) @ fit[1]
        return found

    def device(self, conditions: Conditions, interval: Interval) -> Device:
        """This machine, by all samples."""
        at, (per_mac, per_pass, per_call) = self.fit(np.arange(len(self.ms)))
        return Device(
            name=conditions.place,
            description=f"{conditions.device}, {conditions.runtime} {conditions.runtime_version}, "
            f"{conditions.threads} thread{'s' if conditions.threads > 1 else ''}, {conditions.precision}",
            source=f"ridgepoint calibrate: {int(self.telling.sum())} networks timed on this machine",
            peak_macs_per_s=float(f"{1e3 / per_mac:.4g}"),
            ridge_point=RIDGE_POINTS[at],
            overhead_ms=float(f"{per_call:.4g}"),
            pass_overhead_us=float(f"{per_pass * 1e3:.4g}"),
            precision=self.shape.precision,
            fused=self.shape.fused,
            interval=interval,
        )

    def _terms(self, at: int, which: Indices) -> Array:
        return np.stack([self.times[at, which], self.passes[which], np.ones(len(which))], axis=1)


def _milliseconds(samples: Sequence[Sample]) -> Array:
    return np.array([sample.ms for sample in samples], dtype=np.float64)


def _left_out(predict: Callable[[Indices, Indices], Sequence[float] | Array], count: int) -> Array:
    """What is predicted for every sample by what was learned from the others, a fifth of them left out at a time."""
    found = np.empty(count)
    order = np.random.default_rng(0).permutation(count)
    for fold in np.array_split(order, FOLDS):
        found[fold] = predict(np.setdiff1d(order, fold), fold)
    return found


def _interval(ratios: Array) -> Interval:
    low, high = np.quantile(ratios, NINE_OF_TEN)
    return float(f"{low:.4g}"), float(f"{high:.4g}")
