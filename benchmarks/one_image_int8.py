"""Files in 8-bit integers for the clock alone: made by ONNX Runtime itself, with the ranges of one random image."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx

from ridgepoint.arch.network import Network


def quantise(path: Path, network: Network) -> None:
    """Replace a float32 file by one with int8 weights, per channel, and activations."""
    from onnxruntime.quantization import quant_pre_process, quantize_static

    image = np.random.default_rng(0).standard_normal((1, *network.input)).astype(np.float32)
    images = iter([{onnx.load(path).graph.input[0].name: image}])
    quant_pre_process(path, path, skip_symbolic_shape=True)
    quantize_static(path, path, SimpleNamespace(get_next=lambda: next(images, None)), per_channel=True)
