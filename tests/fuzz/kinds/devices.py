"""Device files, changed at random, for `cost --device`."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import mutate
import yaml
from harness import Case

from ridgepoint.cost.device import DEVICES


@cache
def _devices() -> list[Any]:
    plain = {"name": "mine", "source": "a data sheet"}
    own = [
        {**plain, "peak_macs_per_s": 60e9, "bandwidth_bytes_per_s": 8e9, "interval": [0.5, 2.0]},
        {**plain, "ridge_point": 7.5},
        {**plain, "ridge_point": 7.5, "bandwidth_bytes_per_s": 8e9, "overhead_ms": 0.1, "pass_overhead_us": 3.0},
        {
            **plain,
            "ridge_point": 7.5,
            "bandwidth_bytes_per_s": 8e9,
            "depthwise_ns_per_mac": 0.05,
            "large_depthwise_ns_per_mac": 0.9,
        },
    ]
    return own + [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(DEVICES.glob("*.yaml"))]


def make(rng: random.Random, folder: Path) -> Case:
    """One changed device."""
    name = rng.choice(("device.yaml", "device.json"))
    (folder / name).write_bytes(mutate.document(rng, rng.choice(_devices()), as_json=name.endswith("json")))
    extra = rng.choice(((), ("--json",), ("--layers",), ("--blocks", "--precision", "int8"), ("--form", "train")))
    return Case(words=("cost", "mobileone_s0", "--device", name, *extra), names="device")
