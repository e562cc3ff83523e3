"""Networks that are clocked beside all others, on every machine the same: they tell how calm the machine is.

One is small and stays in the caches, one streams its weights, one does both for milliseconds. What slows all of them
alike (the processor's frequency, a host that runs others) slows every network alike and can be divided out. Where they
disagree, others use the memory or the caches, and nobody can tell by how much a network suffers from that.
"""

import contextlib
import math
import tempfile
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec
import platformdirs

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import scale_width
from ridgepoint.arch.zoo import load
from ridgepoint.deploy.places.place import LOCAL, Place
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.deploy.timing import BUSY, LEAST_SHARE, Slowdown, Timing
from ridgepoint.errors import InputError, WriteError
from ridgepoint.files import make_folder, read_file, write_atomic

ENOUGH_RUNS = 24
KEPT_S = 7 * 24 * 3600.0
LIMIT_BYTES = 10_000


class _Calm(msgspec.Struct):
    """What the references took when all together took least, and when that was, in seconds since 1970."""

    ms: tuple[float, ...]
    at: float


class References:
    """Sessions that remember how fast they run when this machine is calm, from one process to the next.

    Args:
        sessions: The reference networks, loaded.
        path: Where they remember.
    """

    def __init__(self, sessions: Sequence[Session], path: Path):
        self.sessions, self.path = tuple(sessions), path

    @property
    def known(self) -> bool:
        """Whether the calm machine was seen within a week, or there is nothing to see it by."""
        return not self.sessions or self._remembered() is not None

    def slowdown(self, timings: Sequence[Timing], *, load: float) -> Slowdown:
        """How much slower than on the calm machine they ran; the calmest moment of a week counts, this one included.

        Args:
            timings: Each one's times now. A few runs, or a busy machine, do not change what is remembered.
            load: The share of all processors that others kept busy meanwhile.
        """
        if not self.sessions:
            return Slowdown()
        ms = tuple(timing.ms for timing in timings)
        undisturbed = min(timing.undisturbed for timing in timings) >= LEAST_SHARE
        calm = undisturbed and load < BUSY and min(timing.runs for timing in timings) >= ENOUGH_RUNS
        known = self._remembered()
        if calm and (known is None or math.prod(ms) < math.prod(known)):
            with contextlib.suppress(WriteError):  # without a place to remember, this process's time is all there is
                make_folder(self.path.parent)
                write_atomic(self.path, msgspec.json.encode(_Calm(ms, time.time())))
            known = ms
        slowdowns = [now / then for now, then in zip(ms, known or ms, strict=True)]
        return Slowdown(min(slowdowns), max(slowdowns), known is not None)

    def _remembered(self) -> tuple[float, ...] | None:
        try:
            known = msgspec.json.decode(read_file(self.path, limit_bytes=LIMIT_BYTES), type=_Calm)
        except (InputError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        usable = len(known.ms) == len(self.sessions) and all(0 < ms < math.inf for ms in known.ms)
        return known.ms if usable and 0 <= time.time() - known.at < KEPT_S else None


def networks() -> tuple[Network, ...]:
    """The reference networks: plain 3x3 and 1x1 convolutions, which every runtime has kernels for."""
    large = load("mobilenetv1_100")
    return scale_width(large, 0.25).at(height=96), large.at(height=32), large.at(height=128)


@lru_cache(maxsize=4)
def references(runtime: str, threads: int, place: Place = LOCAL) -> References:
    """The reference networks in a runtime, exported and loaded once per process; none where nothing runs beside."""
    from ridgepoint.deploy.export import export_for_timing
    from ridgepoint.nn.build import build

    sessions = []
    with tempfile.TemporaryDirectory() as folder:
        for index, network in enumerate(() if place.bare else networks()):
            path = Path(folder) / f"reference{index}{find_runtime(runtime).suffix}"
            export_for_timing(build(network), network.input_shape, path, runtime)
            sessions.append(place.open(path, runtime=runtime, threads=threads))
    name = Path(place.conditions(runtime, threads).file_name())
    return References(sessions, _folder() / f"{name.stem}-{len(sessions)}{name.suffix}")


def reference_files() -> list[Path]:
    """Where the references of all runtimes and numbers of threads remember."""
    return sorted(_folder().glob("*.json"))


def _folder() -> Path:
    return platformdirs.user_cache_path("ridgepoint") / "reference"
