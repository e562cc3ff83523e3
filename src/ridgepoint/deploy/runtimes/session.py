"""A loaded artefact, whatever loads it, and what a runtime tells of it."""

import abc
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np


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
    """

    runtime: str
    version: str
    cores: tuple[int, ...] = ()
    input_shape: tuple[int, ...]
    precision: str = "float32"

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

    @classmethod
    def profile(cls, path: Path, x_BCHW: np.ndarray, *, threads: int, runs: int) -> list[OperatorTime]:
        """Where the time of a run goes, the most first, as the runtime's profiler tells it; nothing if it has none."""
        return []


def first_line(error: Exception) -> str:
    """What a runtime's error says first, without the place in the runtime's own source."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    line = re.sub(r"/\S*\.(cc|h|cpp):\d+ ", "", line.rpartition("Status Message: ")[2])
    return re.sub(r"^[\w:*<>& ]+\([^()]*\)( const)? ", "", line)[:200]
