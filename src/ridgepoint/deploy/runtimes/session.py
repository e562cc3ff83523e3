"""A loaded artefact, whatever loads it, and what a runtime tells of it."""

from __future__ import annotations

import abc
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ridgepoint.deploy.cores import on_core
from ridgepoint.deploy.turn import Turn
from ridgepoint.errors import InputError

LEAST_RUNS = 3


@dataclass(frozen=True)
class OperatorTime:
    """What one kind of operator takes in a run: how often it is called, and milliseconds in all."""

    operator: str
    calls: float
    ms: float


@dataclass(frozen=True)
class Graph:
    """The operators after the runtime's own fusing, each with the activation that was fused into it, and a digest.

    Equal digests mean equal operators, attributes, weight shapes and wiring.
    """

    operators: dict[str, int]
    digest: str


class Session(abc.ABC):
    """A loaded artefact.

    Attributes:
        runtime: The runtime's name.
        version: Its version.
        path: The artefact.
        threads: Threads inside one run, the caller's among them.
        cores: Where they belong, the caller's first; nothing if they are not pinned.
        input_shape: (channels, height, width), 0 where the file leaves a size open.
        precision: Of the multiplications.
        place: What opened it, where that is no process of this machine.
        answers: Whether a run gives them; where not, opening it has run it once.
        partitions: Into how many parts the runtime cuts the network, as few as one; None where it does not tell.
    """

    runtime: str
    version: str
    cores: tuple[int, ...] = ()
    input_shape: tuple[int, ...]
    precision: str = "float32"
    partitions: int | None = None
    answers: bool = True
    place: object = None

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        """Load an artefact; a session's own class does the loading.

        Raises:
            InputError: If it cannot be loaded.
        """
        self.path, self.threads = path, threads

    @abc.abstractmethod
    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """Logits, (B, num_classes), for float32 images, whatever the file itself wants; any B.

        Raises:
            InputError: If the runtime cannot run the file on them.
        """

    def turn(self, x_BCHW: np.ndarray, *, seconds: float, cores: Sequence[int], lost_s: Callable[[], float]) -> Turn:
        """Milliseconds of single runs; the first one finds the caches full of others' data and is left out.

        Args:
            x_BCHW: What is run.
            seconds: For how long; a few runs are made in any case.
            cores: The calling thread is kept on the first of them.
            lost_s: How many seconds were lost to others so far.
        """
        times: list[float] = []
        with on_core(cores):
            self.run(x_BCHW)
            before_s, began = lost_s(), time.perf_counter()
            while len(times) < LEAST_RUNS or time.perf_counter() < began + seconds:
                start = time.perf_counter()
                self.run(x_BCHW)
                times.append((time.perf_counter() - start) * 1e3)
            lasted_s = time.perf_counter() - began
            return Turn(times, (lost_s() - before_s) / lasted_s if lasted_s else 0.0)

    @classmethod
    def profile(cls, path: Path, x_BCHW: np.ndarray, *, threads: int, runs: int) -> list[OperatorTime]:
        """Where the time of a run goes, the most first, as the runtime's profiler tells it; nothing if it has none."""
        return []


class ImageSession(Session):
    """A session of a runtime that runs one image at a time, known to people by its `title`."""

    title: str

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """See `Session`."""
        try:
            return np.concatenate([self.answer(image) for image in np.ascontiguousarray(x_BCHW)[:, None]])
        except InputError:
            raise
        except Exception as error:  # libraries raise what they like
            raise InputError(f"{self.path}: {self.title} cannot run it: {first_line(error)}") from None

    @abc.abstractmethod
    def answer(self, image_1CHW: np.ndarray) -> np.ndarray:
        """Logits, (1, num_classes), an array that the next call leaves alone."""


def first_line(error: Exception) -> str:
    """What a runtime's error says first, without the place in the runtime's own source."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    line = re.sub(r"/\S*\.(cc|h|cpp):\d+ ", "", line.rpartition("Status Message: ")[2])
    return re.sub(r"^[\w:*<>& ]+\([^()]*\)( const)? ", "", line)[:200]
