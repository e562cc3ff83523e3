"""`fit` on photographs against what a careful engineer does with the same weights and time, and against no weights.

The engineer takes, at each of four resolutions where there is one, the network with the best published accuracy that
the clock puts within the budget, fine-tunes it by the recipe of `fit` for an equal part of the time, and keeps what
validation likes best. To clock and to export costs the engineer nothing, while `fit` has to do it within its time.
Every command has one core; test accuracy of `fit` is that of the exported file. A run folder that is done is not fitted
again. Published weights are looked for where RIDGEPOINT_WEIGHTS says.

    python benchmarks/photographs.py PHOTOS --time 300 > benchmarks/results/photographs.json
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import load, top1
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.nn.published import published_weights
from ridgepoint.nn.reach import lying

BUDGETS, SIZES = (0.7, 1.2, 2.5), (64, 96, 128, 160)
WHO = ("fit", "engineer", "fit in int8 or float", "no weights")


def done(verb: str, out: Path, words: list[str]) -> dict:
    """The result of a fit or a training; read, if it is there."""
    if not (out / "result.json").is_file():
        command = [sys.executable, "-m", "ridgepoint", verb, *words, "--out", str(out), "--json"]
        ended = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if ended.returncode not in (0, 3):
            raise SystemExit(f"{' '.join(command)}\n{ended.stderr}")
        print(f"{out.name}: done", file=sys.stderr)
    return json.loads((out / "result.json").read_text(encoding="utf-8"))


def best_published(size: int, budget: float, host: HostTable) -> tuple[str, str, float] | None:
    """The network with the best published accuracy that is within the budget at a size, its weights' tag, its time."""
    rows = [row for row in published_weights() if row.licence.open and row.classes and lying(row)]
    for row in sorted(rows, key=lambda row: -top1(row.network)):
        network = suited(load(row.network), channels=3, height=size, width=size, num_classes=10)
        if (ms := host.measure_networks({row.network: network})[row.network]) <= budget:
            return row.network, row.name, ms
    return None


def of_fit(result: dict) -> dict:
    """What is told of a fit."""
    return {
        "network": result["network"]["name"],
        "input": result["network"]["input"][1],
        "test": round(result["accuracy"]["artefact"], 4),
        "val": round(result["accuracy"]["val"], 4),
        "ms": round(result["latency"]["ms"], 3),
        "met": result["met"],
        "wall_s": round(result["wall_s"]),
        "first_file_s": round(result["stages"][0]["at_s"]) if result["stages"] else None,
        "stages": [[stage["name"], round(stage["val_accuracy"], 4)] for stage in result["stages"]],
    }


def engineer(runs: Path, data: str, budget: float, seed: int, time_s: float, host: HostTable) -> dict | None:
    """The best in validation of four trainings; None where no published network is within the budget."""
    within = {size: found for size in SIZES if (found := best_published(size, budget, host)) is not None}
    tried = []
    for size, (network, tag, ms) in within.items():
        words = [network, data, "--weights", tag, "--size", str(size), "--recipe", "finetune", "--seed", str(seed)]
        words += ["--time", f"{time_s / len(within)}s"]
        result = done("train", runs / f"engineer {budget} {seed} {size}", words)
        test, val = (round(result["accuracy"][part], 4) for part in ("test", "val"))
        tried.append({"network": network, "input": size, "test": test, "val": val, "ms": round(ms, 3)})
    return {**max(tried, key=lambda each: each["val"]), "tried": tried} if tried else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--time", type=float, default=300.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budgets", type=float, nargs="+", default=BUDGETS)
    parser.add_argument("--runs", type=Path, default=Path("runs/photographs"))
    parser.add_argument("--who", nargs="+", choices=WHO, default=WHO[:2], help="whom to run, and to tell of")
    parser.add_argument("--busy", action="store_true", help="accept times of a machine that is not calm")
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    table = given.runs / "table.json"
    host, rows = HostTable(path=table, busy=given.busy), []
    for seed, budget in itertools.product(range(given.seeds), given.budgets):
        common = [given.data, "--latency", f"{budget}ms", "--seed", str(seed), "--table", str(table)]
        common += ["--time", f"{given.time}s", *(["--busy"] if given.busy else [])]
        found: dict[str, dict | None] = {}
        if "fit" in given.who:
            found["fit"] = of_fit(done("fit", given.runs / f"fit {budget} {seed}", common))
        if "engineer" in given.who:
            found["engineer"] = engineer(given.runs, given.data, budget, seed, given.time, host)
        if "fit in int8 or float" in given.who:
            words = [*common, "--precision", "auto"]
            found["fit in int8 or float"] = of_fit(done("fit", given.runs / f"auto {budget} {seed}", words))
        if "no weights" in given.who:
            words = [*common, "--weights", "none", "--baselines", "1"]
            found["no weights"] = of_fit(done("fit", given.runs / f"none {budget} {seed}", words))
        rows += [{"who": who, "budget_ms": budget, "seed": seed, **told} for who, told in found.items() if told]
    print(json.dumps({"command": " ".join(sys.argv), "time_s": given.time, "rows": rows}))


if __name__ == "__main__":
    main()
