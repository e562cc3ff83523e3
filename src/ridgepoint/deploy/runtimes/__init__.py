"""Runtimes that an exported file can be run on, one file each, behind one small interface."""

import shutil
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np

from ridgepoint.errors import InputError, nearest


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
    input_shape: tuple[int, ...]
    metadata: dict[str, str]

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """Logits, (B, num_classes), for float32 images."""
        ...


@dataclass(frozen=True)
class Runtime:
    """Where a runtime's session is, and what it loads.

    Attributes:
        session: Module and class, imported when a file is opened.
        package: The installed package whose version tells the runtime's.
        suffix: Of the files that it loads.
        needs: Programs that must be on the path, and what they are for.
    """

    session: tuple[str, str]
    package: str
    suffix: str
    needs: tuple[tuple[str, str], ...] = ()


RUNTIMES = {
    "onnxruntime": Runtime(("onnxruntime", "OnnxRuntimeSession"), "onnxruntime", ".onnx"),
    "torch": Runtime(("torch", "TorchSession"), "torch", ".pt2"),
    "torch_compile": Runtime(
        ("torch_compile", "CompiledSession"), "torch", ".pt2", (("g++", "torch.compile builds C++ for the processor"),)
    ),
}


def find_runtime(runtime: str) -> Runtime:
    """The runtime of a name.

    Raises:
        InputError: If it is unknown, or needs a program that is not there.
    """
    if runtime not in RUNTIMES:
        raise InputError(f"unknown runtime '{runtime}'; {nearest(runtime, RUNTIMES)}")
    found = RUNTIMES[runtime]
    for program, purpose in found.needs:
        if shutil.which(program) is None:
            raise InputError(f"runtime '{runtime}' needs {program}, which is not on the path: {purpose}. Install it")
    return found


def open_session(path: Path, *, runtime: str = "onnxruntime", threads: int = 1) -> Session:
    """Load an artefact.

    Raises:
        InputError: If the runtime is unknown or the file cannot be loaded.
    """
    found = find_runtime(runtime)
    if path.suffix != found.suffix and path.suffix in {other.suffix for other in RUNTIMES.values()}:
        fitting = [name for name, other in RUNTIMES.items() if other.suffix == path.suffix]
        raise InputError(f"{path}: runtime '{runtime}' loads {found.suffix} files. Allowed: {', '.join(fitting)}")
    module, name = found.session
    return getattr(import_module(f"{__name__}.{module}"), name)(path, threads=threads)


def runtime_version(runtime: str) -> str:
    """The installed version of a runtime.

    Raises:
        InputError: If the runtime is unknown or cannot work here.
    """
    return version(find_runtime(runtime).package)
