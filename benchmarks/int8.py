"""What int8 costs and gains, by the gate of `ridgepoint export --int8`, on trained networks.

python benchmarks/int8.py DATA RUN... prints JSON, a line for every training: which recipe was taken, the change of
accuracy on its validation and test images with one-sided 95 % bounds, agreement with float, speed ratio from the same
rounds, sizes, seconds; or why it was refused. Times of a busy machine are taken as they are: only ratios are told.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import torch

from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.tasks.int8 import expect_same_data, quantise_for
from ridgepoint.tasks.reading import read
from ridgepoint.train.folder import load_training

RUNTIME = "onnxruntime"
TOLD = ("outcome", "reason", "recipe", "left_float", "agreement", "change", "ratio", "p", "float_bytes", "int8_bytes")


def judged(run: Path, data: str) -> dict[str, Any]:
    """One training, quantised and judged."""
    model, about = load_training(run)
    task, dataset = read(data, seed=about.data.seed if about.data else 0)
    expect_same_data(data, dataset, about.data)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        export_artefact(
            model,
            source,
            network=model.network,
            preprocessing=about.preprocessing,
            labels=about.labels,
            runtime=RUNTIME,
        )
        found = quantise_for(
            task,
            dataset,
            about.preprocessing,
            source,
            Path(folder) / "int8" / "model.onnx",
            runtime=find_runtime(RUNTIME),
            busy=True,
            module=model,
            progress=lambda share, text: print(f"{run.name}: {text}", file=sys.stderr),
        )
    plain = msgspec.to_builtins(found)
    row = {"network": model.network.name, "px": about.preprocessing.height, "val_accuracy": about.val_accuracy}
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
    data, *runs = sys.argv[1:]
    for run in runs:
        print(json.dumps(judged(Path(run), data)), flush=True)


if __name__ == "__main__":
    main()
