"""What `fit` finds for boxes or masks, against torchvision's network of the task within the same time and latency.

    python benchmarks/fits_of_tasks.py ../shared/data/det_bccd --budgets 4 6 9 --time 180 --into FILE
    python benchmarks/fits_of_tasks.py ../shared/data/seg_nuclei --budgets 3 5 8 --time 180 --into FILE

For every budget there is a fit of so many seconds, all told, that takes what published weights there are unless
`--weights none`. Beside it torchvision's network (`ssdlite320_mobilenet_v3_large` or `lraspp_mobilenet_v3_large` of the
zoo, with torchvision's head and anchors) is trained for as many seconds of the processor as the fit's own network was,
from scratch, by the task's recipe, at the largest input, in steps of 32 px, at which it meets the budget. Then the
files of both are clocked side by side, those of boxes with suppression inside, and score the images that were set
aside. `--into` adds rows to a file, in place of those of the same data, weights, budget, time, seed and processor.
Printed as JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import learnt
import torch

from ridgepoint.arch.suppression import Suppression
from ridgepoint.arch.zoo import load
from ridgepoint.cost.host import cpu_name
from ridgepoint.data import Dataset, Preprocessing
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.measure import measure
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.privacy import keep_private
from ridgepoint.tasks.reading import read
from ridgepoint.tasks.task import Task
from ridgepoint.train.folder import load_training
from ridgepoint.train.recipe import load_recipe

RIVALS = {"detection": "ssdlite320_mobilenet_v3_large", "segmentation": "lraspp_mobilenet_v3_large"}
STEP_PX = 32
KEYS = ("data", "weights", "budget_ms", "time_s", "seed", "processor")


def main() -> None:
    keep_private()
    torch.set_num_threads(1)
    options = parse()
    known = json.loads(options.into.read_text()) if options.into and options.into.exists() else {}
    rows = known.pop("rows", [])
    for budget in options.budgets:
        found = compared(options, budget)
        rows = [row for row in rows if any(row[key] != found[0][key] for key in KEYS)] + found
        if options.into:
            options.into.write_text(json.dumps({**known, "rows": rows}))
    print(json.dumps({**known, "rows": rows}))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--budgets", type=float, nargs="+", required=True, help="milliseconds")
    parser.add_argument("--time", type=float, default=180.0, help="seconds")
    parser.add_argument("--weights", default="auto", help="what a fit may start from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/fits_of_tasks"))
    parser.add_argument("--into", type=Path)
    return parser.parse_args()


def compared(options: argparse.Namespace, budget: float) -> list[dict[str, Any]]:
    """A row of the fit and one of torchvision's network, their files clocked side by side."""
    task, data = read(options.data, seed=options.seed)
    out = options.runs / f"{options.data.name} {options.weights} {budget} {options.seed}"
    result = fitted(options, budget, out)
    with tempfile.TemporaryDirectory() as folder:
        rival, pixels, score, steps = trained_rival(
            task, data, options, budget, result["network"]["train_s"], Path(folder)
        )
        own, known = load_training(out)
        files = {
            "fit": exported(task, data, own, known.preprocessing, Path(folder) / "fit.onnx"),
            rival.network.name: exported(task, data, rival, pixels, Path(folder) / "rival.onnx"),
        }
        clocked = measure(files)
    network = result["network"]
    told = {
        "fit": {
            "score": result["accuracy"]["artefact"],
            "network": network["name"],
            "steps": network["steps"],
            "train_s": round(network["train_s"]),
        },
        rival.network.name: {
            "score": round(score, 4),
            "network": rival.network.name,
            "steps": steps,
            "train_s": round(network["train_s"]),
        },
    }
    inputs = {"fit": own.network.input, rival.network.name: rival.network.input}
    return [
        {
            "data": options.data.name,
            "weights": options.weights,
            "budget_ms": budget,
            "time_s": options.time,
            "seed": options.seed,
            "contender": name,
            "input": inputs[name][1],
            "whole_ms": round(clocked[name].ms, 3),
            "doubt": clocked[name].doubt,
            "processor": cpu_name(),
            **told[name],
        }
        for name in files
    ]


def fitted(options: argparse.Namespace, budget: float, out: Path) -> dict[str, Any]:
    """The fit's result; read, if it is there."""
    if not (out / "result.json").is_file():
        command = [sys.executable, "-m", "ridgepoint", "fit", str(options.data), "--latency", f"{budget}ms"]
        command += ["--time", f"{options.time}s", "--weights", options.weights, "--seed", str(options.seed)]
        command += ["--baselines", "0", "--out", str(out), "--json", "--busy"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode not in (0, 3):
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads((out / "result.json").read_text(encoding="utf-8"))


def trained_rival(
    task: Task, data: Dataset, options: argparse.Namespace, budget: float, cpu_s: float, folder: Path
) -> tuple[BuiltNetwork, Preprocessing, float, int]:
    """Torchvision's network at the largest input that meets the budget, trained; its score, and steps."""
    largest, _ = task.input(data, None)
    for side in range(largest.height, STEP_PX, -STEP_PX):
        pixels, _ = task.input(data, side)
        network = task.head(data).close(load(RIVALS[task.name]).at(channels=pixels.channels, height=side))
        file = exported(task, data, build(network).eval(), pixels, folder / "untrained.onnx")
        if measure({"it": file})["it"].ms <= budget:
            break
    recipe = load_recipe(task.recipe(side, trained=False))
    done, found = learnt.taught(task, data, network, pixels, recipe, cpu_s=cpu_s, seed=options.seed, initial=None)
    return done.model, pixels, found.value, done.steps


def exported(task: Task, data: Dataset, model: BuiltNetwork, preprocessing: Preprocessing, path: Path) -> Path:
    """A file of it for ONNX Runtime; a detector's ends in final boxes."""
    export_artefact(
        model,
        path,
        network=model.network,
        preprocessing=preprocessing,
        labels=data.classes,
        task=task.name,
        outputs=task.outputs,
        suppression=Suppression() if task.name == "detection" else None,
    )
    return path


if __name__ == "__main__":
    main()
