"""What `claims.yaml` asks that takes no clock: from other benchmarks' results, counts, and sweeps over ridge points.

    python benchmarks/claims_computed.py      # a minute; writes benchmarks/results/claims_computed.json
    python tools/tables.py                    # docs/claims.md

A quantity is told with the ends of an interval and what these are. What needs latencies of this machine takes them from
`benchmarks/claims.py`, and is left out while there are none.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from claimed import RESULTS, result
from scipy.stats import norm, spearmanr, t
from searches import Table

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import family, list_models, load, published_top1
from ridgepoint.cost.count import cost
from ridgepoint.cost.device import load_device
from ridgepoint.cost.published import published_rows
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.sweep import pareto, sweep
from ridgepoint.files import write_atomic
from ridgepoint.nn.build import build
from ridgepoint.nn.fuse import fuse

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from compact import compact

Found = dict[str, Any]
Array = np.ndarray
RESAMPLES = 2000
BUDGETS = (0.25, 0.5, 0.75)
PUBLISHED_MACS_M = {"mobilenetv3_large_100": 219, "mobilenetv3_small_100": 66}
PUBLISHED_PARAMS_M = {"mobilenetv4_conv_medium": 9.2}
GAINS = {  # in effects.json: the one less the other, seed by seed
    "MobileOne with branches less without, points": ("mobileone", "mobileone without branches"),
    "MobileOne with annealed weight decay less with constant, points": (
        "mobileone",
        "mobileone with constant weight decay",
    ),
    "MobileOne with EMA less without, points": ("mobileone", "mobileone without ema"),
    "taught on D2 less on D1, points": ("student of D2", "student of D1"),
    "taught on D1 and D2 less on D2, points": ("student of D1 and D2", "student of D2"),
    "taught on D2 less labels on D2, points": ("student of D2", "student of labels on D2"),
}
OF_MOBILEONE = (  # rows of its Tables 1 and 9 that the zoo has
    *(f"mobileone_s{number}" for number in range(5)),
    *(f"mobilevit_{size}" for size in ("xxs", "xs", "s")),
    *(f"repvgg_{size}" for size in ("a0", "a1", "b0")),
    *("efficientnet_b0", "mobilenetv1_100", "mobilenetv2_100", "mobilenetv2_140", "mobilenetv3_large_100"),
    *("mobilenetv3_small_100", "semnasnet_100", "shufflenet_v2_x1_0", "shufflenet_v2_x2_0"),
)
OF_TABLE_6 = (  # rivals in MobileNetV4's Table 6 that its published latencies here do not hold
    *(
        "fastvit_t8",
        "fastvit_s12",
        "fastvit_sa12",
        "fastvit_sa24",
        "fastvit_sa36",
        "efficientvit_b1",
        "efficientvit_b2",
    ),
    *("efficientvit_b3", "convnext_small", "mobilenet_multi_max_150", "mobilenet_multi_avg_150"),
)
OF_MOBILENETV4 = "mobilenetv4_conv_small mobilenetv4_conv_medium mobilenetv4_hybrid_medium mobilenetv4_conv_large"
OF_MOBILENETV4 = (*OF_MOBILENETV4.split(), "mobilenetv4_hybrid_large")


def told(value: float, low: float, high: float, spread: str) -> Found:
    """A quantity as JSON."""
    ends = {name: float(f"{each:.5g}") for name, each in (("value", value), ("low", low), ("high", high))}
    return {**ends, "spread": spread}


def sure(value: float, of: str) -> Found:
    """A quantity without spread."""
    return told(value, value, value, of)


def counts() -> Iterator[tuple[str, Found]]:
    """Counts over those that papers print."""
    for name, millions in PUBLISHED_MACS_M.items():
        yield f"macs of {name}", sure(cost(load(name)).macs / millions / 1e6, "counted")
    for name, millions in PUBLISHED_PARAMS_M.items():
        yield f"params of {name}", sure(cost(load(name)).params / millions / 1e6, "counted")


def folding() -> Iterator[tuple[str, Found]]:
    """How much answers change when branches are folded, over the largest of them."""
    torch.manual_seed(0)
    model = build(load("mobileone_s0")).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.2, 0.4)  # sums of six branches do not grow beyond all measure
            torch.nn.init.normal_(module.bias, 0, 0.1)
    images = torch.randn(4, 3, 224, 224)
    with torch.inference_mode():
        before, after = model(images), fuse(model)(images)
    change = float((before - after).abs().max() / before.abs().max())
    yield "largest change of an answer by folding MobileOne-S0", sure(change, "four random images")


def trainings() -> Iterator[tuple[str, Found]]:
    """Gains of `effects.json`, by Student's t over seeds."""
    found = result("effects")
    for name, (one, other) in GAINS.items():
        gains = 100 * np.subtract(found[one]["test_accuracy"], found[other]["test_accuracy"])
        half = t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
        mean = float(gains.mean())
        yield name, told(mean, mean - half, mean + half, f"95 %, {len(gains)} seeds")


def blocks() -> Iterator[tuple[str, Found]]:
    """The best of 256 networks within a budget against the best of those that have one kind of block in all places.

    Each side's is chosen by one training and judged by the other one, so that a larger side is not better by luck.
    """
    table = Table(RESULTS / "tabular_uib.json")
    kinds = {"IB": (0, 1), "ConvNext": (1, 0)}  # options of start and middle kernel: none, 3x3
    for kind, (start, middle) in kinds.items():
        alone = [digest for digest, row in table.rows.items() if _all_are(row["assignment"], start, middle)]
        gains = []
        for quantile, (seen, judged) in product(BUDGETS, ((0, 1), (1, 0))):
            within = table.within(table.budget_ms(quantile))
            sides = (within, [digest for digest in alone if digest in set(within)])
            best = [max(side, key=lambda digest: table.rows[digest]["accuracy"][seen]) for side in sides]
            first, second = (100 * table.rows[digest]["accuracy"][judged] for digest in best)
            gains.append(first - second)
        half = t.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1) / np.sqrt(len(gains))
        mean = float(np.mean(gains))
        spread = f"95 %, {len(BUDGETS)} budgets, 2 trainings each"
        yield f"all blocks less {kind} alone, points", told(mean, mean - half, mean + half, spread)


def _all_are(assignment: dict[str, int], start: int, middle: int) -> bool:
    return all(
        index == (start if name.endswith("start_kernel") else middle)
        for name, index in assignment.items()
        if name.endswith("_kernel")
    )


def searches() -> Iterator[tuple[str, Found]]:
    """Chances that a search's regret is the smaller one, ties counted half."""
    (uib,), (metaformer,) = (result("one_shot")[name] for name in ("tabular_uib", "tabular_metaformer"))
    yield "chance that two stages beat one", _chance(uib["tunas"], uib["tunas_one_stage"])
    against = (metaformer["slimming"], metaformer["slimming without Gumbel noise"])
    yield "chance that slimming with Gumbel noise beats without", _chance(*against)
    better, p = (metaformer["slimming"]["regret"][key] for key in ("better", "p"))
    half = norm.ppf(0.975) * abs(better - 0.5) / norm.ppf(1 - p / 2)  # random search's regrets are not kept one by one
    yield "chance that slimming beats random search", told(better, better - half, better + half, "95 %, from p")


def _chance(one: Found, other: Found) -> Found:
    mine, theirs = (np.array(each["regret"]["each"]) for each in (one, other))

    def chance(mine: Array, theirs: Array) -> float:
        difference = theirs[None] - mine[:, None]
        return float(np.mean(difference > 0) + np.mean(difference == 0) / 2)

    draw = np.random.default_rng(0).choice
    drawn = [chance(draw(mine, len(mine)), draw(theirs, len(theirs))) for _ in range(RESAMPLES)]
    return told(chance(mine, theirs), *np.quantile(drawn, (0.025, 0.975)), f"95 %, {len(mine)} seeds each")


def ranks() -> Iterator[tuple[str, Found]]:
    """Rank correlations with latency."""
    name = "rank correlation of the roofline less that of MACs, "
    here = [row for row in result("prediction_1_thread")["networks"] if row["group"] == "zoo"]
    ms = [np.sqrt(row["measured_ms"] * row["again_ms"]) for row in here]
    yield name + "this processor", _ahead([row["predicted_ms"] for row in here], [row["macs"] for row in here], ms)
    for device, title in (("pixel4-dsp", "Pixel 4 DSP"), ("pixel8-edgetpu", "Pixel 8 EdgeTPU")):
        rows = [row for row in published_rows() if device in row.latency_ms]
        networks, roofline = [row.load() for row in rows], Roofline(load_device(device))
        predicted = [float(roofline.time_macs(network)) for network in networks]
        macs = [cost(network, form="deploy").macs for network in networks]
        yield name + title, _ahead(predicted, macs, [row.latency_ms[device] for row in rows])
    zoo = _clocked_here()
    if zoo:
        networks = [load(each) for each in OF_MOBILEONE]
        costs = [cost(network, form="deploy") for network in networks]
        ms = [zoo[network.name] for network in networks]
        name = "rank correlation of {} with latency, the networks of MobileOne's tables"
        yield name.format("MACs"), _spearman([each.macs for each in costs], ms)
        yield name.format("parameters"), _spearman([each.params for each in costs], ms)


def _spearman(one: Sequence[float], other: Sequence[float]) -> Found:
    return _over_networks(lambda first, second: float(spearmanr(first, second).statistic), one, other)


def _ahead(one: Sequence[float], other: Sequence[float], ms: Sequence[float]) -> Found:
    def ahead(first: Array, second: Array, ms: Array) -> float:
        return float(spearmanr(first, ms).statistic - spearmanr(second, ms).statistic)

    return _over_networks(ahead, one, other, ms)


def _over_networks(of: Callable[..., float], *columns: Sequence[float]) -> Found:
    arrays, count = [np.array(each, dtype=float) for each in columns], len(columns[0])
    rng = np.random.default_rng(0)
    picked = (rng.integers(0, count, count) for _ in range(RESAMPLES))
    drawn = [of(*(each[rows] for each in arrays)) for rows in picked]
    return told(of(*arrays), *np.nanquantile(drawn, (0.025, 0.975)), f"95 %, {count} networks drawn anew")


def fronts() -> Iterator[tuple[str, Found]]:
    """Of MobileNetV4's five networks, how much of what there is they are on the front of."""
    zoo = {name: load(name) for name in list_models() if published_top1(name, "labels")}
    table = [row.network for row in published_rows() if row.unscaled] + list(OF_TABLE_6)
    name = "share of ridge points on the front, "
    yield name + "the paper's networks", _on_front([zoo[each] for each in dict.fromkeys(table) if each in zoo])
    yield name + "the zoo", _on_front(list(zoo.values()))
    if ms := _clocked_here():
        names = [each for each in zoo if each in ms]
        accuracy = [known.value for each in names if (known := published_top1(each, "labels"))]
        (front,) = pareto([[ms[each] for each in names]], accuracy)
        on = [each for each, at in zip(names, front, strict=True) if at]
        five = [each for each in OF_MOBILENETV4 if each in ms]
        words = ", ".join(each.removeprefix("mobilenetv4_") for each in five if each in on) or "none"
        of = f"on it: {words}; clocked: {len(five)} of the five among {len(names)} networks"
        yield "share on the front by this processor's latencies", sure(sum(each in on for each in five) / len(five), of)


def _on_front(networks: list[Network]) -> Found:
    swept = sweep(networks, accuracy="labels")
    five = [each for each in swept.networks if each.network.name in OF_MOBILENETV4]
    assert len(five) == len(OF_MOBILENETV4), [each.network.name for each in five]
    each = ", ".join(f"{one.network.name.removeprefix('mobilenetv4_')} {one.share:.2f}" for one in five)
    families = {family(one.name) for one in networks}
    of = f"mean of {each}; {len(networks)} networks of {len(families)} families"
    return sure(float(np.mean([one.share for one in five])), of)


def _clocked_here() -> dict[str, float]:
    """Milliseconds of the zoo's networks, if they were clocked."""
    study = (result("claims") or {}).get("zoo", {"networks": {}})
    return {name: row["ms"] for name, row in study["networks"].items()}


def main() -> None:
    """Writes all of it."""
    found: Found = {"command": "python benchmarks/claims_computed.py"}
    for part in (counts, folding, trainings, blocks, searches, ranks, fronts):
        print(part.__doc__.partition("\n")[0], file=sys.stderr)
        found |= part()
    write_atomic(RESULTS / "claims_computed.json", compact(found) + "\n")


if __name__ == "__main__":
    main()
