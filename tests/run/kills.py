"""Runs that are killed at random moments, resumed, killed again, and in the end compared with one nobody disturbed.

    python tests/run/kills.py --count 200 --seed 1 --verbs train distill search fit
    python tests/run/kills.py --count 10 --verbs anytime    # fits that open with weights: each has a checked file soon

Every sitting is a fork of a process that has loaded the program but computed nothing: so a kill costs what the fork
did, not the loading of torch. Exit code 0 where all ended bit for bit as undisturbed: weights, metrics, journal, and
the result but for times.
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from fit_helpers import SPACE_FILE
from forks import Command
from photographs import write_photographs

from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.files import is_leftover
from ridgepoint.nn.reach import FOLDER
from ridgepoint.search.study import STUDY_FILE, read_candidates

SMALL = """
name: small
input: [1, 16, 16]
num_classes: 10
stem: [{block: conv, kernel: 3, stride: 2, out_channels: 8}]
stages: [{blocks: [{block: uib, start_kernel: 0, middle_kernel: 3, expand_ratio: 2, stride: 2, out_channels: 16}]}]
head: {head: pooled, conv_channels: 32}
"""
SPACE = """
name: tiny
input: [1, 16, 16]
stem: [{block: conv, kernel: 3, stride: 2, out_channels: {choice: [8, 16]}}]
stages:
  - {blocks: [{block: uib, start_kernel: 0, middle_kernel: {choice: [3, 5]}, expand_ratio: 2, stride: 2,
               out_channels: {choice: [16, 24]}}]}
head: {head: pooled, conv_channels: {choice: [32, 48]}}
"""
QUICK = (
    "--set",
    "epochs=2",
    "--set",
    "short_epochs=1",
    "--evaluations",
    "3",
    "--latency",
    "50ms",
    "--baselines",
    "0",
    "--busy",
)
ANYTIME = (
    "--set",
    "epochs=1",
    "--set",
    "batch_size=16",
    "--evaluations",
    "1",
    "--latency",
    "50ms",
    "--size",
    "64",
    "--baselines",
    "0",
    "--busy",
)
TIMES = {
    "train_s",
    "seconds",
    "at_s",
    "ms",
    "elapsed_s",
    "decoding_ms",
    "wall_s",
    "phases",
    "created",
    "measured_ms",
    "measured_p90_ms",
    "latency",
}
CLOCKED = {"met", "gap", "doubts", "warnings"}  # what a busy machine decides
PLACES = {"run", "report", "architecture", "artefact", "labels", "command", "reproduce"}
LONGEST = 10  # kills of one run


def commands(folder: Path) -> dict[str, tuple[str, ...]]:
    """By verb, a run that takes a second or two; files that it needs go into the folder."""
    small, space, teacher = folder / "small.yaml", folder / "tiny.yaml", folder / "whole" / "train"
    small.write_text(SMALL)
    space.write_text(SPACE)
    common = ("--size", "16", "--seed", "5", "--table", str(folder / "table.json"))
    return {
        "train": ("train", str(small), "digits", "--set", "epochs=4", "--seed", "5"),
        "distill": ("distill", str(small), "digits", "--teacher", str(teacher), "--set", "epochs=2", "--seed", "5"),
        "search": ("search", str(space), "digits", "--method", "evolution", *common, *QUICK),
        "fit": ("fit", "digits", "--space", str(space), *common, *QUICK),
        "anytime": ("fit", str(folder / "photos"), "--space", str(SPACE_FILE), *ANYTIME),
    }


def sitting(words: Sequence[str], log: Path, *, killed_after_s: float | None = None) -> int | None:
    """Run a command in a fork; its exit code, or None where it was killed before it ended."""
    process = Command(words, stderr=log)
    end = math.inf if killed_after_s is None else time.monotonic() + killed_after_s
    while process.poll() is None:
        if time.monotonic() >= end:
            process.kill()
            process.communicate()
            return None
        time.sleep(0.002)
    return process.returncode


def essence(run: Path) -> dict[str, Any]:
    """All of a run that must not depend on when it was killed."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        assert not is_leftover(path), f"{path}: was left by a killed process"
        if path.suffix == ".safetensors":
            found[name] = path.read_bytes()
        elif path.name == "metrics.jsonl":
            found[name] = [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
    result = json.loads((run / "result.json").read_text())
    if result.get("stages"):
        del result["notes"]  # which say when each was there
    found |= _timeless({**result, "name": ""})
    if (run / STUDY_FILE).exists():
        found["journal"] = [_timeless(msgspec.to_builtins(each)) for each in read_candidates(run)]
    return found


def has_file(run: Path) -> bool:
    """Whether a killed fit left a file that was checked and is within the budget; what it left is read.

    Raises:
        AssertionError: If there is a result and no such file.
    """
    if not (run / "result.json").exists() or not (run / "model.onnx").exists():
        return False
    result = json.loads((run / "result.json").read_text())
    assert result["met"] and result["parity"]["top1_agreement"] == 1, f"{run}: the file of a killed fit is not checked"
    load_artefact(run / "model.onnx")
    return True


def _timeless(content: Any) -> Any:
    """JSON without what differs from run to run: times, places, and what was clocked."""
    if isinstance(content, dict) and "artefact" in content and "val" in content:
        return content  # accuracies, the artefact's among them
    if isinstance(content, dict):
        return {key: _timeless(value) for key, value in content.items() if key not in TIMES | CLOCKED | PLACES}
    return [_timeless(each) for each in content] if isinstance(content, list) else content


def kill(count: int, *, seed: int, verbs: Sequence[str], folder: Path) -> Counter[str]:
    """Kill runs of these verbs in turn so many times; the number of kills and of runs by verb.

    Raises:
        AssertionError: If a run ends otherwise than the one that nobody disturbed.
    """
    words, rng, tally = commands(folder), random.Random(seed), Counter[str]()
    if "anytime" in verbs:
        os.environ[FOLDER] = str(write_photographs(folder) / "weights")
    log, whole, lasted = folder / "log.txt", {}, {}
    for verb in dict.fromkeys(["train", *verbs] if "distill" in verbs else verbs):
        started = time.monotonic()
        run = folder / "whole" / verb
        assert sitting([*words[verb], "--out", str(run)], log) == 0, log.read_text()[-2000:]
        lasted[verb], whole[verb] = time.monotonic() - started, essence(run)
    for number, verb in enumerate(itertools.cycle(verbs)):
        left = count - sum(tally[f"{each} killed"] for each in verbs)
        if left <= 0:
            return tally
        run, log = folder / f"{verb}-{number}", folder / f"{verb}-{number}.txt"
        for _ in range(rng.randint(1, min(LONGEST, left))):
            if sitting(_go_on(words[verb], run), log, killed_after_s=rng.uniform(0, 0.7 * lasted[verb])) is not None:
                break
            tally[f"{verb} killed"] += 1
            tally[f"{verb} had a file"] += has_file(run)
        assert sitting(_go_on(words[verb], run), log) == 0, log.read_text()[-2000:]
        found = essence(run)
        differing = [name for name in whole[verb].keys() | found.keys() if whole[verb].get(name) != found.get(name)]
        assert not differing, f"{run}: {', '.join(differing)} differ from those of the run that nobody disturbed"
        tally[f"{verb} runs"] += 1
        shutil.rmtree(run)
    raise AssertionError("no verbs were given")


def _go_on(words: Sequence[str], run: Path) -> list[str]:
    """The command; where something was begun, with --resume."""
    return [*words, "--out", str(run), *(["--resume"] if (run / "settings.json").exists() else [])]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="kills in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbs", nargs="+", default=["train", "distill", "search", "fit"])
    parser.add_argument("--keep", type=Path, help="where the runs go, instead of a temporary folder")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        place = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        tally = kill(given.count, seed=given.seed, verbs=given.verbs, folder=place)
        told = ", ".join(f"{what} {number}" for what, number in sorted(tally.items()))
        print(f"{told}: all ended as undisturbed, in {time.monotonic() - begun:.0f} s")
