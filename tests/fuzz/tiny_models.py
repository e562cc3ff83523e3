"""Valid files that kinds of input start from, each made once per process, and changes to bytes that are no text."""

import random
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog", "eel")
TEXTS = ("", "a\x1b[2Jb", "../../etc/passwd", "x" * 100_000, "\ud800", "é\0b", "__import__('os').system('touch owned')")


@lru_cache(maxsize=1)
def network() -> Any:
    """A few thousand weights; 16 px, one channel, three classes."""
    from ridgepoint.arch.document import parse_network

    uib = {"block": "uib", "start_kernel": 3, "middle_kernel": 3, "expand_ratio": 2, "out_channels": 8}
    return parse_network(
        {
            "name": "tiny",
            "input": [1, 16, 16],
            "num_classes": len(CLASSES),
            "stem": [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": 8}],
            "stages": [{"blocks": [uib]}],
            "head": {"head": "pooled", "conv_channels": 16},
        },
        source="tiny",
    )


@lru_cache(maxsize=1)
def module() -> Any:
    """The network with fresh weights, in eval mode."""
    from ridgepoint.nn.build import build

    return build(network()).eval()


@lru_cache(maxsize=1)
def artefact_files() -> dict[str, bytes]:
    """The files of a folder with the network as an ONNX file, as a program, and what is told of both."""
    from ridgepoint.data import Preprocessing
    from ridgepoint.deploy.export import export_artefact

    about = Preprocessing(height=16, width=16, channels=1, resize=16, mean=(0.5,), std=(0.5,))
    with tempfile.TemporaryDirectory() as folder:
        for name, runtime in (("m.onnx", "onnxruntime"), ("m.pt2", "torch")):
            told = {"network": network(), "preprocessing": about, "labels": CLASSES, "runtime": runtime}
            export_artefact(module(), Path(folder, name), **told)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def onnx_bytes() -> bytes:
    """As `ridgepoint export` writes it."""
    return artefact_files()["m.onnx"]


@lru_cache(maxsize=1)
def program_bytes() -> bytes:
    """A `.pt2` file as `bench` writes it."""
    from ridgepoint.deploy.export import export_for_timing

    return _written(".pt2", lambda path: export_for_timing(module(), network().input_shape, path, "torch"))


def _written(suffix: str, write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"m{suffix}"
        write(path)
        return path.read_bytes()


def image(path: Path, seed: int = 0) -> Path:
    """A grey image of 16 px."""
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16), np.uint8)).save(path)
    return path


def mutated_bytes(rng: random.Random, content: bytes) -> bytes:
    """Flipped, cut, repeated, moved or overwritten in a few places."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        if not found:
            break
        at, size = rng.randrange(len(found)), rng.choice((1, 1, 2, 4, 8, 100))
        kind = rng.randrange(6)
        if kind == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            found[at : at + size] = rng.randbytes(size)
        elif kind == 2:
            del found[at : at + size]
        elif kind == 3:
            found[at:at] = found[at : at + size] * rng.choice((1, 2, 50))
        elif kind == 4:
            found[at : at + size] = rng.choice((b"\xff", b"\0")) * size
        else:
            del found[at:]
    return bytes(found)
