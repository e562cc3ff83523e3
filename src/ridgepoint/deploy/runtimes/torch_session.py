"""Sessions of PyTorch eager: an exported program, run operator by operator in inference mode."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from ridgepoint.deploy.cores import choose_cores
from ridgepoint.deploy.runtimes.program import LARGEST_BYTES, load_program
from ridgepoint.deploy.runtimes.session import OperatorTime, Session, first_line
from ridgepoint.errors import InputError
from ridgepoint.files import check_regular
from ridgepoint.filetype import mistaken


class TorchSession(Session):
    """A `.pt2` file loaded for a given number of threads.

    Torch's number of threads is one setting for the whole process: a run sets it and puts back what it found. Only a
    single thread is pinned: more belong to a pool that the process shares.
    """

    runtime = "torch"
    version = version("torch")

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        super().__init__(path, threads=threads, pinned=pinned)
        program = _load(path)
        (image,), _ = program.example_inputs
        self.input_shape = tuple(image.shape[1:])
        self.cores = choose_cores(1) if pinned and threads == 1 else ()
        with _using(threads):
            self._call = self._prepare(program.module(check_guards=False), image[:1])

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """Logits; a program is exported for batch 1 and run once per image."""
        try:
            with _using(self.threads):
                logits = [self._call(image).numpy() for image in torch.from_numpy(x_BCHW).split(1)]
        except Exception as error:  # operators refuse sizes and types each in its own way
            raise InputError(f"{self.path}: PyTorch cannot run it: {first_line(error)}") from None
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    @classmethod
    def profile(cls, path: Path, x_BCHW: np.ndarray, *, threads: int, runs: int) -> list[OperatorTime]:
        """Mean own time of each kind of operator, by torch's profiler; the first run is left out."""
        session = cls(path, threads=threads, pinned=True)
        session.run(x_BCHW)
        with torch.autograd.profiler.profile(use_kineto=False) as profiler:  # kineto writes to stderr, unasked
            for _ in range(runs):
                session.run(x_BCHW)
        found = [
            OperatorTime(row.key, row.count / runs, row.self_cpu_time_total / runs / 1e3)
            for row in profiler.key_averages()
        ]
        return sorted(found, key=lambda operator: -operator.ms)

    def _prepare(self, module: torch.nn.Module, image: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        return module


def _load(path: Path) -> torch.export.ExportedProgram:
    check_regular(path, limit_bytes=LARGEST_BYTES)
    if words := mistaken(path):
        raise InputError(f"{path}: {words}")
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # torch logs the traceback of what is told below in one line
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = load_program(path)
    except InputError:
        raise
    except Exception as error:  # an archive can be broken in every place that the reader touches
        raise InputError(f"{path}: PyTorch cannot load it as an exported program: {first_line(error)}") from None
    finally:
        logger.setLevel(level)
    if len(given := program.graph_signature.user_outputs) != 1:
        raise InputError(f"{path}: gives {len(given)} outputs. Allowed: one tensor, of logits")
    return program


@contextlib.contextmanager
def _using(threads: int) -> Iterator[None]:
    found = torch.get_num_threads()
    if found != threads:
        torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        if found != threads:
            torch.set_num_threads(found)
