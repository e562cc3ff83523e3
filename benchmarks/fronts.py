"""Which families are on the front at which ridge points, by size and precision: sweeps over the whole zoo.

    python benchmarks/fronts.py > benchmarks/results/fronts.json

A front is one of all networks together; a family is told with the ridge points at which a network of it and of this
size is on it. Accuracies are those taught by ImageNet-1k's labels alone, or the best published ones. Sizes are MACs as
shipped. Beside them the front by the clock, of the networks that `benchmarks/claims.py` has clocked.
"""

import json
from typing import Any

from claimed import result

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import family, list_models, load, published_top1
from ridgepoint.cost.count import cost
from ridgepoint.cost.sweep import Sweep, pareto, sweep

SIZES = {"up to 300 M MACs": 300e6, "up to 1 G": 1e9, "up to 3 G": 3e9, "more": float("inf")}
PRECISIONS = ("int8", "float16")
ACCURACIES = ("labels", "best")


def size_of(network: Network) -> str:
    """The first size that holds it."""
    macs = cost(network, form="deploy").macs
    return next(name for name, most in SIZES.items() if macs <= most)


def families(swept: Sweep, size: str) -> dict[str, Any]:
    """By family: its networks of this size on the front, at how many ridge points, and the stretches of these."""
    found: dict[str, list[Any]] = {}
    for each in swept.networks:
        if any(each.on_front) and size_of(each.network) == size:
            found.setdefault(family(each.network.name), []).append(each)
    rows = {}
    for name, members in found.items():
        on = [any(at) for at in zip(*(each.on_front for each in members), strict=True)]
        rows[name] = {
            "networks": [each.network.name for each in members],
            "share": round(sum(on) / len(on), 3),
            "ranges": stretches(swept.ridge_points, on),
        }
    return dict(sorted(rows.items(), key=lambda row: -row[1]["share"]))


def stretches(ridge_points: tuple[float, ...], on: list[bool]) -> list[list[float]]:
    """First and last ridge point of every stretch."""
    found: list[list[float]] = []
    for index, ridge in enumerate(ridge_points):
        if on[index] and index and on[index - 1]:
            found[-1][1] = ridge
        elif on[index]:
            found.append([ridge, ridge])
    return found


def by_clock(accuracy: str) -> list[dict[str, Any]]:
    """Networks that none clocked here is both as fast and as accurate as, the fastest first."""
    clocked = result("claims")["zoo"]["networks"]
    known = {name: found.value for name in clocked if (found := published_top1(name, accuracy))}
    (front,) = pareto([[clocked[name]["ms"] for name in known]], list(known.values()))
    on = [name for name, at in zip(known, front, strict=True) if at]
    return [
        {
            "network": name,
            "family": family(name),
            "top1": known[name],
            **{key: clocked[name][key] for key in ("ms", "macs")},
        }
        for name in sorted(on, key=lambda name: clocked[name]["ms"])
    ]


def main() -> None:
    """Prints one JSON document."""
    zoo = result("claims")["zoo"]
    report: dict[str, Any] = {"command": "python benchmarks/fronts.py"}
    report["clock"] = {key: zoo[key] for key in ("device", "runtime", "runtime_version", "threads", "precision")}
    for accuracy in ACCURACIES:
        networks = [load(name) for name in list_models() if published_top1(name, accuracy)]
        report[accuracy] = {"networks": len(networks), "families": len({family(each.name) for each in networks})}
        report[accuracy]["clock"] = by_clock(accuracy)
        for precision in PRECISIONS:
            swept = sweep(networks, precision=precision, accuracy=accuracy)
            report[accuracy][precision] = {size: families(swept, size) for size in SIZES}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
