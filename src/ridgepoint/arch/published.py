"""What others published: accuracies and latencies per network, each row with its source. None of it was measured here.

Rows of one network differ in training, device and protocol: never compare milliseconds of two sources. The latencies of
MobileNetV4's Table 6, to which rooflines are fitted, are in `ridgepoint.cost.published`.
"""

import csv
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

RESULTS = Path(__file__).parent / "results"


class PublishedAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """ImageNet-1k top-1 in percent of a zoo network at a square input of `size` pixels, after the `training` named."""

    network: str
    size: int
    top1: float
    training: str
    source: str
    kind: Literal["published"] = "published"


class PublishedLatency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds for one image of a zoo network on a device, as printed by the source."""

    network: str
    size: int
    device: str
    runtime: str
    precision: str
    ms: float
    source: str
    kind: Literal["published"] = "published"


def published_accuracies(network: str) -> tuple[PublishedAccuracy, ...]:
    """All published accuracies of a network, by zoo name; empty where none is known."""
    return tuple(row for row in _accuracies() if row.network == network)


def published_latencies(network: str) -> tuple[PublishedLatency, ...]:
    """All published latencies of a network, by zoo name; empty where none is known."""
    return tuple(row for row in _latencies() if row.network == network)


@lru_cache(maxsize=1)
def _accuracies() -> tuple[PublishedAccuracy, ...]:
    return msgspec.convert(_rows("accuracy.csv"), tuple[PublishedAccuracy, ...], strict=False)


@lru_cache(maxsize=1)
def _latencies() -> tuple[PublishedLatency, ...]:
    return msgspec.convert(_rows("latency.csv"), tuple[PublishedLatency, ...], strict=False)


def _rows(name: str) -> list[dict[str, str]]:
    with (RESULTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
