"""What `fit` finds on photographs, against zoo networks, uniform scaling and random search under the same budgets.

Every fit trains equally many candidates for equally many epochs; scaling needs fewer, since it only tries widths and
resolutions. A fit's zoo networks are those that it has to beat in its own run; the best of them is the one that the
test images like best, which favours the zoo. At the end every exported file is clocked again, all side by side; test
accuracy is that of the exported file. A run folder that is done is not fitted again.

    python benchmarks/fits.py PHOTOS > benchmarks/results/fits.json
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from ridgepoint.deploy.measure import measure

BUDGETS = (0.5, 0.65, 0.85)
COMMON = ["--size", "96", "--set", "epochs=10", "--set", "short_epochs=2"]
METHODS = {
    "fit": ["--evaluations", "16", "--baselines", "2"],
    "random": ["--evaluations", "16", "--baselines", "0", "--method", "random"],
    "scaling": ["--evaluations", "4", "--baselines", "0", "--method", "scaling", "--space", "mobilenetv4_conv_small"],
}
CLOCKS = 1.03  # how far two clockings of a file may lie apart


def fitted(method: str, budget: float, seed: int, data: str, out: Path) -> dict | None:
    """The fit's result; read, if it is there. None if no network within the budget was found."""
    if not (out / "result.json").is_file():
        command = [sys.executable, "-m", "ridgepoint", "fit", data, "--latency", f"{budget}ms", *COMMON]
        command += [*METHODS[method], "--seed", str(seed), "--table", str(out.parent / "table.json"), "--out", str(out)]
        command += ["--json", *(["--resume"] if out.is_dir() else [])]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if done.returncode not in (0, 3):  # 3: by the clock of that moment nothing met the budget
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        print(f"{out.name}: done", file=sys.stderr)
    result = out / "result.json"
    return json.loads(result.read_text(encoding="utf-8")) if result.is_file() else None


def contenders(result: dict, folder: Path) -> dict[str, tuple[Path, dict]]:
    """What a fit returned and the zoo networks beside it: exported files, with their names and test accuracies."""
    found = {"found": (folder / "model.onnx", result["network"] | {"accuracy": result["accuracy"]})}
    zoo = {f"zoo {rival['name']}": rival for rival in result["baselines"]}
    return found | {name: (folder / "trainings" / rival["name"] / "model.onnx", rival) for name, rival in zoo.items()}


def hypervolume(points: Iterable[tuple[float, float]], reference_ms: float) -> float:
    """Milliseconds times accuracy under the best accuracy so far, from the fastest network to the reference."""
    area = best = 0.0
    for ms, accuracy in sorted(points):
        area += max(reference_ms - ms, 0.0) * max(accuracy - best, 0.0)
        best = max(best, accuracy)
    return area


def best_within(rows: list[dict], budget: float) -> float | None:
    """The best test accuracy among files that meet the budget; None if all are slower."""
    return max((row["test_accuracy"] for row in rows if row["ms"] <= CLOCKS * budget), default=None)


def compared(rows: list[dict], other: str, seeds: int) -> dict:
    """What `fit` gains over another contender, by budget and seed, in points, and the ratio of their hypervolumes."""
    gains: dict[float, list[float | None]] = {budget: [] for budget in BUDGETS}
    ratios = []
    for seed in range(seeds):
        own = [row for row in rows if row["seed"] == seed]
        mine, its = ([row for row in own if row["contender"] == name] for name in ("fit", other))
        for budget in BUDGETS:
            pair = [best_within([row for row in each if row["budget_ms"] == budget], budget) for each in (mine, its)]
            gains[budget].append(None if None in pair else round(100 * (pair[0] - pair[1]), 2))
        areas = [hypervolume(((row["ms"], row["test_accuracy"]) for row in each), max(BUDGETS)) for each in (mine, its)]
        ratios.append(round(areas[0] / areas[1], 3) if all(areas) else None)
    return {"gain_points": gains, "hypervolume_ratio": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/fits"))
    parser.add_argument("--done", action="store_true", help="fit nothing; tell of the runs that are done")
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    rows: list[dict] = []
    for method, seed, budget in itertools.product(METHODS, range(given.seeds), BUDGETS):
        folder = given.runs / f"{method} {budget} {seed}"
        if given.done and not (folder / "result.json").is_file():
            continue
        result = fitted(method, budget, seed, given.data, folder)
        if result is None:
            continue
        for name, (file, told) in contenders(result, folder).items():
            files[f"{folder.name} {name}"] = file
            rows.append(
                {
                    "contender": method if name == "found" else "zoo",
                    "budget_ms": budget,
                    "seed": seed,
                    "network": told["name"],
                    "input": told["input"],
                    "test_accuracy": round(told["accuracy"]["artefact"], 4),
                    "search_s": round(result["search"]["seconds"]) if name == "found" else None,
                }
            )
    latencies = measure(files)
    rows = [{**row, "ms": round(latencies[file].ms, 4)} for row, file in zip(rows, files, strict=True)]
    against = {other: compared(rows, other, given.seeds) for other in ("zoo", "scaling", "random")}
    head = {"command": " ".join(sys.argv), "common": COMMON, "methods": METHODS, "against": against}
    print(json.dumps(head, indent=1)[:-2] + ',\n "rows": [')
    print(",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n ]\n}")


main()
