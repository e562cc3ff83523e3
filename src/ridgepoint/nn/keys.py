"""Key maps: where each of our tensors lies in the weights of another library. Maps are YAML in `key_maps/`.

A map names the source's `units` (a pattern; in natural order they are our rows in order) and, per block kind, the
alternatives: our part on the left, theirs on the right, `{0}` the next unit that no row has used, `{1}` the one after.
The first alternative in which every tensor of a row is found is taken, else one in which most are. `*` stands for a
number on both sides. On the right, `[0:256]` after a name means these input channels of it alone. A head goes by its
tag where the map has that, else by `head`.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from ridgepoint.arch.network import Network
from ridgepoint.documents import read_document

KEY_MAPS = Path(__file__).parent / "key_maps"
OPTIONAL = "num_batches_tracked"
FOLDED = {"weight": "=1", "running_mean": "=0", "running_var": "=1-eps"}
"""What stands in a translation for tensors of norms that are folded away; no tensor is called so."""


class KeyMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One library's naming of one family of networks.

    Attributes:
        places: By kind of block.
        units: A pattern.
        ignore: A pattern of tensors that nothing of ours needs.
        norm_eps: Where it has one of its own.
        base: Another map, whose units and places are this one's too, with `prefix` before its names.
        folded_norms: Whether norms may be folded away, so that only their offsets, and some gains, are there.
        reorder: Tensors of ours, as patterns, whose rows come in groups that the source has in another order.
    """

    places: dict[str, list[dict[str, str]]]
    units: str = ""
    ignore: str = r"(?!)"
    norm_eps: float | None = None
    base: str | None = None
    prefix: str = ""
    folded_norms: bool = False
    reorder: dict[str, tuple[int, ...]] = {}


class Translation(msgspec.Struct, frozen=True):
    """Which source tensor fills each of ours, what found no source, and what no tensor of ours takes."""

    naming: str
    sources: dict[str, str]
    missing: tuple[str, ...]
    leftover: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every tensor is used once."""
        return not self.missing and not self.leftover


@lru_cache(maxsize=1)
def key_maps() -> dict[str, KeyMap]:
    """All maps that come with the package, by name."""
    read = {path.stem: msgspec.convert(read_document(path), KeyMap) for path in sorted(KEY_MAPS.glob("*.yaml"))}
    return {name: _based(each, read[each.base]) if each.base else each for name, each in read.items()}


def _based(own: KeyMap, base: KeyMap) -> KeyMap:
    """A map together with the one that it is based on."""
    places = {
        kind: [
            {left: right if "{" in right else own.prefix + right for left, right in alternative.items()}
            for alternative in alternatives
        ]
        for kind, alternatives in base.places.items()
    }
    return msgspec.structs.replace(own, units=f"{re.escape(own.prefix)}(?:{base.units})", places=places | own.places)


def translate(network: Network, ours: Collection[str], source: Collection[str]) -> Translation:
    """The complete translation if any map gives one, otherwise the closest.

    Args:
        network: The network whose weights are wanted; its rows say which block is where.
        ours: The keys of our module's state dict.
        source: The keys of the given weights: ours, or another library's.
    """
    places = [(path, block.tag()) for path, block in network.rows()] + [("head", network.head.tag())]
    tensors = _by_place(ours, [path for path, _ in places])
    found = [_finish("ours", {key: key for key in ours if key in source}, ours, source, ignore=r"(?!)")]
    for name, key_map in key_maps().items():
        if not found[-1].complete:
            sources = _apply(key_map, places, tensors, source)
            found.append(_finish(name, sources, ours, source, ignore=key_map.ignore))
    return min(found, key=lambda one: len(one.missing) + len(one.leftover))


def _finish(
    naming: str, sources: dict[str, str], ours: Collection[str], source: Collection[str], *, ignore: str
) -> Translation:
    used = set(map(tensor_name, sources.values()))
    return Translation(
        naming=naming,
        sources=sources,
        missing=tuple(key for key in ours if key not in sources and not key.endswith(OPTIONAL)),
        leftover=tuple(key for key in source if key not in used and not re.fullmatch(ignore, key)),
    )


def _apply(
    key_map: KeyMap,
    places: Iterable[tuple[str, str]],
    tensors: Mapping[str, Mapping[str, str]],
    source: Collection[str],
) -> dict[str, str]:
    """Our keys to source keys, as far as the map goes."""
    found = {match[0] for key in source if (match := re.match(key_map.units, key))}
    units = sorted(found, key=lambda unit: ([int(number) for number in re.findall(r"\d+", unit)], unit))
    sources: dict[str, str] = {}
    for path, kind in places:
        fitting: dict[str, str] = {}
        used = 0
        for alternative in _alternatives(key_map, path, kind):
            row = {key: _rename(rest, alternative, units) for key, rest in tensors[path].items()}
            fits = {key: name for key, name in row.items() if name is not None and tensor_name(name) in source}
            if key_map.folded_norms:
                fits |= _folded(row, fits)
            if len(fits) < len(fitting):
                continue
            fitting = fits
            used = 1 + max((number for right in alternative.values() for number in _units(right)), default=-1)
            if all(key in fitting or key.endswith(OPTIONAL) for key in row):
                break
        sources.update(fitting)
        units = units[used:]
    return sources


def _alternatives(key_map: KeyMap, path: str, kind: Any) -> list[dict[str, str]]:
    kinds = [path, "stem", str(kind)] if path.startswith("stem.") else [str(kind)]
    kinds += ["head"] if path == "head" else []
    return next((key_map.places[one] for one in kinds if one in key_map.places), [{}])


def _folded(row: Collection[str], fits: Collection[str]) -> dict[str, str]:
    """What the tensors of a row's norms are that are folded away but for their offsets."""
    norms = [key.removesuffix(".running_var") for key in row if key.endswith(".running_var")]
    return {
        f"{norm}.{tensor}": value
        for norm in norms
        if f"{norm}.bias" in fits
        for tensor, value in FOLDED.items()
        if f"{norm}.{tensor}" not in fits
    }


def tensor_name(source: str) -> str:
    """The tensor that is meant, whatever part of it."""
    return source.partition("[")[0]


def tensor_of(
    source: str, key: str, wanted: Tensor, tensors: Mapping[str, Tensor], naming: str, *, norm_eps: float
) -> Tensor:
    """What fills a tensor of ours.

    Args:
        source: As a translation has it.
        key: Ours.
        wanted: Its present value.
        tensors: The given ones.
        naming: The translation's.
        norm_eps: Of the network, by which a norm that is folded away changes nothing.
    """
    if source in FOLDED.values():
        return torch.full_like(wanted, {"=1": 1.0, "=0": 0.0, "=1-eps": 1.0 - norm_eps}[source])
    given = tensors[tensor_name(source)]
    if part := re.search(r"\[(\d+):(\d+)\]$", source):
        given = given[:, int(part[1]) : int(part[2])]
    orders = key_maps()[naming].reorder if naming in key_maps() else {}
    for pattern, order in orders.items():
        if re.fullmatch(pattern, key) and len(given) % len(order) == 0:
            given = given.unflatten(0, (-1, len(order)))[:, list(order)].flatten(0, 1)
    return given


def _by_place(ours: Iterable[str], paths: list[str]) -> dict[str, dict[str, str]]:
    """Our keys grouped by row; each with what is left of it without the row's path and `body.`."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    known = set(paths)
    for key in ours:
        steps = key.split(".")
        path = next((head for n in (1, 2, 3) if (head := ".".join(steps[:n])) in known), "")
        groups[path][key] = ".".join(step for step in steps[path.count(".") + 1 :] if step != "body")
    return groups


def _rename(rest: str, alternative: Mapping[str, str], units: list[str]) -> str | None:
    """A key of ours in the source's words, or None where the alternative does not know it."""
    for left, right in alternative.items():
        match = _words(left).fullmatch(rest)
        if match is None or any(number >= len(units) for number in _units(right)):
            continue
        name = right.format(*units)
        for number in match.groups()[:-1]:
            name = name.replace("*", number, 1)
        return name + (match.groups()[-1] or "")
    return None


@cache
def _words(left: str) -> re.Pattern[str]:
    """What matches a key of ours, and what follows it; a star is a number."""
    return re.compile(re.escape(left).replace(r"\*", r"(\d+)") + r"(\..+)?")


@cache
def _units(right: str) -> tuple[int, ...]:
    """The numbers of the units that a key in the source's words names."""
    return tuple(int(number) for number in re.findall(r"\{(\d)\}", right))
