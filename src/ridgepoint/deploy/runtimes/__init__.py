"""Runtimes that an artefact can be run on, one file each, behind one contract: `runtime.Runtime`.

Those of other packages join by an entry point of the group `ridgepoint.runtimes`: its name is the runtime's, its value
`module:Class`.
"""

import contextlib
import importlib
import os
import sys
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from ridgepoint.errors import InputError, nearest, shown

if TYPE_CHECKING:
    from ridgepoint.deploy.runtimes.runtime import Runtime
    from ridgepoint.deploy.runtimes.session import Session

GROUP = "ridgepoint.runtimes"
DEFAULT = "onnxruntime"
RUNTIMES = {
    "onnxruntime": "ridgepoint.deploy.runtimes.onnxruntime:OnnxRuntime",
    "torch": "ridgepoint.deploy.runtimes.torch:Torch",
    "torch_compile": "ridgepoint.deploy.runtimes.torch_compile:TorchCompile",
    "openvino": "ridgepoint.deploy.runtimes.openvino:OpenVino",
    "litert": "ridgepoint.deploy.runtimes.litert:LiteRt",
    "executorch": "ridgepoint.deploy.runtimes.executorch:ExecuTorch",
    "ncnn": "ridgepoint.deploy.runtimes.ncnn:Ncnn",
    "coreml": "ridgepoint.deploy.runtimes.coreml:CoreMl",
}
"""Where each is; ours go before others of the same name, and before each other where several load a file."""


def list_runtimes() -> dict[str, str]:
    """Where every runtime is, by its name: ours, then those of other packages."""
    return RUNTIMES | {name: place for name, place in _of_others(tuple(sys.path)).items() if name not in RUNTIMES}


def find_runtime(name: str, *, here: bool = True) -> "Runtime":
    """The runtime of a name, which works here.

    Args:
        name: Its name.
        here: Whether it has to work here; otherwise only what is known of its files is asked for.

    Raises:
        InputError: If it is unknown, cannot be imported, or lacks something.
    """
    known = list_runtimes()
    if name not in known:
        raise InputError(f"unknown runtime '{name}'; {nearest(name, known)}")
    found = _made(known[name])
    if here and (why := found.missing()) is not None:
        raise InputError(f"runtime '{name}' {why}")
    return found


def runtimes_for(path: Path) -> list[str]:
    """The runtimes that load files of a name like this, whether they work here or not."""
    return [found.name for found in _every() if found.suffix == path.suffix]


def formats() -> dict[str, "Runtime"]:
    """What files can be, by their names' endings without the dot, and the first runtime that writes each."""
    found: dict[str, Runtime] = {}
    for each in _every():
        found.setdefault(each.suffix.removeprefix("."), each)
    return found


def model_file(runtime: str = DEFAULT) -> str:
    """What a run's own artefact is called.

    Raises:
        InputError: If the runtime is unknown or cannot work here.
    """
    return f"model{find_runtime(runtime).suffix}"


def open_session(path: Path, *, runtime: str = DEFAULT, threads: int = 1, pinned: bool = True) -> "Session":
    """Load an artefact.

    Args:
        path: The file.
        runtime: The runtime that loads it.
        threads: Threads inside one run.
        pinned: Give each thread a core of its own, as the clock needs it.

    Raises:
        InputError: If the runtime is unknown, the machine has fewer processors, or the file cannot be loaded.
    """
    found = find_runtime(runtime)
    if threads > (processors := os.cpu_count() or threads):
        raise InputError(
            f"{threads} threads are more than the {processors} processors here: give at most --threads {processors}"
        )
    if path.suffix != found.suffix and (fitting := runtimes_for(path)):
        raise InputError(f"{path}: runtime '{runtime}' loads {found.suffix} files. Allowed: {', '.join(fitting)}")
    return found.open(path, threads=threads, pinned=pinned)


def _every() -> list["Runtime"]:
    """All runtimes; one of another package that cannot be imported is found where it is asked for by name."""
    found = []
    for place in list_runtimes().values():
        with contextlib.suppress(InputError):
            found.append(_made(place))
    return found


@lru_cache(maxsize=32)
def _made(place: str) -> "Runtime":
    module, _, kind = place.partition(":")
    try:
        found: Runtime = getattr(importlib.import_module(module), kind)()
    except Exception as error:  # another package's code, which can fail in every way
        raise InputError(
            f"the runtime at {shown(place)} cannot be imported ({type(error).__name__}: {error}). Install its package "
            "again, or remove it"
        ) from None
    return found


@lru_cache(maxsize=1)
def _of_others(path: tuple[str, ...]) -> dict[str, str]:
    """The entry points of installed packages; they are looked for again where Python's own path has changed."""
    return {point.name: point.value for point in entry_points(group=GROUP)}
