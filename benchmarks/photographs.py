"""`fit` on photographs against what a careful engineer does with the same weights and time, and against no weights.

The engineer takes, at each of four resolutions, the network with the best published accuracy that the clock puts within
the budget, fine-tunes it by the recipe of `fit` for a quarter of the time, and keeps what validation likes best. Every
command has one core and is bounded by time; test accuracy is that of the exported file at its measured latency. A run
folder that is done is not fitted again. Published weights are looked for where RIDGEPOINT_WEIGHTS says.

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

BUDGETS, SIZES = (0.8, 2.0, 4.0), (96, 128, 160, 192)


def fitted(out: Path, words: list[str]) -> dict:
    """The fit's result; read, if it is there."""
    if not (out / "result.json").is_file():
        command = [sys.executable, "-m", "ridgepoint", "fit", *words, "--out", str(out), "--json"]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if done.returncode not in (0, 3):
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        print(f"{out.name}: done", file=sys.stderr)
    return json.loads((out / "result.json").read_text(encoding="utf-8"))


def best_published(size: int, budget: float, host: HostTable) -> str | None:
    """The tag of the weights with the best published accuracy whose network is within the budget at a size."""
    rows = [row for row in published_weights() if row.licence.open and row.classes and lying(row)]
    for row in sorted(rows, key=lambda row: -top1(row.network)):
        network = suited(load(row.network), channels=3, height=size, width=size, num_classes=10)
        if host.measure_networks({row.network: network})[row.network] <= budget:
            return row.name
    return None


def row(who: str, budget: float, seed: int, result: dict) -> dict:
    """What is told of a result."""
    return {
        "who": who,
        "budget_ms": budget,
        "seed": seed,
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--time", type=float, default=300.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budgets", type=float, nargs="+", default=BUDGETS)
    parser.add_argument("--runs", type=Path, default=Path("runs/photographs"))
    parser.add_argument("--busy", action="store_true", help="accept times of a machine that is not calm")
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    table = given.runs / "table.json"
    host, rows = HostTable(path=table, busy=given.busy), []
    for seed, budget in itertools.product(range(given.seeds), given.budgets):
        common = [given.data, "--latency", f"{budget}ms", "--seed", str(seed), "--table", str(table)]
        common += ["--busy"] if given.busy else []
        whole, quarter = ["--time", f"{given.time}s"], ["--time", f"{given.time / len(SIZES)}s"]
        rows.append(row("fit", budget, seed, fitted(given.runs / f"fit {budget} {seed}", [*common, *whole])))
        tried = []
        for size in SIZES:
            if (tag := best_published(size, budget, host)) is not None:
                words = [*common, *quarter, "--weights", tag, "--size", str(size)]
                tried.append(fitted(given.runs / f"engineer {budget} {seed} {size}", words))
        if tried:
            best = max(tried, key=lambda result: (result["met"], result["accuracy"]["val"]))
            rows.append(row("engineer", budget, seed, best))
        none = fitted(given.runs / f"none {budget} {seed}", [*common, *whole, "--weights", "none", "--baselines", "1"])
        rows.append(row("no weights", budget, seed, none))
    print(json.dumps({"command": " ".join(sys.argv), "time_s": given.time, "rows": rows}))


main()
