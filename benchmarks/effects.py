"""What the recipes' parts and a teacher gain on photographs: the same training with one thing changed, several seeds.

A small MobileOne with branches and without, without its average of weights, without annealing of weight decay; a small
network by labels, on the data's mild views and on those of D1 and D2, and by a teacher's answers to D1, D2 and both.
Trainings are `ridgepoint train` and `distill`, side by side in processes of one thread; a run folder that is done is
not trained again. Accuracy is that of the test part.

    python benchmarks/effects.py PHOTOS --weights mobilenetv2_100.safetensors > benchmarks/results/effects.json
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NETWORKS = Path(__file__).parent / "networks"
SMALL, PLAIN = (str(NETWORKS / f"{name}.yaml") for name in ("mobileone_small", "mobileone_small_plain"))
TEACHER = "tf_mobilenetv2_100"
MOBILEONE = ["--recipe", "mobileone_s0", "--size", "64", "--set", "epochs=10", "--set", "batch_size=64"]
STUDENT = ["mobilenetv3_small_050", "--recipe", "photographs", "--size", "96", "--set", "epochs=10"]


CROP = "crop_scale: [0.08, 1.0], crop_ratio: [0.75, 1.3333], horizontal_flip: 0.5"
VIEWS = {  # of D1 and D2, with labels for a teacher
    "D1": ["--set", f"augmentation={{{CROP}, policy: {{kind: randaugment, magnitude: 9}}}}"],
    "D2": ["--set", f"augmentation={{{CROP}}}", "--set", "mixing.mixup=1"],
}


def cases(teacher: Path, store: Path) -> dict[str, tuple[str, list[str]]]:
    """Verb and arguments of every training; the first of each group is what the others are compared with."""

    def one(network: str, *changes: str) -> tuple[str, list[str]]:
        settings = ("ema.decay=0.995", *changes)  # the paper's 0.9995 forgets over more steps than there are
        return "train", [network, *MOBILEONE, *(part for change in settings for part in ("--set", change))]

    def taught(mixture: str) -> tuple[str, list[str]]:
        given = ["--teacher", str(teacher), "--mixture", mixture, "--replicas", "4", "--store", str(store)]
        return "distill", [*STUDENT, *given]

    return {
        "mobileone": one(SMALL),
        "mobileone without branches": one(PLAIN),
        "mobileone without ema": one(SMALL, "ema=null"),
        "mobileone with constant weight decay": one(SMALL, "weight_decay=1e-4"),
        "student": ("train", STUDENT),
        "student of labels on D1": ("train", STUDENT + VIEWS["D1"]),
        "student of labels on D2": ("train", STUDENT + VIEWS["D2"]),
        "student of D1 and D2": taught("D1:1,D2:1"),
        "student of D1": taught("D1:1"),
        "student of D2": taught("D2:1"),
    }


def run(verb: str, arguments: list[str], data: str, out: Path, seed: int) -> dict:
    """The training's result; read, if it is there."""
    result = out / "result.json"
    if not result.is_file():
        command = [sys.executable, "-m", "ridgepoint", verb, *arguments[:1], data, *arguments[1:]]
        resume = ["--resume"] if out.is_dir() else []
        command += ["--seed", str(seed), "--out", str(out), "--json", *resume]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(result.read_text(encoding="utf-8"))


def told(results: list[dict], baseline: list[dict]) -> dict:
    """Accuracies, their mean and spread, and the gain over the baseline's runs of the same seeds."""
    accuracies, others = ([result["accuracy"]["test"] for result in each] for each in (results, baseline))
    gains = [mine - other for mine, other in zip(accuracies, others, strict=True)]
    return {
        "test_accuracy": [round(accuracy, 4) for accuracy in accuracies],
        "mean": round(statistics.mean(accuracies), 4),
        "spread": round(statistics.stdev(accuracies), 4),
        "gain": round(statistics.mean(gains), 4),
        "gain_spread": round(statistics.stdev(gains), 4),
        "steps": results[0]["steps"],
        "train_s": [round(result["train_s"]) for result in results],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--weights", required=True, help=f"of the teacher, {TEACHER}, which is finetuned on the data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/effects"))
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)

    teacher = given.runs / "teacher"
    finetuned = [TEACHER, "--weights", given.weights, "--size", "96", "--set", "epochs=4"]
    taught_by = run("train", finetuned, given.data, teacher, 0)

    def chain(seed: int) -> dict[str, dict]:
        """One after another: the first with a store writes it for the others."""
        each = cases(teacher, given.runs / f"store {seed}")
        return {name: run(*case, given.data, given.runs / f"{name} {seed}", seed) for name, case in each.items()}

    with ThreadPoolExecutor(given.jobs) as pool:
        chains = list(pool.map(chain, range(given.seeds)))
    results = {name: [each[name] for each in chains] for name in chains[0]}
    report = {
        name: told(each, results["mobileone" if name.startswith("mobileone") else "student"])
        for name, each in results.items()
    }
    head = {"command": " ".join(sys.argv), "data": taught_by["data"], "teacher": taught_by["accuracy"]["test"]}
    print(json.dumps({**head, **report}, indent=1))


main()
