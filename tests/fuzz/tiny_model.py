"""An exported network of few classes, made once in a process: what reads images and folders is tried on it."""

import os
import tempfile
from functools import cache
from pathlib import Path

import torch

from ridgepoint.arch.document import parse_network
from ridgepoint.data import Preprocessing
from ridgepoint.deploy.export import export_artefact
from ridgepoint.nn.build import build

CLASSES = ("a", "b")


@cache
def tiny_model(task: str = "classification", labels: tuple[str, ...] = CLASSES) -> Path:
    """The file; random weights, 16 x 16 colour images."""
    heads = {"classification": {"head": "pooled", "conv_channels": 8}, "segmentation": {"head": "lraspp", "low": 2}}
    network = parse_network(
        {
            "name": "tiny",
            "input": [3, 16, 16],
            "num_classes": len(labels),
            "stem": [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": 8}],
            "stages": [],
            "head": heads[task],
        },
        source="tiny",
    )
    torch.manual_seed(0)
    preprocessing = Preprocessing(height=16, width=16, channels=3, resize=16, mean=(0.5,) * 3, std=(0.5,) * 3)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or tempfile.mkdtemp()) / f"tiny_{task}_{len(labels)}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    export_artefact(build(network).eval(), path, network=network, preprocessing=preprocessing, labels=labels, task=task)
    return path
