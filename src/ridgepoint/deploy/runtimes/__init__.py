"""Runtimes that an exported file can be run on, one file each, behind one small interface."""

import re
import shutil
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np

from ridgepoint.errors import InputError, nearest


@dataclass(frozen=True)
class OperatorTime:
    """What one kind of operator takes in a run: how often it is called, and milliseconds in all."""

    operator: str
    calls: float
    ms: float


class Session(Protocol):
    """A loaded artefact.

    Attributes:
        path: The file.
        runtime: The runtime's name.
        version: Its version.
        threads: Threads inside one run, the caller's among them.
        cores: Where they belong, the caller's first; nothing if they are not pinned.
        input_shape: (channels, height, width).
        metadata: Text by key, as written at export.
    """

    path: Path
    runtime: str
    version: str
    threads: int
    cores: tuple[int, ...]
    input_shape: tuple[int, ...]
    metadata: dict[str, str]

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """Logits, (B, num_classes), for float32 images.

        Raises:
            InputError: If the runtime cannot run the file on them.
        """
        ...

    @classmethod
    def profile(cls, path: Path, x_BCHW: np.ndarray, *, threads: int, runs: int) -> list[OperatorTime]:
        """Where the time of a run goes, the most first, as the runtime's own profiler tells it."""
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


def session_class(runtime: str) -> type[Session]:
    """The class of a runtime's sessions; imports the runtime.

    Raises:
        InputError: If the runtime is unknown or cannot work here.
    """
    module, name = find_runtime(runtime).session
    return getattr(import_module(f"{__name__}.{module}"), name)


def open_session(path: Path, *, runtime: str = "onnxruntime", threads: int = 1, pinned: bool = True) -> Session:
    """Load an artefact.

    Args:
        path: The file.
        runtime: The runtime that loads it.
        threads: Threads inside one run.
        pinned: Give each thread a core of its own, as the clock needs it.

    Raises:
        InputError: If the runtime is unknown or the file cannot be loaded.
    """
    suffix = find_runtime(runtime).suffix
    if path.suffix != suffix and path.suffix in {other.suffix for other in RUNTIMES.values()}:
        fitting = ", ".join(runtimes_for(path))
        raise InputError(f"{path}: runtime '{runtime}' loads {suffix} files. Allowed: {fitting}")
    return session_class(runtime)(path, threads=threads, pinned=pinned)


def artefact_bytes(path: Path) -> int:
    """Bytes of an exported file, with the weights that lie in files beside it.

    Raises:
        InputError: If a file that belongs to it is missing.
    """
    from ridgepoint.deploy.runtimes.onnx_file import read_onnx

    beside = read_onnx(path).beside if path.suffix == ".onnx" else ()
    return sum(each.stat().st_size for each in (path, *beside))


def runtimes_for(path: Path) -> list[str]:
    """The runtimes that load files of a name like this."""
    return [name for name, runtime in RUNTIMES.items() if runtime.suffix == path.suffix]


def runtime_version(runtime: str) -> str:
    """The installed version of a runtime.

    Raises:
        InputError: If the runtime is unknown or cannot work here.
    """
    return version(find_runtime(runtime).package)


def first_line(error: Exception) -> str:
    """What a runtime's error says first, without the place in the runtime's own source."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    line = re.sub(r"/\S*\.(cc|h|cpp):\d+ ", "", line.rpartition("Status Message: ")[2])
    return re.sub(r"^[\w:*<>& ]+\([^()]*\)( const)? ", "", line)[:200]
