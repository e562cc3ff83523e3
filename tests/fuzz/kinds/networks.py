"""Networks of the zoo and variants of them, changed at random, as YAML and JSON, for `show`, `cost` and `sweep`."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import mutate
import yaml
from harness import Case

from ridgepoint.arch.zoo import ZOO


@cache
def _zoo() -> list[Any]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(ZOO.glob("*.yaml"))]


def make(rng: random.Random, folder: Path) -> Case:
    """One changed network."""
    name = rng.choice(("net.yaml", "net.yaml", "net.yml", "net.json"))
    (folder / name).write_bytes(mutate.document(rng, rng.choice(_zoo()), as_json=name.endswith("json")))
    words = rng.choice(
        (
            ("show", name),
            ("show", name, "--json"),
            ("show", name, "--svg", "net.svg"),
            ("cost", name),
            ("cost", name, "--layers", "--blocks", "--device", "pixel6-cpu"),
            ("cost", name, "--json", "--device", "pixel8-edgetpu", "--fused", "block"),
            ("sweep", name, "--json"),
        )
    )
    return Case(words=words, names="net")
