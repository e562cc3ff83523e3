"""Command lines: verbs, options and values that are misspelt, repeated, empty, huge or of another verb."""

import random
from pathlib import Path

from harness import Case

VERBS = ("show", "cost", "models", "devices", "sweep", "predict", "eval", "export", "report", "nonsense", "")
OPTIONS = (
    "--size",
    "--device",
    "--json",
    "--layers",
    "--latency",
    "--out",
    "--html",
    "--svg",
    "--threads",
    "--zzz",
    "-h",
)
VALUES = (
    "",
    "0",
    "-1",
    "1e9",
    "nan",
    "∞",
    "9" * 5000,
    "mobilenetv3_small_100",
    "pixel6-cpu",
    "a\x1b[2Jb",
    "../..",
    "[bold]",
)


def make(rng: random.Random, folder: Path) -> Case:
    """A verb with up to five options and values in any order."""
    words = [rng.choice(VERBS)]
    for _ in range(rng.randrange(6)):
        words.append(rng.choice(OPTIONS if rng.random() < 0.5 else VALUES))
    return Case(words=words)
