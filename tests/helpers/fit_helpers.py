"""Fits of the digits that take seconds: a space of small networks, few epochs, run as a command that can be killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import onnx

# Every network of it is far below the budget, so that no measurement decides anything.
SPACE = """
name: tiny
input: [1, 16, 16]
stem:
  - {block: conv, kernel: 3, stride: 2, out_channels: {choice: [8, 16]}}
stages:
  - depth: {choice: [1, 2]}
    blocks:
      - {block: uib, start_kernel: {choice: [0, 3]}, middle_kernel: 3, expand_ratio: 2, stride: 2, out_channels: 24}
      - {block: uib, start_kernel: 0, middle_kernel: {choice: [3, 5]}, expand_ratio: {choice: [2, 3]}, out_channels: 24}
head: {head: pooled, conv_channels: {choice: [32, 48, 64]}}
"""
BUDGET = "0.5ms"


def command(folder: Path, run: Path, table: Path, *more: str) -> list[str]:
    """The command line of a fit; the space's file is written into the folder."""
    space = folder / "tiny.yaml"
    space.write_text(SPACE)
    return [
        sys.executable, "-m", "ridgepoint", "fit", "digits", "--latency", BUDGET, "--size", "16",
        "--space", str(space), "--table", str(table), "--out", str(run), "--busy", *more,
    ]  # fmt: skip


COUNTED = ("--evaluations", "3", "--set", "epochs=2", "--set", "short_epochs=1", "--baselines", "1", "--seed", "5")


def start(words: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)


def finish(words: list[str], *, may_miss: bool = False) -> str:
    """Run to the end; what was written to stderr. A budget may be missed where the clock has the last word."""
    process = start(words)
    _, told = process.communicate(timeout=400)
    missed = may_miss and process.returncode == 3
    assert missed or process.returncode == 0, told
    return told


def kill_when(words: list[str], run: Path, pattern: str, delay_s: float) -> None:
    """SIGKILL a command some time after a file that matches has appeared in its run folder."""
    process = start(words)
    while not any(run.glob(pattern)):
        assert process.poll() is None, f"ended before {pattern} was there: {process.communicate()[1]}"
        time.sleep(0.002)
    time.sleep(delay_s)
    process.kill()
    process.communicate()


def initialisers(path: Path) -> dict[str, bytes]:
    return {tensor.name: tensor.SerializeToString() for tensor in onnx.load(path).graph.initializer}
