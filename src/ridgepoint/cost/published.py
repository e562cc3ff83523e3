"""Published latencies of networks on devices: rooflines are fitted to them and tested on them.

Each table in `published/` is one source: its licence, its devices, and rows of milliseconds. A network is one of the
zoo, one of `published/networks` (known for its cost alone), or one of them times a width or at another size.
"""

from functools import lru_cache
from pathlib import Path

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import scale_width
from ridgepoint.arch.zoo import family, load
from ridgepoint.cost.device import Device
from ridgepoint.documents import read_document

TABLES = Path(__file__).parent / "published"
RIDGE_POINTS = (0.0, *(float(f"{10 ** (step / 40):.3g}") for step in range(-40, 161)))  # 0.1 to 10,000 MACs per byte


class PublishedRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network, and its latency on each device that has one. `size` is the input's height and width if not its own.

    `top1`, in percent on ImageNet-1k, is given only for networks that the zoo does not hold.
    """

    network: str
    width: float = 1.0
    size: int | None = None
    top1: float | None = None
    params_m: float | None = None
    macs_g: float | None = None
    latency_ms: dict[str, float]

    @property
    def unscaled(self) -> bool:
        """Whether the network is the named one as it is."""
        return self.width == 1.0 and self.size is None

    @property
    def family(self) -> str:
        """What networks of one design share."""
        return family(self.network)

    def load(self) -> Network:
        """The network."""
        own = TABLES / "networks" / f"{self.network}.yaml"
        network = load(own if own.is_file() else self.network)
        if self.unscaled:
            return network
        network = network.at(height=self.size) if self.size else network
        network = scale_width(network, self.width) if self.width != 1.0 else network
        name = (
            self.network + (f"_x{self.width:g}" if self.width != 1.0 else "") + (f"_{self.size}" if self.size else "")
        )
        return msgspec.structs.replace(network, name=name)


class PublishedDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ran a table's networks; `ridge_point` in MACs per byte where that was published too, with its source."""

    description: str
    precision: str
    ridge_point: float | None = None
    ridge_source: str = ""


class PublishedTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The latencies of one source."""

    name: str
    source: str
    licence: str
    devices: dict[str, PublishedDevice]
    rows: tuple[PublishedRow, ...]

    def ridge_points(self, name: str) -> tuple[float, ...]:
        """Those that a fit of a device may choose from: the published one, or all."""
        known = self.devices[name].ridge_point
        return RIDGE_POINTS if known is None else (known,)

    def device(self, name: str) -> Device:
        """A device of the table before any fit: its ridge point is the published one, or 0."""
        given = self.devices[name]
        source = given.ridge_source or f"{self.source} ({self.licence})"
        return Device(
            name=name,
            description=given.description,
            source=source,
            ridge_point=given.ridge_point or 0.0,
            precision=given.precision,
        )


@lru_cache(maxsize=1)
def published_tables() -> tuple[PublishedTable, ...]:
    """Every table, by file name."""
    return tuple(_table(path.stem) for path in sorted(TABLES.glob("*.yaml")))


def published_rows() -> tuple[PublishedRow, ...]:
    """The rows of the MobileNetV4 paper's table, by rising accuracy."""
    return _table("mobilenetv4").rows


@lru_cache(maxsize=16)
def _table(name: str) -> PublishedTable:
    return msgspec.convert(read_document(TABLES / f"{name}.yaml"), PublishedTable)
