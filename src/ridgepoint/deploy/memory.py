"""Peak memory of a session, in a process of its own.

The process imports the runtime, notes its resident set, loads the file, runs it and tells by how much its peak was
higher: weights, buffers and what loading needs for a while, and not the runtime's own code.
"""

import subprocess
import sys
from pathlib import Path

from ridgepoint.deploy.rounds import example_image
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.system import forget_peak_memory, peak_bytes, resident_bytes, tells_peak_memory

_RUNS = 3


def peak_memory_bytes(path: Path, *, runtime: str, threads: int) -> int | None:
    """By how many bytes a process grows that loads a file and runs it; None where the system does not tell."""
    if not tells_peak_memory():
        return None
    command = [sys.executable, "-m", __name__, str(path), runtime, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


def _growth(path: Path, runtime: str, threads: int) -> int:
    loading = find_runtime(runtime)
    loading.session_class()  # imports it
    forget_peak_memory()
    before = resident_bytes()
    session = loading.open_inside(path, threads=threads)
    image = example_image(session)
    for _ in range(_RUNS):
        session.run(image)
    return peak_bytes() - before


if __name__ == "__main__":
    print(_growth(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
