"""Runtimes that an exported file can be run on, one file each, behind one small interface."""

from pathlib import Path
from typing import Protocol

import numpy as np

from ridgepoint.errors import InputError, nearest

RUNTIMES = ("onnxruntime",)


class Session(Protocol):
    """A loaded artefact.

    Attributes:
        runtime: The runtime's name.
        version: Its version.
        input_shape: (channels, height, width).
        metadata: Text by key, as written at export.
    """

    runtime: str
    version: str
    input_shape: tuple[int, int, int]
    metadata: dict[str, str]

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """Logits, (B, num_classes), for float32 images."""
        ...


def open_session(path: Path, *, runtime: str = "onnxruntime", threads: int = 1) -> Session:
    """Load an artefact.

    Raises:
        InputError: If the runtime is unknown or the file cannot be loaded.
    """
    if runtime not in RUNTIMES:
        raise InputError(f"unknown runtime '{runtime}'; {nearest(runtime, RUNTIMES)}")
    from ridgepoint.deploy.runtimes.onnxruntime import OnnxRuntimeSession

    return OnnxRuntimeSession(path, threads=threads)


def runtime_version(runtime: str) -> str:
    """The installed version of a runtime.

    Raises:
        InputError: If the runtime is unknown.
    """
    if runtime not in RUNTIMES:
        raise InputError(f"unknown runtime '{runtime}'; {nearest(runtime, RUNTIMES)}")
    from importlib.metadata import version

    return version(runtime)
