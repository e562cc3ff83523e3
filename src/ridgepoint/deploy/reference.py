"""A network that is clocked beside all others, on every machine the same: it tells how calm the machine is."""

import contextlib
import hashlib
import tempfile
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from ridgepoint.arch.zoo import load
from ridgepoint.cost.host import cpu_name
from ridgepoint.deploy.runtimes import Session, find_runtime, open_session
from ridgepoint.errors import WriteError
from ridgepoint.files import make_folder, write_atomic

# Plain 3x3 and 1x1 convolutions of a few milliseconds slow down as larger networks do; one of less than a millisecond
# does not.
NETWORK, SIZE = "mobilenetv1_100", 160
ENOUGH_RUNS = 60
KEPT_S = 7 * 24 * 3600.0


class _Calm(msgspec.Struct):
    """The least that the reference took, and when that was, in seconds since 1970."""

    ms: float
    at: float


class Reference:
    """A session that remembers how fast it runs when this machine is calm, from one process to the next.

    Args:
        session: The reference network, loaded.
        path: Where it remembers.
    """

    def __init__(self, session: Session, path: Path):
        self.session, self.path = session, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def calm_ms(self, ms: float, runs: int) -> float:
        """The reference's time on the calm machine: the least of a week, this one included.

        Args:
            ms: What it took now.
            runs: How many runs tell that; a few do not change what is remembered.
        """
        known = self._remembered()
        if known is not None and (known.ms <= ms or runs < ENOUGH_RUNS):
            return known.ms
        if runs >= ENOUGH_RUNS:
            with contextlib.suppress(WriteError):  # without a place to remember, this process's time is all there is
                make_folder(self.path.parent)
                write_atomic(self.path, msgspec.json.encode(_Calm(ms, time.time())))
        return ms

    def _remembered(self) -> _Calm | None:
        try:
            known = msgspec.json.decode(self.path.read_bytes(), type=_Calm)
        except (OSError, msgspec.MsgspecError):
            return None
        return known if known.ms > 0 and time.time() - known.at < KEPT_S else None


@lru_cache(maxsize=4)
def reference_session(runtime: str, threads: int) -> Session:
    """The reference network in a runtime, exported and loaded once per process."""
    from ridgepoint.deploy.export import export_for_timing
    from ridgepoint.nn.build import build

    network = load(NETWORK).at(height=SIZE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"reference{find_runtime(runtime).suffix}"
        export_for_timing(build(network), network.input_shape, path, runtime)
        session = open_session(path, runtime=runtime, threads=threads)
    digest = hashlib.sha256(cpu_name().encode()).hexdigest()[:10]
    name = f"{runtime}-{session.version}-t{threads}-{digest}.json"
    return Reference(session, platformdirs.user_cache_path("ridgepoint") / "reference" / name)
