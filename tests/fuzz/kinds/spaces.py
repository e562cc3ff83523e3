"""Search spaces that come with the package, changed at random, for `show`."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import mutate
import yaml
from harness import Case

from ridgepoint.arch.zoo import SPACES


@cache
def _spaces() -> list[Any]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(SPACES.glob("*.yaml"))]


def make(rng: random.Random, folder: Path) -> Case:
    """One changed space."""
    name = rng.choice(("space.yaml", "space.yaml", "space.json"))
    (folder / name).write_bytes(mutate.document(rng, rng.choice(_spaces()), as_json=name.endswith("json")))
    words = rng.choice((("show", name), ("show", name, "--json"), ("show", name, "--svg", "space.svg")))
    return Case(words=words, names="space")
