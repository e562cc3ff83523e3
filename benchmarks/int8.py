r"""What int8 costs and gains on trained networks: by every recipe of the tool, and by the gate of `export --int8`.

    ridgepoint train benchmarks/networks/mobileone_small.yaml PHOTOGRAPHS --size 32 --set epochs=16 --seed 0 \
        --out runs/int8/mobileone_small-0  # and mobileone_small_sum.yaml, and seed 1
    python benchmarks/int8.py PHOTOGRAPHS runs/int8/* --into benchmarks/results/int8.json
    python benchmarks/int8.py PHOTOGRAPHS runs/int8/* --runtime openvino --into benchmarks/results/int8.json
    ridgepoint train mobileone_s0 PHOTOGRAPHS --size 64 --time 3m --seed 0 --out runs/int8/mobileone_s0  # and others
    RIDGEPOINT_WEIGHTS=FOLDER ridgepoint train mobilenetv2_100 CLOTHES --weights deepsort_backbone --recipe finetune \
        --size 128 --time 4m --seed 0 --out runs/int8/mobilenetv2_100

A row for every training and runtime. `recipes`: by every recipe that the tool has for the file, whatever the clock
says, the share of validation and test images that it answers as float does, and the change of accuracy on them with
its one-sided 95 % bounds; of ONNX Runtime, where sums of 8-bit products overflow, as on x86 without VNNI
(`overflows`), also where they do not. `gate`: what it chose or why it refused, layers in float, speed ratio from the
same rounds, sizes. Times of a busy machine are taken as they are: only ratios are told. `--into` adds to the rows of a
file, in place of those of the same run and runtime. Printed as JSON.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import torch

from ridgepoint.cost.host import cpu_name
from ridgepoint.data import Dataset, decode
from ridgepoint.data.images import joined
from ridgepoint.deploy.about import About
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.companion import write_entry
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.places.place import LOCAL
from ridgepoint.deploy.quantize import find_quantizer
from ridgepoint.deploy.quantize.calibration import calibration_of
from ridgepoint.deploy.quantize.quantizer import Recipe
from ridgepoint.deploy.runtimes import DEFAULT, find_runtime, model_file
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.privacy import keep_private
from ridgepoint.tasks.int8 import change_in, expect_same_data, quantise_for
from ridgepoint.tasks.reading import read
from ridgepoint.tasks.task import Task
from ridgepoint.train.folder import load_training

TOLD = ("outcome", "reason", "recipe", "left_float", "agreement", "change", "ratio", "p", "float_ms", "int8_ms")
TOLD += ("float_bytes", "int8_bytes", "in_float")
PARTS = ("val", "test")


def row_of(run: Path, data: str, runtime: Runtime) -> dict[str, Any]:
    """One training, quantised by every recipe, and judged by the gate."""
    model, about = load_training(run)
    task, dataset = read(data, seed=about.data.seed if about.data else 0)
    expect_same_data(data, dataset, about.data)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / model_file(runtime.name)
        told = export_artefact(
            model,
            source,
            network=model.network,
            preprocessing=about.preprocessing,
            labels=about.labels,
            runtime=runtime.name,
        )
        recipes = by_recipe(source, runtime, task, dataset, told, model)
        found = quantise_for(
            task,
            dataset,
            about.preprocessing,
            source,
            Path(folder) / "int8" / source.name,
            runtime=runtime,
            busy=True,
            module=model,
            progress=lambda share, text: print(f"{run.name}: {text}", file=sys.stderr),
        )
    plain = msgspec.to_builtins(found)
    return {
        "run": run.name,
        "runtime": runtime.name,
        "tool": f"{found.tool} {found.tool_version}",
        "network": model.network.name,
        "px": about.preprocessing.height,
        "val_accuracy": about.val_accuracy,
        "recipes": recipes,
        "gate": {name: plain[name] for name in TOLD},
        "sensitivity": plain["sensitivity"][:5],
        "device": found.device,
        "overflows": found.overflows,
        "seconds": round(found.seconds, 1),
    }


def by_recipe(
    source: Path, runtime: Runtime, task: Task, dataset: Dataset, told: About, model: torch.nn.Module
) -> list[dict[str, Any]]:
    """Every recipe without layers in float, by the images that no training has seen."""
    preprocessing, split = told.preprocessing, " and ".join(PARTS)
    images = decode(joined([getattr(dataset, part) for part in PARTS]), preprocessing, train=False)
    calibration = calibration_of(dataset.train, preprocessing, seed=0)
    change, before = change_in(task, split), answers(source, runtime, images.images)
    rows, in_int8 = [], msgspec.structs.replace(told, precision="int8")
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder) / "between"
        between.mkdir()
        normalised = preprocessing.normalize(calibration.images)
        tool = find_quantizer(runtime.name)(source, normalised, between, module=model)
        for number, method in enumerate(tool.applicable(overflows=LOCAL.overflows)):
            path = Path(folder) / str(number) / source.name
            path.parent.mkdir()
            tool.write(Recipe(method=method), path, about=in_int8)
            write_entry(path, in_int8, runtime)
            after = answers(path, runtime, images.images)
            found = change(before, after, images.labels)
            row = {
                "recipe": method,
                "agreement": round(task.agree(before, after).share, 4),
                "noise": noise(before, after),
            }
            told_of = msgspec.to_builtins(found)
            rounded = {name: round(told_of[name], 4) for name in ("value", "low", "high")}
            row |= {"change": told_of | rounded}
            if runtime.name == DEFAULT and LOCAL.overflows:
                exact = not_overflown(path, preprocessing.normalize(images.images).numpy())
                row["agreement_without_overflow"] = round(task.agree(before, exact).share, 4)
                row["change_without_overflow"] = round(change(before, exact, images.labels).value, 4)
            rows.append(row)
    return rows


def answers(path: Path, runtime: Runtime, images: torch.Tensor) -> np.ndarray:
    return load_artefact(path, runtime=runtime.name).logits(images.numpy())


def not_overflown(path: Path, images: np.ndarray) -> np.ndarray:
    """What a processor gives whose sums of 8-bit products do not overflow: conversions and layers one by one."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (name,) = (each.name for each in session.get_inputs())
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def noise(before: np.ndarray, after: np.ndarray) -> float:
    """Of the answers' own size, the median over images."""
    sizes = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)
    return float(f"{np.median(sizes):.3g}")


def main() -> None:
    """Print what came of every run that is named."""
    keep_private()
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--runtime", default=DEFAULT)
    parser.add_argument("--into", type=Path)
    given = parser.parse_args()
    rows = json.loads(given.into.read_text())["rows"] if given.into and given.into.exists() else []
    by_key = {(row["run"], row["runtime"]): row for row in rows}
    for run in given.runs:
        by_key[run.name, given.runtime] = row_of(run, given.data, find_runtime(given.runtime))
        document = {"about": {"processor": cpu_name()}, "rows": [by_key[key] for key in sorted(by_key)]}
        if given.into:
            given.into.write_text(json.dumps(document))
    print(json.dumps(document))


if __name__ == "__main__":
    main()
