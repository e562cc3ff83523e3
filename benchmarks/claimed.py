"""The claims of `claims.yaml`, and the networks that they are about, as values."""

import json
import math
from pathlib import Path
from typing import Any, Literal

import msgspec

from ridgepoint.arch.document import parse_network
from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import scale_width
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.count import cost
from ridgepoint.documents import read_document

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
ANY = "any"
Row = dict[str, Any]


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """New values for every row that has certain values."""

    where: Row
    give: Row

    def meant(self, row: Row) -> bool:
        """Whether it is for this row."""
        return all(key in row and value in (row[key], ANY) for key, value in self.where.items())


class Clocked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network of the zoo, perhaps changed, as a file of a precision."""

    network: str
    width: float = 1.0
    rows: tuple[Change, ...] = ()
    stem: Row = {}
    head: Row = {}
    append: tuple[Row, ...] = ()
    precision: Literal["float32", "int8"] = "float32"

    def load(self) -> Network:
        """The network.

        Raises:
            ArchitectureError: If there is no such network, or not with such changes.
            ValueError: If a change is for no row.
        """
        found = load(self.network)
        found = found if self.width == 1.0 else scale_width(found, self.width)
        plain = msgspec.json.decode(msgspec.json.encode(found))
        blocks = [row for stage in plain["stages"] for row in stage["blocks"]]
        for change in self.rows:
            meant = [row for row in blocks if change.meant(row)]
            if not meant:
                raise ValueError(f"{self.network}: no row is as {change.where}")
            for row in meant:
                row.update(change.give)
        if self.stem:
            plain["stem"][0].update(self.stem)
        plain["head"].update(self.head)
        plain["stages"][-1]["blocks"] += self.append
        return parse_network(plain, source=self.network)


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Networks that are clocked side by side: those named, or all of the zoo that classify and have no more MACs."""

    networks: dict[str, Clocked] = {}
    zoo_up_to_macs: float = 0.0
    runtime: str = "onnxruntime"
    loads: int = 3
    rounds: int = 30

    def members(self) -> dict[str, Clocked]:
        """By the names that claims have for them."""
        if not self.zoo_up_to_macs:
            return self.networks
        zoo = [load(name) for name in list_models()]
        small = [each for each in zoo if cost(each, form="deploy").macs <= self.zoo_up_to_macs]
        return {each.name: Clocked(each.name) for each in small if each.head.answers == "classes"}


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a paper claims, and what it is held against; `claims.yaml` tells of the fields."""

    paper: str
    claim: str
    source: str
    figure: str
    why: str
    otherwise: str = ""
    study: str = ""
    over: str = ""
    under: str = ""
    probe: str = ""
    computed: str = ""
    at_least: float = -math.inf
    at_most: float = math.inf


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    studies: dict[str, Study]
    claims: tuple[Claim, ...]


def claims() -> Claims:
    """What `claims.yaml` says."""
    return msgspec.convert(read_document(FOLDER / "claims.yaml"), Claims)


def result(name: str) -> Any:
    """What a benchmark found; None where it was not run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
