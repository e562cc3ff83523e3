"""How long passes take on a machine, learned from whole files: nothing but sums of passes is ever timed.

A file's time is the sum over its rows, so a model that is linear in features of rows is linear in sums of features, and
a regression on files learns the rows. There are two, one on top of the other:

    estimate(row) = sum_k price_k * rates_k(row)                                      prices >= 0
    ms(row)       = estimate(row) * (1 + sum_l weight_l * exp(-GAMMA * |place(row) - landmark_l|^2))

The first is non-negative least squares: what a MAC, an element and a pass of each kind cost. The second is a Gaussian
process on what the first misses, by Nystroem's approximation: rows at a similar place share what was learned there.
Errors are relative, so that a 1 ms file counts as much as a 100 ms one, and outlying ones count less, because what
disturbs a clock is no part of a pass. What was learned is plain numbers: predicting needs no scikit-learn.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import log
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ridgepoint.arch.shape import Shape
from ridgepoint.cost.rows import Row, entry_row
from ridgepoint.errors import InputError

Array = NDArray[np.float64]
LANDMARKS, GAMMA, ALPHA = 600, 0.3, 0.1
REWEIGHTED = 3  # fits of either regression, each with less weight on files that are far off (Huber)
OUTLYING = {"prices": 1.5, "correction": 3.0}  # times the median that are far off
TELLING, MOST_TELLING = 10, 6.0  # rows of a file that counts as one file, and for how many the longest count
SMALLEST_MS = 2e-4  # of an estimate: a price of zero must not take a row out of the correction's reach
SMALLEST_SHARE = 0.1  # of an estimate is left by the correction

# Of what calibration timed no file, or none among those that a fold learns from: the kind whose passes are most alike.
STAND_INS = {
    "activation": "add",
    "averagepool": "globalpool",
    "batchnorm": "layernorm",
    "layernorm": "globalpool",
    "softmax": "layernorm",
    "subtract": "add",
    "attention": "linear",
    "grouped": "depthwise",
    "groupnorm": "layernorm",
    "responsenorm": "layernorm",
    "rmsnorm": "layernorm",
    "resize": "add",
    "resizenearest": "add",
    "separableattention": "softmax",
    "maxpool": "averagepool",
    "shuffle": "add",
    "slice": "add",
    "stack": "add",
    "subsample": "add",
    "togrid": "globalpool",
    "tomap": "totokens",
    "tomultiple": "add",
}


class PassTimes(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What was learned: a price for every rate, and a weight for every landmark.

    `variants` are the kinds of rows that were seen, with kernels and strides; `columns` name the numbers of a landmark.
    """

    variants: dict[str, list[tuple[int, int]]]
    prices: dict[str, float]
    columns: tuple[str, ...]
    landmarks: list[list[float]]
    weights: list[float]

    def ms(self, rows: Sequence[Row]) -> Array:
        """Milliseconds of every row; a kernel or stride that was never seen counts as the nearest that was.

        So does a kind that has a stand-in.

        Shape: (rows,).

        Raises:
            InputError: If a row is of a kind that calibration never saw.
        """
        known = [self._nearest(row) for row in rows]
        landmarks, weights = self._arrays
        near = _nearness(_places(known, self.columns), landmarks)
        share: Array = np.maximum(1.0 + near @ weights, SMALLEST_SHARE)
        return _estimates(known, self.prices) * share

    def reorder_ms(self, shape: Shape) -> float:
        """What the runtime takes to bring a map into its own order, or back."""
        entry = entry_row(shape)
        return self.prices.get(f"{entry.variant}: M elements", 0.0) * entry.read_elements / 1e6

    @cached_property
    def _arrays(self) -> tuple[Array, Array]:
        return np.array(self.landmarks), np.array(self.weights)

    def _nearest(self, row: Row) -> Row:
        while row.kind not in self.variants and row.kind in STAND_INS:
            row = msgspec.structs.replace(row, kind=STAND_INS[row.kind])
        seen = self.variants.get(row.kind)
        if seen is None:
            raise InputError(
                f"this machine's calibration saw no pass of the kind '{row.kind}', only {', '.join(self.variants)}. "
                "Delete its file and calibrate again, for longer"
            )
        if (row.kernel, row.stride) in seen:
            return row
        kernel, stride = min(seen, key=lambda one: abs(log(one[0] / row.kernel)) + abs(log(one[1] / row.stride)))
        return msgspec.structs.replace(row, kernel=kernel, stride=stride)


def learn(files: Sequence[Sequence[Row]], ms: Array) -> PassTimes:
    """Learn from files.

    Args:
        files: The rows that each file runs.
        ms: (files,) what it took.
    """
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LinearRegression, Ridge

    telling = np.minimum([len(rows) / TELLING for rows in files], MOST_TELLING)
    names = sorted({name for rows in files for row in rows for name in row.rates()})
    amounts = np.array([_amounts(rows, names) for rows in files]) / ms[:, None]
    priced = LinearRegression(positive=True, fit_intercept=False)
    _fit(priced, amounts, np.ones(len(ms)), telling, OUTLYING["prices"])
    prices = dict(zip(names, priced.coef_.tolist(), strict=True))

    distinct = list(dict.fromkeys(row for rows in files for row in rows))
    columns = tuple(sorted({name for row in distinct for name in row.place()}))
    kernel = Nystroem(gamma=GAMMA, n_components=min(LANDMARKS, len(distinct)), random_state=0)
    kernel.fit(_places(distinct, columns))
    estimates = [_estimates(rows, prices) for rows in files]
    near = [_nearness(_places(rows, columns), kernel.components_) for rows in files]
    # What `kernel.transform` gives, summed up first: the matrix behind it is the same for all rows.
    sums = np.array([each @ rows for each, rows in zip(estimates, near, strict=True)]) @ kernel.normalization_.T
    sums /= ms[:, None]
    missed = 1.0 - np.array([each.sum() for each in estimates]) / ms
    ridge = Ridge(alpha=ALPHA, fit_intercept=False)
    _fit(ridge, sums, missed, telling, OUTLYING["correction"])

    variants: dict[str, list[tuple[int, int]]] = {}
    for kind, shape in sorted({(row.kind, (row.kernel, row.stride)) for row in distinct}):
        variants.setdefault(kind, []).append(shape)
    # transform(x) is the nearness to the landmarks times a matrix: its weights become weights of landmarks.
    weights = kernel.normalization_.T @ ridge.coef_
    return PassTimes(
        variants=variants,
        prices=prices,
        columns=columns,
        landmarks=kernel.components_.tolist(),
        weights=weights.tolist(),
    )


def _fit(regression: Any, given: Array, wanted: Array, telling: Array, outlying: float) -> None:
    """Fit, and again with less weight on files that are off by more than so many times the median."""
    counts = telling
    for _ in range(REWEIGHTED):
        off = np.abs(wanted - regression.fit(given, wanted, counts).predict(given))
        counts = telling / np.maximum(off / max(outlying * float(np.median(off)), 1e-9), 1.0)


def _amounts(rows: Sequence[Row], names: Sequence[str]) -> list[float]:
    total = dict.fromkeys(names, 0.0)
    for row in rows:
        for name, amount in row.rates().items():
            total[name] += amount
    return list(total.values())


def _estimates(rows: Sequence[Row], prices: Mapping[str, float]) -> Array:
    sums = [sum([prices.get(name, 0.0) * amount for name, amount in row.rates().items()]) for row in rows]
    return np.maximum(np.array(sums, dtype=np.float64), SMALLEST_MS)


def _places(rows: Sequence[Row], columns: Sequence[str]) -> Array:
    return np.array([[place.get(name, 0.0) for name in columns] for place in map(Row.place, rows)], dtype=np.float64)


def _nearness(places: Array, landmarks: Array) -> Array:
    """Shape: (rows, landmarks)."""
    squares = (places**2).sum(1)[:, None] - 2 * places @ landmarks.T + (landmarks**2).sum(1)
    near: Array = np.exp(-GAMMA * squares)
    return near
