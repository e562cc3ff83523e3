"""What others published of networks: counts, accuracies and latencies, with sources. None of it was measured here.

Counts and accuracies stand in the network's own file in `zoo/`, under `published`. Rows of one network differ in
training, device and protocol: never compare milliseconds of two sources. The latencies of MobileNetV4's Table 6, to
which rooflines are fitted, are in `ridgepoint.cost.published`.
"""

import csv
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

RESULTS = Path(__file__).parent / "results"

Total = Annotated[int, msgspec.Meta(ge=1)]
_MORE = ("distilled", "ImageNet-12k", "ImageNet-22k")  # in words of a training
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class PublishedTop1(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """ImageNet-1k top-1 in percent at a square input of `size` pixels, after the `training` named."""

    value: Percent
    size: Total
    training: str
    source: str

    @property
    def by_labels(self) -> bool:
        """Whether ImageNet-1k's labels alone taught it: no teacher, no further images."""
        return not any(word in self.training for word in _MORE)


class Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a network beside its structure; what is not known is absent.

    `params` and `macs` are those of the train form at the network's own input, as two other implementations count them;
    `macs_m`, in millions, stands instead where only a rounded figure is known. A `rival` is one that a found network
    has to beat.
    """

    params: Total | None = None
    macs: Total | None = None
    macs_m: float | None = None
    deploy_params: Total | None = None
    deploy_macs: Total | None = None
    rival: bool = False
    top1: tuple[PublishedTop1, ...] = ()


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


def published_latencies(network: str) -> tuple[PublishedLatency, ...]:
    """All published latencies of a network, by zoo name; empty where none is known."""
    return tuple(row for row in _latencies() if row.network == network)


@lru_cache(maxsize=1)
def _latencies() -> tuple[PublishedLatency, ...]:
    with (RESULTS / "latency.csv").open(encoding="utf-8", newline="") as file:
        return msgspec.convert(list(csv.DictReader(file)), tuple[PublishedLatency, ...], strict=False)
