"""What int8 costs and gains, by the gate of `ridgepoint export --int8`, on trained networks.

python benchmarks/int8.py DATA RUN... [--runtime NAME] prints JSON, a line for every training: which recipe was taken,
the change of accuracy on its validation and test images with one-sided 95 % bounds, agreement with float, speed ratio
from the same rounds, sizes, seconds; or why it was refused. Times of a busy machine are taken as they are: only ratios
are told.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import torch

from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.runtimes import DEFAULT, find_runtime, model_file
from ridgepoint.tasks.int8 import expect_same_data, quantise_for
from ridgepoint.tasks.reading import read
from ridgepoint.train.folder import load_training

TOLD = ("outcome", "reason", "recipe", "left_float", "agreement", "change", "ratio", "p", "float_bytes", "int8_bytes")


def judged(run: Path, data: str, runtime: str) -> dict[str, Any]:
    """One training, quantised and judged."""
    model, about = load_training(run)
    task, dataset = read(data, seed=about.data.seed if about.data else 0)
    expect_same_data(data, dataset, about.data)
    with tempfile.TemporaryDirectory() as folder:
        name = model_file(runtime)
        source = Path(folder) / name
        export_artefact(
            model,
            source,
            network=model.network,
            preprocessing=about.preprocessing,
            labels=about.labels,
            runtime=runtime,
        )
        found = quantise_for(
            task,
            dataset,
            about.preprocessing,
            source,
            Path(folder) / "int8" / name,
            runtime=find_runtime(runtime),
            busy=True,
            module=model,
            progress=lambda share, text: print(f"{run.name}: {text}", file=sys.stderr),
        )
    plain = msgspec.to_builtins(found)
    row = {
        "runtime": runtime,
        "network": model.network.name,
        "px": about.preprocessing.height,
        "val_accuracy": about.val_accuracy,
    }
    row |= {name: plain[name] for name in TOLD}
    row["attempts"] = [
        {
            "recipe": each.recipe,
            "layers_in_float": len(each.left_float),
            "agreement": each.agreement,
            "outcome": each.outcome,
        }
        for each in found.attempts
    ]
    return row | {"sensitivity": plain["sensitivity"][:5], "device": found.device, "seconds": round(found.seconds, 1)}


def main() -> None:
    """Print what came of every run that is named, each on a line."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--runtime", default=DEFAULT)
    given = parser.parse_args()
    for run in given.runs:
        print(json.dumps(judged(run, given.data, given.runtime)), flush=True)


if __name__ == "__main__":
    main()
