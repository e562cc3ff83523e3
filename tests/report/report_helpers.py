"""A run folder as `ridgepoint fit` leaves it, small, made with the real classes; and a headless browser."""

import json
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image

from ridgepoint.arch.document import dump_network
from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.study import Study

CLASSES = ["circle", "square", "<b>star & moon</b>", "triangle"]
BASELINES = ("mobilenetv3_small_100", "mobileone_s0", "mobilenetv2_100")
CONFUSION = [[48, 1, 0, 1], [0, 50, 0, 0], [2, 0, 45, 3], [0, 1, 0, 49]]


def stopwatch(ms: float) -> dict[str, Any]:
    return {
        "kind": "measured",
        "ms": ms,
        "p90_ms": ms * 1.07,
        "spread": 0.021,
        "runtime": "onnxruntime",
        "runtime_version": "1.22.0",
        "device": "Some CPU, 2 cores",
        "threads": 1,
        "precision": "fp32",
        "warmup": 20,
        "rounds": 5,
        "runs": 250,
        "file_bytes": 1_530_000,
    }


def small(name: str) -> Network:
    """A zoo network for the four classes, at 64 pixels."""
    return load(name).at(height=64).with_classes(len(CLASSES))


def rival(network: Network, role: str, *, ms: float, val: float, test: float) -> dict[str, Any]:
    return {
        "name": network.name,
        "role": role,
        "latency": stopwatch(ms),
        "met": ms <= 4.0,
        "accuracy": {"val": val, "artefact": test, "split": "test", "count": 200},
        "params": cost(network).params,
        "macs": cost(network).macs,
        "train_s": 40.0,
    }


def result(network: Network, folder: Path) -> dict[str, Any]:
    baselines = [
        rival(small(name), "zoo", ms=ms, val=0.91 + 0.02 * index, test=0.9 + 0.025 * index)
        for index, (name, ms) in enumerate(zip(BASELINES, (1.4, 2.5, 5.2), strict=True))
    ]
    runner_up = msgspec.structs.replace(small("mobilenetv2_050"), name="runner-up")
    finalists = [
        rival(network, "finalist", ms=3.1, val=0.97, test=0.96),
        rival(runner_up, "finalist", ms=3.6, val=0.955, test=0.94),
    ]
    return {
        "command": "ridgepoint fit shapes/ --latency 4ms --seed 3",
        "reproduce": ["ridgepoint fit shapes/ --latency 4ms --seed 3 --evaluations 30"],
        "name": "shapes",
        "created": "2025-03-01T10:20:30+00:00",
        "run": str(folder),
        "data": {
            "name": "shapes",
            "kind": "class folders",
            "classes": CLASSES,
            "counts": {"train": 640, "val": 160, "test": 200},
            "summary": "1000 images in 4 classes\nsizes from 60x60 to 72x80 pixels",
            "split_note": "64 % train, 16 % val, 20 % test, by class, seed 3",
            "skipped": ["shapes/circle/broken.png: truncated"],
            "input_reason": "64x64: the median image is 64 pixels high",
            "preprocessing": {"resize": 64, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
        },
        "architecture": str(folder / "architecture.yaml"),
        "artefact": str(folder / "model.onnx"),
        "network": {
            "name": network.name,
            "digest": network.digest,
            "input": list(network.input),
            "params": cost(network).params,
            "deploy_params": cost(network, form="deploy").params,
            "macs": cost(network).macs,
        },
        "budget_ms": 4.0,
        "latency": stopwatch(3.1),
        "met": True,
        "accuracy": {"float": 0.96, "artefact": 0.96, "val": 0.97, "split": "test", "count": 200},
        "parity": {"max_abs_diff": 3.1e-6, "top1_agreement": 1.0, "count": 64},
        "finalists": finalists,
        "baselines": baselines,
        "search": {
            "space": "mobilenetv4_conv",
            "space_size": 2.4e9,
            "method": "nsga2",
            "reason": "the budget allows 30 short trainings",
            "evaluations": 30,
            "seconds": 310.0,
        },
        "bound": {"time_s": None, "evaluations": 30},
        "seed": 3,
        "phases": [
            {"name": "latency table", "seconds": 21.0},
            {"name": "search", "seconds": 310.0},
            {"name": "full trainings", "seconds": 190.0},
        ],
        "versions": {"ridgepoint": "0.1.0", "torch": "2.11", "onnxruntime": "1.22.0"},
        "warnings": ["1 file could not be read and was skipped"],
        "wall_s": 528.0,
    }


def write_result(folder: Path, **changes: Any) -> None:
    path = folder / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def make_run(folder: Path) -> Path:
    """A finished run: 30 search candidates, 28 of them tabled; two finalists, one of which won; three baselines."""
    folder.mkdir(parents=True)
    network = msgspec.structs.replace(small("mobilenetv4_conv_small"), name="winner")
    (folder / "architecture.yaml").write_text(dump_network(network))
    (folder / "result.json").write_text(json.dumps(result(network, folder)))
    _write_study(folder, network)
    for index, name in enumerate((network.name, *BASELINES)):
        _write_metrics(folder / "trainings" / name, offset=0.02 * index)
    _write_evaluation(folder)
    return folder


def _write_study(folder: Path, network: Network) -> None:
    study = Study(folder)
    for index in range(30):
        candidate = Candidate(
            name=f"candidate-{index}",
            phase="search",
            network=msgspec.structs.replace(network, name=f"candidate-{index}"),
            seed=3,
            tabled_ms=None if index < 2 else 1.2 + 0.13 * index,
            short_accuracy=0.7 + 0.19 * (index * 7 % 30) / 30,
            train_s=8.0,
        )
        study.record(candidate)
    runner_up = msgspec.structs.replace(small("mobilenetv2_050"), name="runner-up")
    for phase, member, ms, accuracy in (("winner", network, 3.1, 0.97), ("finalist", runner_up, 3.6, 0.955)):
        study.record(
            Candidate(name=member.name, phase=phase, network=member, seed=3, measured_ms=ms, val_accuracy=accuracy)
        )


def _write_metrics(folder: Path, *, offset: float) -> None:
    folder.mkdir(parents=True)
    rows = [
        {
            "step": 10 * step,
            "epoch": step,
            "progress": step / 12,
            "learning_rate": 1e-3,
            "loss": 1.4 * 0.78**step + offset,
            "train_accuracy": 0.98 - 0.6 * 0.7**step,
            "val_accuracy": 0.97 - offset - 0.6 * 0.72**step,
            "elapsed_s": 3.0 * step,
        }
        for step in range(1, 13)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 13, "ep')


def _write_evaluation(folder: Path) -> None:
    (folder / "mistakes").mkdir()
    mistakes = []
    for index, (true, predicted) in enumerate([(0, 1), (2, 3), (2, 0), (3, 1), (2, 3)]):
        Image.effect_noise((16, 16), 60 + 30 * index).save(folder / "mistakes" / f"{index}.png")
        mistakes.append(
            {
                "id": f"{index}.png",
                "true": CLASSES[true],
                "predicted": CLASSES[predicted],
                "probability": 0.5 + 0.08 * index,
                "image": f"mistakes/{index}.png",
            }
        )
    evaluation = {
        "split": "test",
        "classes": CLASSES,
        "confusion": CONFUSION,
        "mistakes": mistakes,
        "per_class": [
            {"class": name, "count": sum(row), "recall": row[index] / sum(row)}
            for index, (name, row) in enumerate(zip(CLASSES, CONFUSION, strict=True))
        ],
    }
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
