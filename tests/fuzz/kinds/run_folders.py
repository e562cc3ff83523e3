"""Run folders of which one file is damaged: its bytes, its structure, its types, or what kind of file it is.

The folders of a finished training and a finished fit are made once. `report`, `export` and `--resume` see a copy, also
one that looks unfinished: what goes on has nothing left to train.
"""

import io
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from cli_helpers import call
from harness import Case
from mutate import document

NETWORK = """
name: small
input: [1, 16, 16]
num_classes: 10
stem: [{block: conv, kernel: 3, stride: 2, out_channels: 8}]
stages: [{blocks: [{block: uib, start_kernel: 0, middle_kernel: 3, expand_ratio: 2, stride: 2, out_channels: 16}]}]
head: {head: pooled, conv_channels: 32}
"""
SPACE = NETWORK.replace("out_channels: 8", "out_channels: {choice: [8, 16]}").replace("num_classes: 10\n", "")
COUNTED = (
    "--latency",
    "50ms",
    "--baselines",
    "0",
    "--evaluations",
    "2",
    "--size",
    "16",
    "--set",
    "short_epochs=1",
    "--busy",
)
ENDS = ("result.json", "training.json")
SQL = (
    "UPDATE trials SET state = {value}",
    "UPDATE trial_values SET value = {value}",
    "UPDATE trial_user_attributes SET value_json = {value}",
    "UPDATE studies SET study_name = {value}",
    "DROP TABLE {table}",
    "DELETE FROM {table}",
)
TABLES = ("trials", "trial_values", "trial_user_attributes", "studies", "study_directions", "alembic_version")
VALUES = ("NULL", "'x'", "3", "'[1]'", "'\"{}\"'", "x'00ff'", "'COMPLETE'", "1e999")


def make(rng: random.Random, folder: Path) -> Case:
    """A copied run with one damaged file, and a command that reads it."""
    templates = _templates(folder.parents[1] / "templates")
    verb = rng.choice(("train", "train", "fit"))
    run = folder / "run"
    shutil.copytree(templates / verb, run)
    unfinished = rng.random() < 0.4
    if unfinished:
        (run / "result.json").unlink()
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.suffix not in (".html", ".png"))
    chosen = rng.choice(files)
    damage(rng, chosen)
    return Case(words=_words(rng, verb, run, templates))


def _words(rng: random.Random, verb: str, run: Path, templates: Path) -> list[object]:
    what = rng.random()
    if what < 0.4:
        return ["report", run]
    if what < 0.5:
        return ["export", run if verb == "train" else next((run / "trainings").iterdir(), run)]
    more = rng.choice(((), (), ("--seed", "1"), ("--set", "epochs=2"), ("--size", "16"), ("--weights", "x.pth")))
    return [*_asked(verb, templates), "--out", run, "--resume", *more]


def _asked(verb: str, templates: Path) -> list[object]:
    if verb == "train":
        return ["train", templates / "small.yaml", "digits", "--set", "epochs=1"]
    space, table = templates / "tiny.yaml", templates / "table.json"
    return ["fit", "digits", "--space", space, "--table", table, "--set", "epochs=1", *COUNTED]


def _templates(folder: Path) -> Path:
    """The folder with finished runs, which the first case of all makes."""
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "small.yaml").write_text(NETWORK)
        (folder / "tiny.yaml").write_text(SPACE)
        for verb in ("train", "fit"):
            done = call(*_asked(verb, folder), "--out", folder / verb)
            assert done.returncode == 0, done.stderr
        (folder / "made").touch()
    return folder


def damage(rng: random.Random, path: Path) -> None:
    """Damage a file; what it is decides how."""
    kinds: list[Callable[[random.Random, Path], object]] = [_bytes, _bytes, _replaced]
    kinds += [_structured] * 7 if path.suffix in (".json", ".jsonl", ".pt", ".db") else []
    rng.choice(kinds)(rng, path)


def _bytes(rng: random.Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content) + 1)
    match rng.randrange(5):
        case 0:
            del content[at:]
        case 1:
            content[at:at] = rng.randbytes(rng.randrange(100))
        case 2:
            content.clear()
        case 3:
            content[:] = rng.choice((b"\xff\xfe", b"null", b"<html>", b"\x80\x04.", b"[" * 100_000, b"0" * 5000))
        case _:
            for _ in range(rng.choice((1, 5, 500)) if content else 0):
                content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)


def _replaced(rng: random.Random, path: Path) -> None:
    path.unlink()
    rng.choice(
        (lambda: None, path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(path), lambda: _zero(path))
    )()


def _zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _structured(rng: random.Random, path: Path) -> None:
    if path.suffix == ".json":
        path.write_bytes(document(rng, json.loads(path.read_bytes()), as_json=True))
    elif path.suffix == ".jsonl":
        lines = path.read_bytes().splitlines()
        at = rng.randrange(len(lines))
        lines[at] = document(rng, json.loads(lines[at]), as_json=True)
        path.write_bytes(b"\n".join(lines))
    elif path.suffix == ".db":
        statement = rng.choice(SQL).format(value=rng.choice(VALUES), table=rng.choice(TABLES))
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement)
    else:
        state: dict[str, Any] = torch.load(path, weights_only=True)
        key = rng.choice(sorted(state))
        strange = (None, -1, 3, 1e300, float("nan"), "x", [], {}, [1], {"a": 1}, torch.zeros(3))
        if isinstance(state[key], dict) and state[key] and rng.random() < 0.7:
            state[key] = {**state[key], rng.choice(sorted(state[key], key=str)): rng.choice(strange)}
        else:
            state[key] = rng.choice(strange)
        whole = io.BytesIO()
        torch.save(state, whole)
        path.write_bytes(whole.getvalue())
