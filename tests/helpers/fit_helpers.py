"""Fits of the digits that take seconds: a space of small networks, few epochs, run as a command that can be killed."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import onnx
from forks import Command

SPACE_FILE = Path(__file__).with_name("tiny.yaml")
SPACE = SPACE_FILE.read_text()
BUDGET = "0.5ms"
PROGRAM = [sys.executable, "-m", "ridgepoint"]


def command(run: Path, *more: str) -> list[str]:
    """The command line of a fit."""
    return [
        *PROGRAM, "fit", "digits", "--latency", BUDGET, "--size", "16", "--space", str(SPACE_FILE), "--out", str(run),
        "--busy", *more,
    ]  # fmt: skip


COUNTED = ("--evaluations", "3", "--set", "epochs=2", "--set", "short_epochs=1", "--baselines", "0", "--seed", "5")


def start(words: list[str], changes: Mapping[str, object] | None = None) -> Command:
    """A command line under way; as a fork of one that has loaded what its first words name."""
    assert words[:3] == PROGRAM
    return Command(words[3:], changes=changes)


def finish(words: list[str], changes: Mapping[str, object] | None = None) -> str:
    """Run to the end; what was written to stderr."""
    process = start(words, changes)
    _, told = process.communicate(timeout=400)
    assert process.returncode == 0, told
    return told


def kill_when(
    words: list[str], run: Path, pattern: str, delay_s: float, changes: Mapping[str, object] | None = None
) -> None:
    """SIGKILL a command some time after a file that matches has appeared in its run folder."""
    process = start(words, changes)
    while not any(run.glob(pattern)):
        assert process.poll() is None, f"ended before {pattern} was there: {process.communicate()[1]}"
        time.sleep(0.002)
    time.sleep(delay_s)
    process.kill()
    process.communicate()


def initialisers(path: Path) -> dict[str, bytes]:
    return {tensor.name: tensor.SerializeToString() for tensor in onnx.load(path).graph.initializer}
