"""Running the real command, in this process where only the answer matters, in another where the process does."""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import numpy as np
from fit_helpers import SPACE_FILE
from forks import Command
from PIL import Image

from ridgepoint.cli.main import main

COMMAND = [sys.executable, "-m", "ridgepoint"]
TINY = (
    "--space", str(SPACE_FILE), "--size", "16", "--evaluations", "1", "--baselines", "0", "--set", "epochs=1",
    "--set", "short_epochs=1", "--busy",
)  # fmt: skip
FIT = ("fit", "digits", "--latency", "50ms", *TINY)


def call(*words: object) -> subprocess.CompletedProcess:
    """The command in this process: exit code, stdout, stderr."""
    arguments = ["ridgepoint", *map(str, words)]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def run(*words: object, cwd: Path | None = None, timeout: float = 240) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    process = Command(words, cwd=cwd)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(["ridgepoint", *map(str, words)], process.returncode or 0, out, err)


def start(*words: object, cwd: Path, changes: Mapping[str, object] | None = None) -> Command:
    """The command under way, which writes to `stderr.txt`; Ctrl-C reaches it even where the tests ignore it."""
    return Command(words, cwd=cwd, stderr=cwd / "stderr.txt", changes=changes)


def wait_until(happened, process: Command, *, seconds: float = 180) -> None:
    """Wait for something that a running command does."""
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, "the command ended first"
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def refused(done: subprocess.CompletedProcess, *told: str, code: int = 2) -> str:
    """Assert one clear message on stderr, nothing on stdout, no traceback; the message."""
    everything = f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == code, everything
    assert "Traceback" not in done.stderr, everything
    assert done.stdout == "", everything
    starts = [line for line in done.stderr.splitlines() if line.startswith(("ridgepoint: ", "Error: "))]
    assert len(starts) == 1, everything
    message = done.stderr[done.stderr.index(starts[0]) :]
    for part in told:
        assert part in message, everything
    return message


def noise(seed: int, mode: str = "RGB", size: int = 16) -> Image.Image:
    """A random image of any mode."""
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 2**16, (size, size), np.uint16))
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = rng.integers(0, 256, (size, size, bands) if bands > 1 else (size, size), np.uint8)
    if mode in ("P", "1"):
        return Image.fromarray(pixels).convert(mode)
    return Image.frombytes(mode, (size, size), pixels.tobytes())


def folder_of(root: Path, classes: dict[str, int], *, suffix: str = ".jpg") -> Path:
    """Class folders of colour images."""
    for number, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for index in range(count):
            noise(1000 * number + index).save(root / name / f"{index:02}{suffix}")
    return root


@contextlib.contextmanager
def mounted(folder: Path, size_kb: int) -> Iterator[Path]:
    """A small disk of its own; OSError where mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mount(folder, f"size={size_kb}k", "tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(folder: Path, options: str, kind: str | None = None) -> None:
    """Mount a tmpfs, or mount what is there again with other options."""
    words = ["mount", "-t", kind, "-o", options, kind] if kind else ["mount", "-o", options]
    done = subprocess.run([*words, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip())


def fill(folder: Path) -> Path:
    """Take all the space that a disk has left; the file that holds it."""
    filler = folder / ".filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    os.fsync(file.fileno())
    return filler
