"""Published latencies and accuracies of networks that the zoo holds: rooflines are fitted to them and tested on them.

Source: MobileNetV4, arXiv:2404.10518 v2, Table 6.
"""

from functools import lru_cache
from pathlib import Path

import msgspec

from ridgepoint.arch.document import read_document
from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import scale_width
from ridgepoint.arch.zoo import load

PUBLISHED = Path(__file__).parent / "published.yaml"
ACCURACY = Path(__file__).parent / "accuracy.yaml"
TABLE = "MobileNetV4, arXiv:2404.10518 v2, Table 6"


class PublishedRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table: a zoo network, or one times a width, and its latency on each device that has one."""

    network: str
    width: float = 1.0
    top1: float
    params_m: float
    macs_g: float
    latency_ms: dict[str, float]

    @property
    def in_zoo(self) -> bool:
        """Whether the zoo holds the network as it is."""
        return self.width == 1.0

    def load(self) -> Network:
        """The network; a width that the zoo does not hold is made from its base."""
        network = load(self.network)
        if self.in_zoo:
            return network
        scaled = scale_width(network, self.width)
        return msgspec.structs.replace(scaled, name=f"{self.network}_x{self.width:g}")


@lru_cache(maxsize=1)
def published_rows() -> tuple[PublishedRow, ...]:
    """The table's rows, by rising accuracy."""
    return msgspec.convert(read_document(PUBLISHED), tuple[PublishedRow, ...])


@lru_cache(maxsize=1)
def published_top1() -> dict[str, tuple[float, str]]:
    """Published ImageNet-1k top-1 in percent by zoo name, and where from; a network without one is absent."""
    known = {row.network: (row.top1, TABLE) for row in published_rows() if row.in_zoo}
    return msgspec.convert(read_document(ACCURACY), dict[str, tuple[float, str]]) | known
