"""Photographs of three colours, and published weights that know nothing: what a fit opens with, in seconds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ridgepoint.arch.zoo import load
from ridgepoint.nn.build import build
from ridgepoint.nn.weights import save_weights

NAME = "tf_mobilenetv3_small_minimal_100"
TAGS = {NAME: "in1k", "mobileone_s0": "apple_in1k"}  # the latter under terms that are not open


def write_photographs(folder: Path, *, each: int = 15, weights: Mapping[str, str] = TAGS) -> Path:
    """Class folders, `photos`, and a folder of weights, `weights`, in a folder, which is returned."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("red", "green", "blue")):
        (folder / "photos" / name).mkdir(parents=True)
        for index in range(each):
            pixels = rng.integers(0, 140, (80, 80, 3), dtype=np.uint8)
            pixels[..., number] += 90
            Image.fromarray(pixels).save(folder / "photos" / name / f"{index}.png")
    (folder / "weights").mkdir()
    torch.manual_seed(0)
    for network, tag in weights.items():
        save_weights(build(load(network)), folder / "weights" / f"{network}.{tag}.safetensors")
    return folder
