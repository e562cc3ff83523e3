"""The zoo: published networks by timm's names, each one YAML file in `zoo/`: its table, and what is published of it.

A variant is a short table of its own: `base: mobilenetv3_small_100`, `width: 0.5`, `keep: [stem, hidden]`. So is a
network with the body of another one and a head of its own: `base: ...`, `output_stride: 16`, `head: {head: lraspp}`.
"""

import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.document import convert, expect_mapping, parse_network
from ridgepoint.arch.heads import Head
from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.published import Published, PublishedTop1
from ridgepoint.arch.roles import Count, NormsAt
from ridgepoint.arch.scale import scale_width, with_norms, with_output_stride
from ridgepoint.documents import Raw, read_document
from ridgepoint.errors import ArchitectureError, InputError, nearest, shown
from ridgepoint.validation import Name

ZOO = Path(__file__).parent / "zoo"
SPACES = Path(__file__).parent / "spaces"
Accuracy = Literal["first", "labels", "best"]
ACCURACIES: tuple[Accuracy, ...] = get_args(Accuracy)


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network told as a change of another one.

    `output_stride` is that of `with_output_stride`; with `dilate: eager` blocks that lose a stride dilate already.
    `norms` are those of all its blocks and its head.
    """

    name: Name
    base: str
    width: Annotated[float, msgspec.Meta(gt=0, le=16)] = 1.0
    keep: tuple[Literal["stem", "hidden", "conv"], ...] = ()
    input: tuple[Count, Count, Count] | None = None
    conventions: dict[str, Raw] = {}
    output_stride: Count | None = None
    dilate: Literal["after", "eager"] = "after"
    norms: NormsAt | None = None
    head: Head | None = None
    num_classes: Count | None = None


def list_models(pattern: str = "*") -> list[str]:
    """The zoo's names that match a glob such as ``mobilenetv4*``, sorted."""
    return sorted(fnmatch.filter(_names(ZOO), pattern))


def list_spaces() -> list[str]:
    """The names of the search spaces that come with the package, sorted."""
    return sorted(_names(SPACES))


def load(name_or_path: str | Path) -> Network:
    """A network by zoo name or from a YAML or JSON file.

    Raises:
        ArchitectureError: If the name is unknown (the nearest is suggested), or the file is wrong or impossible.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml", ".json"):
        try:
            return _parse(read_document(path, error=ArchitectureError), source=str(path))[0]
        except RecursionError:
            raise ArchitectureError(f"{path}: its base leads back to itself. Name a network of the zoo") from None
    return _zoo_file(str(name_or_path))[0]


def published(name: str) -> Published:
    """What others published of a network, by zoo name; nothing is known of what is not in the zoo."""
    return _zoo_file(name)[1] if name in _names(ZOO) else Published()


def published_top1(name: str, accuracy: Accuracy = "first") -> PublishedTop1 | None:
    """A published top-1 at the network's own input size, by zoo name; None where none is known.

    Args:
        name: Of the network.
        accuracy: The first one, the first of a training by ImageNet-1k's labels alone, or the best of all.
    """
    rows = [row for row in published(name).top1 if row.size == load(name).input[1]]
    if accuracy == "labels":
        rows = [row for row in rows if row.by_labels]
    if accuracy == "best":
        rows.sort(key=lambda row: -row.value)
    return rows[0] if rows else None


def expect_accuracy(text: str) -> Accuracy:
    """Which published top-1 counts, from what was typed.

    Raises:
        InputError: If there is no such choice.
    """
    for known in ACCURACIES:
        if text == known:
            return known
    raise InputError(f"unknown accuracy '{text}'. Allowed: {', '.join(ACCURACIES)}")


def top1(name: str) -> float:
    """The best published ImageNet top-1 of a network, in percent; 0 where none is known.

    One that pads as TensorFlow does is as good as its twin.
    """
    return max((row.value for each in (name, name.removeprefix("tf_")) for row in published(each).top1), default=0.0)


def list_rivals() -> list[str]:
    """The names of the zoo's networks that a found network has to beat, sorted."""
    return [name for name in list_models() if published(name).rival]


def family(name: str) -> str:
    """What networks of one design share: the name up to its first underscore, without TensorFlow's `tf_`."""
    return name.removeprefix("tf_").split("_")[0]


@lru_cache(maxsize=256)
def _zoo_file(name: str) -> tuple[Network, Published]:
    if name not in _names(ZOO):
        raise ArchitectureError(f"unknown model {shown(name)}; {nearest(name, _names(ZOO))}, or a path to a .yaml file")
    return _parse(read_document(ZOO / f"{name}.yaml"), source=f"{name}.yaml")


def _parse(raw: Raw, *, source: str) -> tuple[Network, Published]:
    """The network of a file, and what the file says under `published`, which is no part of the network."""
    known: Published = Published()
    if isinstance(raw, dict) and "published" in raw:
        known = convert(raw["published"], Published, where="published", source=source)
        raw = {key: value for key, value in raw.items() if key != "published"}
    return _parse_network(raw, source=source), known


def _parse_network(raw: Raw, *, source: str) -> Network:
    if not isinstance(raw, dict) or "base" not in raw:
        return parse_network(raw, source=source)
    keys = msgspec.structs.fields(Variant)
    expect_mapping(raw, [key.name for key in keys], required=("name", "base"), where="", source=source)
    variant: Variant = convert(raw, Variant, where="", source=source)
    base = load(variant.base)
    network = base if variant.width == 1.0 else scale_width(base, variant.width, keep=variant.keep)
    merged = {**msgspec.to_builtins(base.conventions), **variant.conventions}
    conventions: Conventions = convert(merged, Conventions, where="conventions", source=source)
    network = msgspec.structs.replace(
        network,
        name=variant.name,
        input=variant.input or base.input,
        conventions=conventions,
        head=variant.head or network.head,
        num_classes=variant.num_classes or base.num_classes,
    )
    try:
        if variant.output_stride:
            network = with_output_stride(network, variant.output_stride, eager=variant.dilate == "eager")
        if variant.norms is not None:
            network = with_norms(network, variant.norms)
        place_blocks(network)
    except ArchitectureError as error:
        raise ArchitectureError(f"{source}: {error}") from None
    return network


@lru_cache(maxsize=2)
def _names(folder: Path) -> tuple[str, ...]:
    return tuple(path.stem for path in folder.glob("*.yaml"))
