"""Predictors of devices that are not at hand, each tested on families that were left out: do any beat MACs alone?

    python benchmarks/absent_devices.py > absent.json

Every device of the published tables with at least so many networks. Rivals of MACs alone: parameters alone, the
roofline that ships with what depthwise convolutions add, whichever of MACs and roofline was less off on the other
families (`chosen`), and a log-linear model of what a network's passes are (MACs, bytes, passes; the shares of
depthwise, pointwise and attention's MACs), whose weights are drawn towards those of all other devices of the same
precision (ridge regression with the pooled weights as its prior mean). A family that is left out is left out of the
pool, too. Errors, ranks, and how many of the left-out latencies lie in an interval that was taken from other left-out
families: `covered` by what ships (`ridgepoint.cost.left_out`), `covered_by_quantiles` by the 5 % and 95 % quantiles of
their networks' errors.

`--few N` tells what so many measurements of a device that no table has would do: the pool alone brought to N networks,
and what `ridgepoint calibrate --from` makes of them. For that the device's own profile is taken away, N of its networks
are drawn, the nearest of the other profiles is brought to them, and the device's other networks are predicted: by that
profile as it is (before) and as it was brought (after). A draw that the command would refuse counts as refused.
"""

import argparse
import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from ridgepoint.arch.network import Network
from ridgepoint.cost.adapting import adapt
from ridgepoint.cost.count import cost
from ridgepoint.cost.device import known_devices
from ridgepoint.cost.fitting import (
    LARGE,
    MIN_ROWS,
    Features,
    confirmed,
    features_of,
    fit_line,
    predicted_left_out,
)
from ridgepoint.cost.left_out import covered
from ridgepoint.cost.measurements import Measurement, expect_spread
from ridgepoint.cost.published import published_tables
from ridgepoint.cost.roofline import Roofline
from ridgepoint.errors import InputError

Array = NDArray[np.float64]
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Known:
    """One device: its networks, their families, their milliseconds, and what each predictor sees of them."""

    def __init__(self, table: object, name: str):
        rows = [row for row in table.rows if name in row.latency_ms]
        networks = [row.load() for row in rows]
        self.name, self.table, self.precision = name, table.name, table.devices[name].precision
        self.families = np.array([row.family for row in rows])
        self.ms = np.array([row.latency_ms[name] for row in rows])
        self.networks = networks
        self.z = np.array([described(network) for network in networks])
        roofline = features_of(table.device(name), networks, table.ridge_points(name))
        counted, none = [cost(network, form="deploy") for network in networks], np.zeros_like(roofline.depthwise)
        self.lines = {
            "macs": Features(np.array([[float(each.macs) for each in counted]]), roofline.overheads, none),
            "params": Features(np.array([[float(each.params) for each in counted]]), roofline.overheads, none),
            "roofline": confirmed(roofline, self.families.tolist()),
        }
        self.large = self.lines["roofline"].depthwise[LARGE] > 0


def described(network: Network) -> list[float]:
    """What a network's passes are: logarithms of amounts, and shares of MACs."""
    layers = cost(network, form="deploy", fused="activation").layers
    macs = float(sum(layer.macs for layer in layers))
    elements = float(sum(layer.read_elements + layer.write_elements for layer in layers))

    def share(*kinds: str) -> float:
        return sum(layer.macs for layer in layers if any(kind in layer.kind for kind in kinds)) / macs

    return [
        np.log(macs),
        np.log(elements),
        np.log(float(sum(layer.params for layer in layers))),
        np.log(float(len(layers))),
        share("depthwise"),
        share("pointwise", "1x1"),
        share("attention", "linear", "product"),
    ]


def ridge(z: Array, y: Array, prior: Array, strength: float) -> tuple[Array, float]:
    """Weights and intercept of y on z (standardised), drawn towards a prior."""
    mean = z.mean(0)
    left = (z - mean).T @ (z - mean) + strength * np.eye(z.shape[1])
    right = (z - mean).T @ (y - y.mean()) + strength * prior
    weights = np.linalg.solve(left, right)
    return weights, float(y.mean() - mean @ weights)


def pooled(devices: Sequence[Known], scale: Array, without: str) -> Array:
    """Weights that all devices share, each with its own intercept, without a family."""
    zs, ys = [], []
    for device in devices:
        kept = device.families != without
        if kept.sum() < 3:
            continue
        z, y = device.z[kept] / scale, np.log(device.ms[kept])
        weight = 1 / np.sqrt(kept.sum())  # a device counts as one, whatever it ran
        zs.append((z - z.mean(0)) * weight)
        ys.append((y - y.mean()) * weight)
    if not zs:
        return np.r_[1.0, np.zeros(len(scale) - 1)]
    z, y = np.concatenate(zs), np.concatenate(ys)
    return np.linalg.solve(z.T @ z + 0.1 * np.eye(z.shape[1]), z.T @ y)


def log_linear(device: Known, others: Sequence[Known], scale: Array, strength: float) -> Array:
    """Milliseconds of every network from a fit without its family."""
    found = np.empty_like(device.ms)
    for family in dict.fromkeys(device.families):
        out = device.families == family
        prior = pooled(others, scale, family)
        weights, intercept = ridge(device.z[~out] / scale, np.log(device.ms[~out]), prior, strength)
        found[out] = np.exp(device.z[out] / scale @ weights + intercept)
    return found


def line(device: Known, kind: str) -> Array:
    """The same by one line of amounts and overheads."""
    return predicted_left_out(device.lines[kind], device.ms, device.families.tolist())


def chosen_line(device: Known) -> Array:
    """The same by MACs or by the roofline, whichever is less off on families left out of the others."""
    found = np.empty_like(device.ms)
    for family in dict.fromkeys(device.families):
        out = device.families == family
        kind = min(("roofline", "macs"), key=lambda one: inner_error(device, one, ~out))
        features = device.lines[kind]
        found[out] = fit_line(features.of(~out), device.ms[~out])(features.of(out))
    return found


def inner_error(device: Known, kind: str, kept: NDArray[np.bool_]) -> float:
    """The median error of some of the networks, each family of them left out in turn; 0 where too few are left."""
    families, ms = device.families[kept], device.ms[kept]
    if any((families != family).sum() < MIN_ROWS for family in families):
        return 0.0
    predicted = predicted_left_out(device.lines[kind].of(kept), ms, families.tolist())
    return float(np.median(np.abs(predicted / ms - 1)))


def covered_by_quantiles(device: Known, predicted: Array) -> float:
    """The share of latencies in the interval in which nine of ten of the other families' networks lay."""
    ratio, inside = np.log(device.ms / predicted), []
    for family in dict.fromkeys(device.families):
        out = device.families == family
        low, high = np.quantile(ratio[~out], [0.05, 0.95])
        inside += list((low <= ratio[out]) & (ratio[out] <= high))
    return float(np.mean(inside))


def few(device: Known, others: Sequence[Known], scale: Array, count: int, strength: float) -> dict[str, float]:
    """A device of which so many networks were measured, drawn at random a hundred times; the error on the others."""
    chance, errors = np.random.default_rng(0), {"macs": [], "log_linear": []}
    for _ in range(100):
        chosen = np.zeros(len(device.ms), bool)
        chosen[chance.permutation(len(device.ms))[:count]] = True
        y = np.log(device.ms[chosen])
        weights, intercept = ridge(device.z[chosen] / scale, y, pooled(others, scale, ""), strength)
        predicted = np.exp(device.z[~chosen] / scale @ weights + intercept)
        errors["log_linear"].append(np.median(np.abs(predicted / device.ms[~chosen] - 1)))
        features = device.lines["macs"]
        predicted = fit_line(features.of(chosen), device.ms[chosen])(features.of(~chosen))
        errors["macs"].append(np.median(np.abs(predicted / device.ms[~chosen] - 1)))
    return {name: round(float(np.mean(each)), 3) for name, each in errors.items()}


def own_device(device: Known, count: int, draws: int) -> dict[str, float]:
    """What `calibrate --from` makes of so many networks of a device, tested on the others."""
    known = [each for each in known_devices() if each.name != device.name]
    chance, refused = np.random.default_rng(0), 0
    before, after, inside, inside_before = [], [], [], []
    for _ in range(draws):
        chosen = chance.permutation(len(device.ms))[:count]
        rows = [Measurement(network=device.networks[at], ms=device.ms[at], line=at) for at in chosen]
        try:
            expect_spread(rows, "drawn")
            found = adapt(rows, known, name="mine", source="drawn")
        except InputError:
            refused += 1
            continue
        others = np.setdiff1d(np.arange(len(device.ms)), chosen)
        near = next(each for each in known if each.name == found.near)
        for profile, errors, held in ((near, before, inside_before), (found.device, after, inside)):
            roofline = Roofline(profile)
            ratio = device.ms[others] / [roofline.latency(device.networks[at]).ms for at in others]
            errors.append(float(np.median(np.abs(1 / ratio - 1))))
            ends = np.array([profile.interval_of(large) for large in device.large[others]])
            held.append(float(np.mean((ends[:, 0] <= ratio) & (ratio <= ends[:, 1]))))
    return {
        "before": round(float(np.mean(before)), 3),
        "after": round(float(np.mean(after)), 3),
        "covered_before": round(float(np.mean(inside_before)), 3),
        "covered_after": round(float(np.mean(inside)), 3),
        "refused": round(refused / draws, 3),
    }


def told(device: Known, predicted: Array) -> dict[str, float]:
    return {
        "median_error": round(float(np.median(np.abs(predicted / device.ms - 1))), 3),
        "spearman": round(float(spearmanr(predicted, device.ms).statistic), 3),
        "covered": round(float(covered(device.ms / predicted, device.families, device.large).mean()), 3),
        "covered_by_quantiles": round(covered_by_quantiles(device, predicted), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=int, default=12, help="networks that a device has")
    parser.add_argument("--few", type=int, default=5)
    parser.add_argument("--draws", type=int, default=20, help="of a few networks, for a device of one's own")
    given = parser.parse_args()
    every = [Known(table, name) for table in published_tables() for name in table.devices]
    every = [device for device in every if len(set(device.families)) >= 3 and len(device.ms) >= 8]
    scale = np.concatenate([device.z for device in every]).std(0)
    chosen = [device for device in every if len(device.ms) >= given.least]
    report: dict[str, dict] = {}
    off: dict[str, list[float]] = {}
    for device in chosen:
        others = [each for each in every if each.name != device.name and each.precision == device.precision]
        # how strongly it is drawn is decided on the others, each of which is held to those without this one
        errors = {
            strength: np.mean(
                [
                    np.median(
                        np.abs(
                            log_linear(each, [one for one in others if one is not each], scale, strength) / each.ms - 1
                        )
                    )
                    for each in others
                ]
                or [1.0]
            )
            for strength in STRENGTHS
        }
        strength = min(errors, key=lambda one: errors[one])
        predicted = {kind: line(device, kind) for kind in device.lines}
        predicted["chosen"] = chosen_line(device)
        predicted["log_linear"] = log_linear(device, others, scale, strength)
        found = {kind: told(device, ms) for kind, ms in predicted.items()}
        off = {kind: [*off.get(kind, []), *np.abs(ms / device.ms - 1)] for kind, ms in predicted.items()}
        few_errors = few(device, others, scale, given.few, strength)
        about = {
            "table": device.table,
            "precision": device.precision,
            "networks": len(device.ms),
            "others": len(others),
        }
        own = own_device(device, given.few, given.draws)
        report[device.name] = {
            **about,
            "strength": strength,
            **found,
            f"error_after_{given.few}": few_errors,
            f"own_device_of_{given.few}": own,
        }
    command = f"python benchmarks/absent_devices.py --least {given.least} --few {given.few} --draws {given.draws}"
    print(json.dumps({"command": command, "summary": summary(report, off), "devices": report}, indent=2))


def summary(report: dict[str, dict], off: Mapping[str, Sequence[float]]) -> dict[str, object]:
    """What holds for most devices, each counting as one, and the median error over all latencies of all devices."""
    kinds = ("macs", "params", "roofline", "chosen", "log_linear")
    medians = {
        kind: {
            key: round(float(np.median([each[kind][key] for each in report.values()])), 3)
            for key in ("median_error", "spearman", "covered", "covered_by_quantiles")
        }
        for kind in kinds
    }
    better = {
        kind: f"{sum(e[kind]['median_error'] < e['macs']['median_error'] for e in report.values())} of {len(report)}"
        for kind in kinds[1:]
    }
    own = {
        name: {
            key: round(float(np.median([each[name][key] for each in report.values()])), 3)
            for key in ("before", "after", "covered_before", "covered_after", "refused")
        }
        for name in next(iter(report.values()), {})
        if name.startswith("own_device")
    }
    over_latencies = {kind: round(float(np.median(errors)), 3) for kind, errors in off.items()}
    return {
        "median_over_devices": medians,
        "median_error_over_latencies": {"latencies": len(off["macs"]), **over_latencies},
        "smaller_error_than_macs": better,
        **own,
    }


if __name__ == "__main__":
    main()
