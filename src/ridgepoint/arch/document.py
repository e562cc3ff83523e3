"""Networks as YAML or JSON: strict reading, errors that name file, key, given and allowed; writing that reads back.

Three shorthands are resolved while reading, with the channels that reach the row: `repeat: 3` writes a row three times,
its stride belonging to the first one (MobileNetV2, arXiv:1801.04381, Table 2); `expand_ratio: 4` stands for
`expand_channels` = 4 x input channels; `se_ratio: 0.25` for `se_channels` = a quarter of the expanded channels, 0 for
none. Channels are rounded to a multiple of 8.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

import msgspec

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads import Head
from ridgepoint.arch.layer import round_channels
from ridgepoint.arch.network import Network, Stage, place_blocks
from ridgepoint.documents import Raw, dump_document
from ridgepoint.errors import ArchitectureError, nearest, shown

T = TypeVar("T")
_KEYS = ("name", "input", "conventions", "stem", "stages", "head", "num_classes")
MOST_BLOCKS = 10_000
LARGEST_RATIO = 1000
_PATH = re.compile(r"(.*?)(?: - at `\$([^`]*)`)?$", re.DOTALL)


def parse_network(raw: Raw, *, source: str) -> Network:
    """A checked network from plain content.

    Args:
        raw: What `documents.read_document` gives.
        source: The file's name, for messages.

    Raises:
        ArchitectureError: If a key, type or value is wrong, or the shapes do not fit together.
    """
    raw = expect_mapping(raw, _KEYS, required=("name", "input", "stages"), where="", source=source)
    conventions = convert(raw.get("conventions", {}), Conventions, where="conventions", source=source)
    shape = convert(raw["input"], tuple[int, int, int], where="input", source=source)
    channels = shape[0]
    stem, channels = parse_rows(raw.get("stem", []), channels, where="stem", source=source)
    stages, room = [], MOST_BLOCKS - len(stem)
    for number, stage in enumerate(expect_list(raw["stages"], where="stages", source=source)):
        where = f"stages.{number}"
        stage = expect_mapping(stage, ("blocks",), required=("blocks",), where=where, source=source)
        blocks, channels = parse_rows(stage["blocks"], channels, where=f"{where}.blocks", source=source, room=room)
        stages.append(Stage(blocks=blocks))
        room -= len(blocks)
    rest = {key: raw[key] for key in ("name", "input", "num_classes") if key in raw}
    head = convert(raw.get("head", {"head": "pooled"}), Head, where="head", source=source)
    whole = {**rest, "stages": []}
    frame = convert(whole, Network, where="", source=source, defaults={"stem": []})
    network: Network = msgspec.structs.replace(
        frame, conventions=conventions, stem=stem, stages=tuple(stages), head=head
    )
    try:
        place_blocks(network)
    except ArchitectureError as error:
        raise ArchitectureError(f"{source}: {error}") from None
    return network


def parse_rows(
    rows: Raw, channels: int, *, where: str, source: str, room: int = MOST_BLOCKS
) -> tuple[tuple[Block, ...], int]:
    """The blocks of a list of rows, shorthands resolved, and the channels that leave the last one.

    Raises:
        ArchitectureError: If a row is no block, or there are more blocks than `room`.
    """
    blocks: list[Block] = []
    for index, row in enumerate(expect_list(rows, where=where, source=source)):
        place = f"{where}.{index}"
        if not isinstance(row, Mapping):
            told = f"{source}: {place}: is {shown(row)}. Allowed: a mapping such as {{block: uib, ...}}"
            raise ArchitectureError(told)
        repeat = _repeats(row, place, source)
        if len(blocks) + repeat > room:
            raise ArchitectureError(
                f"{source}: {place}: the network has more than {MOST_BLOCKS:,} blocks with this row"
            )
        blocks.append(parse_block(row, channels, where=place, source=source))
        channels = blocks[-1].width_after(channels)
        if repeat > 1:  # the others are equal: what enters and leaves them has the same channels
            again = parse_block(row, channels, where=place, source=source)
            blocks += [again.unstrided()] * (repeat - 1)
    return tuple(blocks), channels


def parse_block(row: Mapping[str, Raw], channels: int, *, where: str, source: str) -> Block:
    """One block; ratios are turned into channels with the given input channels."""
    if "block" not in row:
        raise ArchitectureError(f"{source}: {where}: the key 'block' is missing: the kind of block that the row is")
    fields = {key: value for key, value in row.items() if key != "repeat"}
    if "expand_ratio" in fields:
        ratio = fields.pop("expand_ratio")
        number = isinstance(ratio, int | float) and not isinstance(ratio, bool)
        if "expand_channels" in fields or not number or not 0 < ratio <= LARGEST_RATIO:
            raise ArchitectureError(
                f"{source}: {where}.expand_ratio: is {shown(ratio)}. Allowed: a number above 0, at most "
                f"{LARGEST_RATIO}, instead of expand_channels"
            )
        fields["expand_channels"] = round_channels(channels * ratio)
    if "se_ratio" in fields:
        fields |= _squeeze(fields.pop("se_ratio"), fields, where, source)
    block: Block = convert(fields, Block, where=where, source=source)
    return block


def dump_network(network: Network) -> str:
    """YAML that reads back as an equal network, one row per line, equal rows folded with `repeat`."""
    plain = msgspec.to_builtins(network)
    plain["stem"] = _fold(network.stem)
    plain["stages"] = [{"blocks": _fold(stage.blocks)} for stage in network.stages]
    order = {key: plain[key] for key in _KEYS if key in plain}
    return dump_document(order)


def convert(raw: Raw, into: Any, *, where: str, source: str, defaults: Mapping[str, Raw] | None = None) -> Any:
    """Plain content as a typed value.

    Raises:
        ArchitectureError: Naming the source, the key's path, what was given and what is allowed.
    """
    if defaults and isinstance(raw, Mapping):
        raw = {**defaults, **raw}
    try:
        return msgspec.convert(raw, into)
    except msgspec.ValidationError as error:
        found = _PATH.match(str(error))
        assert found is not None
        steps = [step for step in re.split(r"[.\[\]]", found[2] or "") if step]
        place = ".".join(part for part in (where, *steps) if part)
        raise ArchitectureError(f"{source}: {place}: {_explain(found[1], raw, into, steps)}") from None


def expect_mapping(
    raw: Raw, allowed: Sequence[str], *, required: Sequence[str], where: str, source: str
) -> Mapping[str, Raw]:
    """The content, if it is a mapping with allowed keys and all required ones."""
    prefix = f"{source}: {where}" if where else source
    if not isinstance(raw, Mapping):
        raise ArchitectureError(f"{prefix}: is {shown(raw)}. Allowed: a mapping with the keys {', '.join(allowed)}")
    for key in raw:
        if key not in allowed:
            raise ArchitectureError(f"{prefix}: unknown key {shown(key)}; {nearest(str(key), allowed)}")
    for key in required:
        if key not in raw:
            raise ArchitectureError(f"{prefix}: the key '{key}' is missing. Needed: {', '.join(required)}")
    return raw


def expect_list(raw: Raw, *, where: str, source: str) -> list[Raw]:
    """The content, if it is a list."""
    if not isinstance(raw, list):
        raise ArchitectureError(f"{source}: {where}: is {shown(raw)}. Allowed: a list")
    return raw


def _squeeze(ratio: Raw, fields: Mapping[str, Raw], where: str, source: str) -> dict[str, int]:
    """`se_channels` for a share of the expanded channels; nothing for 0."""
    expand = fields.get("expand_channels")
    number = isinstance(ratio, int | float) and not isinstance(ratio, bool)
    if "se_channels" in fields or not number or not 0 <= ratio <= 1 or not isinstance(expand, int):
        raise ArchitectureError(
            f"{source}: {where}.se_ratio: is {shown(ratio)}. Allowed: 0 to 1, of a block with expand_channels or "
            "expand_ratio, instead of se_channels"
        )
    return {"se_channels": round_channels(expand * ratio)} if ratio else {}


def _repeats(row: Mapping[str, Raw], where: str, source: str) -> int:
    repeat = row.get("repeat", 1)
    if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
        raise ArchitectureError(f"{source}: {where}.repeat: is {shown(repeat)}. Allowed: a whole number from 1")
    return repeat


def _fold(blocks: Sequence[Block]) -> list[dict[str, Raw]]:
    """Rows, in which `repeat` stands for equal blocks that follow each other; one with a stride cannot be repeated."""
    rows: list[dict[str, Raw]] = []
    for block, equal in groupby(blocks):
        row, times = msgspec.to_builtins(block), len(list(equal))
        if block != block.unstrided():
            rows += [dict(row) for _ in range(times)]
        else:
            rows.append(row | ({"repeat": times} if times > 1 else {}))
    return rows


def _explain(message: str, raw: Raw, into: Any, steps: list[str]) -> str:
    """What was given at a path, and what is allowed there."""
    info = msgspec.inspect.type_info(into)
    for step in steps:
        info = _descend(info, raw, step)
        raw = raw[int(step)] if isinstance(raw, list) and step.isdigit() else raw.get(step, "nothing")
    if isinstance(info, msgspec.inspect.UnionType) and isinstance(raw, Mapping):
        info = _chosen(info, raw)
    if isinstance(info, msgspec.inspect.StructType):
        names = [field.encode_name for field in info.fields]
        unknown = re.search(r"unknown field `(.*)`", message)
        if unknown:
            return f"unknown key {shown(unknown[1])}; {nearest(unknown[1], names)}"
        return f"{message}. Allowed keys: {', '.join(names)}"
    if isinstance(info, msgspec.inspect.UnionType):
        tags = [str(option.tag) for option in info.types if isinstance(option, msgspec.inspect.StructType)]
        values = [
            str(v) for option in info.types if isinstance(option, msgspec.inspect.LiteralType) for v in option.values
        ]
        if tags or values:
            return f"is {shown(raw)}; {nearest(str(raw), tags or values)}"
    if isinstance(info, msgspec.inspect.LiteralType):
        return f"is {shown(raw)}; {nearest(str(raw), [str(value) for value in info.values])}"
    return f"is {shown(raw)}. Allowed: {message.split(', got')[0].removeprefix('Expected ')}"


def _descend(info: msgspec.inspect.Type, raw: Raw, step: str) -> msgspec.inspect.Type:
    if isinstance(info, msgspec.inspect.UnionType) and isinstance(raw, Mapping):
        chosen = _chosen(info, raw)
        if chosen is info:  # the tag itself is what is wrong
            return info
        info = chosen
    if isinstance(info, msgspec.inspect.StructType):
        return next((field.type for field in info.fields if field.encode_name == step), info)
    if isinstance(info, msgspec.inspect.TupleType) and step.isdigit():
        return info.item_types[min(int(step), len(info.item_types) - 1)]
    if isinstance(info, msgspec.inspect.VarTupleType):
        return info.item_type
    return info


def _chosen(info: msgspec.inspect.UnionType, raw: Mapping[str, Raw]) -> msgspec.inspect.Type:
    for option in info.types:
        if isinstance(option, msgspec.inspect.StructType) and raw.get(str(option.tag_field)) == option.tag:
            return option
    return info
