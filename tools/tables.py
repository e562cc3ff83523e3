"""Writes the tables of the pages below docs anew from benchmarks/results; with --check only says which are not current.

    python tools/tables.py [--check]

A table stands between `<!-- table NAME -->` and `<!-- end -->`, where NAME is one of `TABLES`.
"""

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import claims

ROOT = Path(__file__).parents[1]
PAGES, RESULTS = (
    [
        ROOT / "docs" / f"{name}.md"
        for name in ("searches", "claims", "targets", "devices", "runtimes", "choosing", "detection", "segmentation")
    ],
    ROOT / "benchmarks" / "results",
)
PLACE = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->", re.DOTALL)
Row = Iterable[str]

CONTENDERS = {
    "fit": "`fit`",
    "engineer": "an engineer",
    "fit in int8 or float": "`fit --precision auto`",
    "no weights": "`fit --weights none`",
    "torch-pruning": "Torch-Pruning",
}
TRAININGS = ("8", "16", "24", "32")
SEARCHES = {
    "random": "random",
    "regularised evolution": "evolution",
    "MnasNet": "mnasnet",
    "NSGA-II": "nsga2",
    "random, pre-filter gradient norm": "random of grad_norm",
    "random, pre-filter synflow": "random of synflow",
    "random, pre-filter NASWOT": "random of naswot",
    "evolution, pre-filter gradient norm": "evolution of grad_norm",
}
ONE_SHOT = {
    "tabular_uib": (
        "256 inverted bottlenecks: random, six trainings",
        {
            "TuNAS in two stages": "tunas",
            "TuNAS in one stage": "tunas_one_stage",
            "TuNAS in one stage, no warm-ups": "tunas_one_stage without warm-ups",
        },
    ),
    "tabular_metaformer": (
        "180 MetaFormers: random, six trainings",
        {"slimming": "slimming", "slimming, plain softmax": "slimming without Gumbel noise"},
    ),
}
PEERS = {
    "TuNAS": "ridgepoint TuNAS",
    "once-for-all: its supernet, its evolution": "once-for-all evolution",
    "NNI: ProxylessNAS with its latency penalty": "NNI ProxylessNAS",
    "random: the best of five trained for two epochs": "random",
}
PRUNED = {
    "MobileNetV3-L": "mobilenetv3_large_100",
    "MobileNetV4-Conv-M": "mobilenetv4_conv_medium",
    "MobileNetV4-Hybrid-M": "mobilenetv4_hybrid_medium",
    "EfficientFormer-L1": "efficientformer_l1",
}
PRUNERS = {
    "NetAdapt": "netadapt",
    "Torch-Pruning, channels in eights": "group_norm_in_eights",
    "Torch-Pruning, group norm": "group_norm",
    "Torch-Pruning, magnitude": "magnitude",
}
MOST_DIFF = 1e-3  # what `export` allows
RUNTIMES = {
    "ONNX Runtime": "onnxruntime",
    "OpenVINO": "openvino",
    "LiteRT": "litert",
    "ExecuTorch": "executorch",
    "ncnn": "ncnn",
    "Core ML": "coreml",
}
CLOCKED_SIZES = (
    (0, 60e6, "below 60 M MACs"),
    (60e6, 300e6, "60 to 300 M"),
    (300e6, 1e9, "300 M to 1 G"),
    (1e9, 2e9, "1 to 2 G"),
    (2e9, float("inf"), "more"),
)


def searches(table: str) -> list[Row]:
    """Regret by search and number of trainings, all budgets together; against random search."""
    found = result("searches")[table]["all_budgets"]
    head = ("search", f"{TRAININGS[0]} trainings", *TRAININGS[1:])
    return [head, *((title, *(regret(found[name][count]["regret"]) for count in TRAININGS))
                    for title, name in SEARCHES.items())]  # fmt: skip


def regret(found: dict[str, Any]) -> str:
    """The median, with chance and p where they are not of random search itself."""
    median = f"{found['quartiles'][1]:.1f}"
    return median if found["p"] == 1.0 else f"{median} ({found['better']:.2f}, {found['p']:.1g})"


def one_shot() -> list[Row]:
    """Shared weights against random search of six trainings."""
    rows: list[Row] = [
        ("search", "regret, median", "quartiles", "better than random (p)",
         "Spearman of the shared weights with the table")
    ]  # fmt: skip
    for table, (title, names) in ONE_SHOT.items():
        (found,) = result("one_shot")[table]
        low, median, high = found["random"]["regret"]
        rows.append((title, f"{median:.1f}", f"{low:.1f} to {high:.1f}", "", ""))
        for name, key in names.items():
            of, spearman = found[key]["regret"], statistics.median(found[key]["spearman"])
            low, median, high = of["quartiles"]
            against = f"{of['better']:.2f} ({of['p']:.1g})"
            rows.append((name, f"{median:.1f}", f"{low:.1f} to {high:.1f}", against, f"{spearman:.2f}"))
    return rows


def peers() -> list[Row]:
    """TuNAS beside the searches of others."""
    found = result("peers")["mean"]
    return [("search", "test accuracy", "measured", "seconds of one core")] + [
        (
            title,
            f"{found[name]['test_accuracy']:.1%} ({100 * found[name]['test_accuracy_error']:.1f})".replace("%", " %"),
            f"{found[name]['measured_ms']:.3f} ms",
            f"{found[name]['seconds']:.0f}",
        )
        for title, name in PEERS.items()
    ]


def fits() -> list[Row]:
    """`fit` and the best zoo network, by budget and seed."""
    found = result("fits")
    rows: list[Row] = [
        ("budget", "`fit`", "the zoo network within the budget that the test images like best", "gain, points")
    ]
    for budget, gains in found["against"]["zoo"]["gain_points"].items():
        mine = [row for row in found["rows"] if row["budget_ms"] == float(budget) and row["contender"] == "fit"]
        own = [row["test_accuracy"] for row in sorted(mine, key=lambda row: row["seed"])]
        zoo = [each - gain / 100 for each, gain in zip(own, gains, strict=True)]
        rows.append((f"{budget} ms", percents(own), percents(zoo), ", ".join(f"{gain:+.1f}" for gain in gains)))
    return rows


def photographs() -> list[Row]:
    """`fit` beside whoever else had the same weights and time, by processor; a dash where none tried."""
    found = result("photographs")["rows"]
    cases = ("processor", "time_s", "budget_ms", "seed")
    known = {(row["who"], *(row[case] for case in cases)): row for row in found}
    whom = [who for who in CONTENDERS if any(row["who"] == who for row in found)]
    return [("processor", "time", "budget", "seed", *(CONTENDERS[who] for who in whom))] + [
        (case[0], f"{case[1]:.0f} s", f"{case[2]} ms", str(case[3]), *(by(known.get((who, *case))) for who in whom))
        for case in sorted({tuple(row[case] for case in cases) for row in found})
    ]


def by(row: dict[str, Any] | None) -> str:
    """Test accuracy, and of what."""
    return f"{100 * row['test']:.1f} % ({row['input']} px, {row['ms']:.2f} ms)" if row else "-"


def percents(shares: list[float]) -> str:
    """Shares of 1 as per cent, in one list."""
    return ", ".join(f"{100 * share:.1f}" for share in shares) + " %"


def pruning() -> list[Row]:
    """Kept accuracy, and the share of the seed's latency."""
    found = result("pruning")["networks"]
    return [("network", "to", *PRUNERS)] + [
        (title, f"{float(share):.0%}".replace("%", " %"), *(kept(within.get(key)) for key in PRUNERS.values()))
        for title, name in PRUNED.items()
        for share, within in found[name]["at"].items()
    ]


def kept(row: dict[str, Any] | None) -> str:
    """Of one pruned network; none where there was none to tune."""
    return f"{100 * row['kept']:.1f} % ({100 * row['of_the_seed']:.0f} %)" if row else "fails"


def fronts() -> list[Row]:
    """Families on the front by size and precision, of trainings by labels."""
    found = result("fronts")["labels"]
    rows: list[Row] = [("size as shipped", "in 8 bits", "in float16")]
    for size in found["int8"]:
        rows.append((size, *(", ".join(map(reach, found[each][size].items())) for each in ("int8", "float16"))))
    return rows


def fronts_by_clock() -> list[Row]:
    """Networks that none clocked here is both as fast and as accurate as."""
    found, rows = result("fronts"), [("size as shipped", "taught by labels alone", "best published")]
    for low, high, size in CLOCKED_SIZES:
        told = (
            ", ".join(
                f"`{row['network']}` ({row['ms']:.1f} ms, {row['top1']:.1f} %)"
                for row in found[accuracy]["clock"]
                if low <= row["macs"] < high
            )
            for accuracy in ("labels", "best")
        )
        rows.append((size, *told))
    return rows


def left_out() -> list[Row]:
    """Errors of predictors on families left out of their fits, and what lay in the interval of the others."""
    found = result("absent_devices")
    rows: list[Row] = [("device", "networks", "MACs alone", "the profile", "rank of the profile", "in the interval")]
    for name, row in found["devices"].items():
        macs, ours = row["macs"], row["roofline"]
        shares = [f"{share:.0%}".replace("%", " %") for share in (macs["median_error"], ours["median_error"])]
        inside = f"{ours['covered']:.0%}".replace("%", " %")
        rows.append((name, str(row["networks"]), *shares, f"{ours['spearman']:.2f}", inside))
    over = found["summary"]["median_error_over_latencies"]
    shares = [f"{over[kind]:.1%}".replace("%", " %") for kind in ("macs", "roofline")]
    return [*rows, ("all latencies alike", str(over["latencies"]), *shares, "", "")]


def own_device() -> list[Row]:
    """What five measurements make of another device's profile, for devices whose own profile was taken away."""
    found = result("absent_devices")["devices"]
    rows: list[Row] = [
        ("device", "networks", "nearest profile as it is", "brought to five", "MACs brought to five", "in the interval")
    ]
    for name, row in found.items():
        own, macs = row["own_device_of_5"], row["error_after_5"]["macs"]
        shares = (own["before"], own["after"], macs, own["covered_after"])
        rows.append((name, str(row["networks"]), *(f"{share:.0%}".replace("%", " %") for share in shares)))
    return rows


def reach(of: tuple[str, dict[str, Any]]) -> str:
    """A family and the ridge points where it is on the front."""
    name, found = of
    ranges = [f"{low:g} to {high:g}" if low < high else f"{low:g}" for low, high in found["ranges"]]
    told = ", ".join(ranges) if len(ranges) < 4 else f"{100 * found['share']:.0f} % of them"
    return f"`{name}` ({told})"


def runtimes() -> list[Row]:
    """Every network in every runtime: how far answers are from the module's, and in how many parts XNNPACK runs it."""
    found = result("runtimes")
    by_key = {(row["network"], row["runtime"]): row for row in found["rows"]}
    rows: list[Row] = [("family", "network", "px", *RUNTIMES)]
    for family, names in found["families"].items():
        for name in names:
            own = [by_key.get((name, runtime)) for runtime in RUNTIMES.values()]
            if pixels := next((str(each["pixels"]) for each in own if each), None):
                rows.append((family, f"`{name}`", pixels, *(in_runtime(each) for each in own)))
    return rows


def in_runtime(row: dict[str, Any] | None) -> str:
    """One network in one runtime."""
    if row is None:
        return "not tried"
    if "failed" in row:
        return "**fails**"
    if "relative_diff" not in row:
        return "written"
    told = f"{row['relative_diff']:.0e}" + (f"; {row['partitions']}" if "partitions" in row else "")
    if row["agreement"] == 1.0 and row["relative_diff"] <= MOST_DIFF:
        return told
    return f"**{told}** ({row['module_from_float64']:.0e}; {row['agreement']:.0%})".replace("%", " %")


def outside() -> list[Row]:
    """What XNNPACK does not run."""
    rows: list[Row] = [("runtime", "network", "parts", "operators left outside")]
    for runtime in ("LiteRT", "ExecuTorch"):
        for row in result("runtimes")["rows"]:
            if row["runtime"] == RUNTIMES[runtime] and row.get("outside"):
                left = ", ".join(f"{count} {name}" for name, count in row["outside"].items())
                rows.append((runtime, f"`{row['network']}`", str(row["partitions"]), left))
    return rows


def exports() -> list[Row]:
    """The latency of each exported file over timm's own, with the middle half of the rounds."""
    found: dict[str, dict[str, Any]] = {}
    for row in result("exports")["rows"]:
        found.setdefault(row["network"], {})[row["runtime"]] = row
    titles = {title: name for title, name in RUNTIMES.items() if any(name in row for row in found.values())}
    return [("network", *titles)] + [
        (f"`{network}`", *(over_timm(own.get(name)) for name in titles.values())) for network, own in found.items()
    ]


def attention_forms() -> list[Row]:
    """The latency over timm's file, by how attention is written down, with the middle half of the rounds."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in result("attention_forms")["rows"]:
        told = "{:.2f} ({:.2f} to {:.2f})".format(row["ratio"], *row["middle_half"])
        found.setdefault((row["network"], row["runtime"]), {})[row["form"]] = told
    titles = list(dict.fromkeys(form for own in found.values() for form in own))
    title = {name: title for title, name in RUNTIMES.items()}
    return [("network", "runtime", *titles)] + [
        (f"`{network}`", title[runtime], *(own.get(form, "-") for form in titles))
        for (network, runtime), own in found.items()
    ]


def over_timm(row: dict[str, Any] | None) -> str:
    """One ratio; in bold where the middle halves of both sides lie apart."""
    if row is None:
        return "not tried"
    (low, high), (least, _, most) = row["middle_half"], row["timm_against_itself"]
    told = f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})"
    return told if low <= most and least <= high else f"**{told}**"


def int8() -> list[Row]:
    """What the gate made of every trained network in every runtime, on a processor whose sums do not overflow."""
    rows: list[Row] = [
        ("network", "px", "right in float", "runtime", "recipe that the gate took", "change, points", "same answers",
         "times as fast", "MB, and in float", "seconds")
    ]  # fmt: skip
    titles = {name: title for title, name in RUNTIMES.items()}
    found = [row for row in result("int8")["rows"] if not row["overflows"]]
    for row in sorted(found, key=lambda row: (row["run"], list(titles).index(row["runtime"]))):
        gate = row["gate"]
        tried = next(each for each in row["recipes"] if each["recipe"] == gate["recipe"])
        change = gate["change"] or tried["change"]
        low, value, high = (f"{100 * change[name]:+.1f}" for name in ("low", "value", "high"))
        left = f", {len(gate['left_float'])} in float" if gate["left_float"] else ""
        outcome = "" if gate["outcome"] == "passed" else f" (refused: {gate['outcome']})"
        rows.append(
            (
                f"`{row['network']}`",
                str(row["px"]),
                f"{100 * row['val_accuracy']:.1f} %",
                titles[row["runtime"]],
                f"{gate['recipe']}{left}{outcome}",
                f"{value} ({low} to {high})",
                f"{100 * (gate['agreement'] or tried['agreement']):.1f} %",
                f"{1 / gate['ratio']:.2f}",
                f"{gate['int8_bytes'] / 1e6:.2f}, {gate['float_bytes'] / 1e6:.2f}",
                f"{row['seconds']:.0f}",
            )
        )
    return rows


def learnt(data: str, parts: dict[str, str]) -> list[Row]:
    """What networks learn in so many seconds of one core, one row for all seeds; parts are means over these."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in result("learnt")["rows"]:
        if row["data"] == data:
            names = [f"`{row[key]}`" if row[key] else "nothing" for key in ("network", "weights")]
            names += [str(row["size"]), f"{row['cpu_s']:.0f}", row["processor"]]
            found.setdefault((*names, row["changes"]), []).append(row)
    metric = next(iter(found.values()))[0]["metric"]
    head = ("network", "starts from", "px", "CPU seconds", "processor", "steps", f"{metric} by seed", "mean", *parts)
    return [head] + [
        (*names, *learnt_by(rows, list(parts.values()))) for (*names, changes), rows in found.items() if not changes
    ]


def learnt_by(rows: list[dict[str, Any]], parts: list[str]) -> Row:
    """Steps, scores by seed, and the means of these and of their parts; of classes where a part is none."""
    rows = sorted(rows, key=lambda row: row["seed"])
    steps = sorted(row["steps"] for row in rows)
    scores = [row["score"] for row in rows]
    told = [[row["parts"].get(part, row["by_label"].get(part)) for row in rows] for part in parts]
    return (
        f"{steps[0]} to {steps[-1]}" if len(steps) > 1 else str(steps[0]),
        ", ".join(f"{score:.3f}" for score in scores),
        *(f"{statistics.mean(each):.3f}" for each in (scores, *told)),
    )


def fits_of_tasks(data: str) -> list[Row]:
    """What a fit of boxes or masks found, and torchvision's network that learnt as long; times of the whole files."""
    found: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for row in result("fits_of_tasks")["rows"]:
        if row["data"] == data:
            case = (row["processor"], -row["budget_ms"], row["time_s"], row["seed"], row["train_s"])
            found.setdefault(case, {})["fit" if row["contender"] == "fit" else "rival"] = row
    head = ("processor", "budget", "`--time`", "seed", "trained, each", "`fit`", "torchvision's network")
    return [head] + [
        (
            processor,
            f"{-budget:g} ms",
            f"{seconds:.0f} s",
            str(seed),
            f"{trained} s",
            fit_of(both["fit"]),
            fit_of(both["rival"]),
        )
        for (processor, budget, seconds, seed, trained), both in sorted(found.items())
    ]


def fit_of(row: dict[str, Any]) -> str:
    """Its score, and of what."""
    name = row["network"].split(f"-{row['input']}px")[0]
    return f"{row['score']:.3f} (`{name}`, {row['input']} px, {row['whole_ms']:.1f} ms, {row['steps']} steps)"


def extras() -> list[Row]:
    """What extras add to an environment with ridgepoint alone."""
    return [("extra", "packages", "MB", "seconds to download and install")] + [
        (f"`{row['extra']}`", str(row["packages"]), f"{row['bytes'] / 1e6:,.0f}", f"{row['seconds']:.0f}")
        for row in result("extras")["rows"]
    ]


TABLES: dict[str, Callable[[], list[Row]]] = {
    "searches_uib": lambda: searches("tabular_uib"),
    "searches_metaformer": lambda: searches("tabular_metaformer"),
    "one_shot": one_shot,
    "peers": peers,
    "fits": fits,
    "photographs": photographs,
    "pruning": pruning,
    "fronts": fronts,
    "fronts_by_clock": fronts_by_clock,
    "own_device": own_device,
    "left_out": left_out,
    "claims": claims.summary,
    "claims_mobilenetv3": lambda: claims.rows("MobileNetV3"),
    "claims_mobilenetv4": lambda: claims.rows("MobileNetV4"),
    "claims_mobileone": lambda: claims.rows("MobileOne"),
    "claims_efficientformer": lambda: claims.rows("EfficientFormer"),
    "claims_efficientformerv2": lambda: claims.rows("EfficientFormerV2"),
    "runtimes": runtimes,
    "outside": outside,
    "exports": exports,
    "attention_forms": attention_forms,
    "int8": int8,
    "learnt_boxes": lambda: learnt(
        "det_bccd", {"mAP50": "mAP50", "mAP75": "mAP75", **{f"AP {name}": name for name in ("RBC", "WBC", "Platelets")}}
    ),
    "learnt_masks": lambda: learnt("seg_nuclei", {"IoU of nuclei": "nucleus"}),
    "fits_of_boxes": lambda: fits_of_tasks("det_bccd"),
    "fits_of_masks": lambda: fits_of_tasks("seg_nuclei"),
    "extras": extras,
}


def result(name: str) -> Any:
    """What a benchmark found."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def markdown(rows: list[Row]) -> str:
    """Rows as a table; the first is its head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    line = "|---" * (head.count("|") - 1) + "|"
    return "\n".join([head, line, *body]).replace("|  |", "| |").replace("|  |", "| |")


def written(page: str) -> str:
    """The page with its tables as the results are now."""
    return PLACE.sub(lambda at: f"<!-- table {at[1]} -->\n\n{markdown(TABLES[at[1]]())}\n\n<!-- end -->", page)


def main() -> int:
    """The exit code: 1 where --check finds a table that is not current."""
    stale = 0
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        current = written(page)
        if "--check" not in sys.argv[1:]:
            path.write_text(current, encoding="utf-8")
        elif current != page:
            sys.stderr.write(f"{path}: its tables are not those of benchmarks/results. Run: python tools/tables.py\n")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
