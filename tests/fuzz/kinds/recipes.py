"""Recipes and `--set` values, changed at random; data that are not there end what is accepted before it trains."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import mutate
import yaml
from harness import Case

from ridgepoint.train.recipe import RECIPES

KEYS = (
    "epochs", "batch_size", "repeats", "optimizer", "optimizer.kind", "optimizer.lr", "optimizer.betas", "schedule",
    "schedule.kind", "schedule.at", "schedule.warmup", "weight_decay", "weight_decay.start", "clip", "clip.most", "ema",
    "ema.decay", "norm", "norm.eps", "augmentation", "augmentation.policy", "mixing", "mixing.mixup", "curriculum",
    "undecayed", "precision", "compile", "name", "search", "search.x", "search.reward.kind", "a.b.c", "", ".", "..",
    "x" * 300,
)  # fmt: skip
TEXTS = (
    "1/" + "9" * 5000, "9" * 5000, "{a: " * 900, "[" * 100_000, "\ud800", "&q [*q]", "!!python/name:os.system",
    "1:30", "2001-99-99", ".inf", "nan", "{kind: sgd, kind: adamw}", "{kind: step, at: [1/2, 1/0]}", "[1, [2]]",
    "x" * 100_000, "{" + "a: 1, " * 5 + "}", "a: b: c", "|", "- 1", "'", "#", "=", "a=b", "\x1b[31m", "cosine", "0.1",
)  # fmt: skip


@cache
def _recipes() -> list[Any]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RECIPES.glob("*.yaml"))]


def make(rng: random.Random, folder: Path) -> Case:
    """A changed recipe, or up to three settings."""
    words = [*rng.choice((("train", "mobileone_s0", "no-data"), ("fit", "no-data", "--latency", "5ms")))]
    if rng.random() < 0.5:
        name = rng.choice(("mine.yaml", "mine.yml"))
        (folder / name).write_bytes(mutate.document(rng, rng.choice(_recipes())))
        words += ["--recipe", name]
    for _ in range(rng.randrange(4) if len(words) > 4 else rng.randrange(1, 4)):
        value = rng.choice((*TEXTS, *map(str, mutate.VALUES[:18]), *map(repr, mutate.VALUES[19:])))
        words += ["--set", rng.choice((f"{rng.choice(KEYS)}={value}", f"{rng.choice(KEYS)}={value}", value))]
    return Case(words=words)
