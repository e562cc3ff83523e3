"""Peak memory of a session, in a process of its own.

The process imports the runtime, notes its resident set, loads the file, runs it and tells by how much its peak was
higher: weights, buffers and what loading needs for a while, and not the runtime's own code.
"""

import subprocess
import sys
from pathlib import Path

from ridgepoint.deploy.measure import example_image
from ridgepoint.deploy.runtimes import find_runtime, open_session

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RUNS = 3


def peak_memory_bytes(path: Path, *, runtime: str, threads: int) -> int | None:
    """By how many bytes a process grows that loads a file and runs it; None where the system does not tell."""
    if not _CLEAR.exists():
        return None
    command = [sys.executable, "-m", __name__, str(path), runtime, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


def _growth(path: Path, runtime: str, threads: int) -> int:
    find_runtime(runtime).session_class()  # imports it
    _CLEAR.write_text("5")  # the peak so far is forgotten
    before = _status("VmRSS")
    session = open_session(path, runtime=runtime, threads=threads)
    image = example_image(session)
    for _ in range(_RUNS):
        session.run(image)
    return _status("VmHWM") - before


def _status(key: str) -> int:
    """A size of this process, in bytes."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    print(_growth(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
