"""Key maps: where each of our tensors lies in the weights of another library. Maps are YAML in `key_maps/`.

A map names the source's `units` (a pattern; in natural order they are our rows in order) and, per block kind, the
alternatives: our part on the left, theirs on the right, `{0}` the next unit that no row has used, `{1}` the one after.
The first alternative in which every tensor of a row is found is taken, else one in which most are. `*` stands for a
number on both sides.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.documents import read_document

KEY_MAPS = Path(__file__).parent / "key_maps"
OPTIONAL = "num_batches_tracked"


class KeyMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One library's naming of one family of networks; `norm_eps` where it has one of its own."""

    units: str
    places: dict[str, list[dict[str, str]]]
    ignore: str = r"(?!)"
    norm_eps: float | None = None


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
    return {path.stem: msgspec.convert(read_document(path), KeyMap) for path in sorted(KEY_MAPS.glob("*.yaml"))}


def translate(network: Network, ours: Collection[str], source: Collection[str]) -> Translation:
    """The complete translation if any map gives one, otherwise the closest.

    Args:
        network: The network whose weights are wanted; its rows say which block is where.
        ours: The keys of our module's state dict.
        source: The keys of the given weights: ours, or another library's.
    """
    found = [_finish("ours", {key: key for key in ours if key in source}, ours, source, ignore=r"(?!)")]
    for name, key_map in key_maps().items():
        if not found[-1].complete:
            found.append(_finish(name, _apply(key_map, network, ours, source), ours, source, ignore=key_map.ignore))
    return min(found, key=lambda one: len(one.missing) + len(one.leftover))


def _finish(
    naming: str, sources: dict[str, str], ours: Collection[str], source: Collection[str], *, ignore: str
) -> Translation:
    used = set(sources.values())
    return Translation(
        naming=naming,
        sources=sources,
        missing=tuple(key for key in ours if key not in sources and not key.endswith(OPTIONAL)),
        leftover=tuple(key for key in source if key not in used and not re.fullmatch(ignore, key)),
    )


def _apply(key_map: KeyMap, network: Network, ours: Iterable[str], source: Collection[str]) -> dict[str, str]:
    """Our keys to source keys, as far as the map goes."""
    found = {match[0] for key in source if (match := re.match(key_map.units, key))}
    units = sorted(found, key=lambda unit: ([int(number) for number in re.findall(r"\d+", unit)], unit))
    places = [(path, block.tag()) for path, block in network.rows()] + [("head", "head")]
    tensors = _by_place(ours, [path for path, _ in places])
    sources: dict[str, str] = {}
    for path, kind in places:
        fitting: dict[str, str] = {}
        used = 0
        for alternative in _alternatives(key_map, path, kind):
            row = {key: _rename(rest, alternative, units) for key, rest in tensors[path].items()}
            fits = {key: name for key, name in row.items() if name is not None and name in source}
            if len(fits) < len(fitting):
                continue
            fitting = fits
            used = 1 + max(
                (int(n) for right in alternative.values() for n in re.findall(r"\{(\d)\}", right)), default=-1
            )
            if all(key in fitting or key.endswith(OPTIONAL) for key in row):
                break
        sources.update(fitting)
        units = units[used:]
    return sources


def _alternatives(key_map: KeyMap, path: str, kind: Any) -> list[dict[str, str]]:
    kinds = [path, "stem", str(kind)] if path.startswith("stem.") else [str(kind)]
    return next((key_map.places[one] for one in kinds if one in key_map.places), [{}])


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
        match = re.fullmatch(re.escape(left).replace(r"\*", r"(\d+)") + r"(\..+)?", rest)
        needed = [int(number) for number in re.findall(r"\{(\d)\}", right)]
        if match is None or any(number >= len(units) for number in needed):
            continue
        name = right.format(*units)
        for number in match.groups()[:-1]:
            name = name.replace("*", number, 1)
        return name + (match.groups()[-1] or "")
    return None
