"""A search space as rows that people read: which blocks may stand in each row, and what of them is left open."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ridgepoint.arch.choice import Choice
from ridgepoint.arch.roles import KERNEL, OUT, STRIDE, Role
from ridgepoint.arch.space import Space
from ridgepoint.arch.vocabulary import keys_of, look_of, vocabulary


class SpaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a template.

    Attributes:
        path: `stem.0`, `stages.2.1`, ... or `head`.
        kinds: What may stand there, the tags of blocks, or `head`.
        optional: Whether nothing may stand there too.
        options: What is left open, in words: `kernel 3|5 · expansion 3|4|6`.
        widths: The channels that it may give, all there are; none if it keeps what it gets.
        strides: Whether it reduces the resolution.
    """

    path: str
    kinds: tuple[str, ...]
    optional: bool
    options: str
    widths: tuple[int, ...]
    strides: bool

    @property
    def name(self) -> str:
        """The blocks by name."""
        names = [look_of(kind).name for kind in self.kinds]
        return " or ".join([*names, "nothing"] if self.optional else names)


class SpaceStage(msgspec.Struct, frozen=True, kw_only=True):
    """The stem, a stage or the head; `depths` says how many of its rows may be kept, where that is open."""

    name: str
    depths: tuple[int, ...]
    rows: tuple[SpaceRow, ...]


def summary(space: Space) -> str:
    """How much is left open: `39 choices, 6.4e13 networks`."""
    choices = len(space.choices)
    return f"{choices} choice{'s' if choices > 1 else ''}, {format_size(space.size)} networks"


def format_size(size: int) -> str:
    """A number of networks: exact up to a million, then with a power of ten."""
    if size <= 10**6:
        return f"{size:,}"
    power = len(str(size)) - 1
    return f"{size / 10**power:.1f}e{power}"


def space_stages(space: Space) -> tuple[SpaceStage, ...]:
    """Every part of a space in order."""
    template = space.template
    stem = [_row(f"stem.{index}", row) for index, row in enumerate(template.get("stem", []))]
    parts = [SpaceStage(name="stem", depths=(), rows=tuple(stem))] if stem else []
    for number, stage in enumerate(template["stages"]):
        rows = tuple(_row(f"stages.{number}.{index}", row) for index, row in enumerate(stage["blocks"]))
        depths = _numbers(stage["depth"]) if "depth" in stage else ()
        parts.append(SpaceStage(name=f"stage {number + 1}", depths=depths, rows=rows))
    head = _row("head", template.get("head", {"head": "pooled"}))
    return (*parts, SpaceStage(name="head", depths=(), rows=(head,)))


def given_channels(space: Space) -> tuple[int, ...]:
    """The channels that the input may have."""
    return tuple(sorted({each for shape in _leaves(space.template["input"]) for each in _leaves(shape[0])}))


def _row(path: str, content: Any) -> SpaceRow:
    blocks = list(_leaves(content))
    given = [block for block in blocks if block is not None]
    words: dict[str, set[Any]] = {}
    for block in given:
        for key, value in block.items():
            words.setdefault(key, set()).update(_leaves(value))
    known = {key: role for key, role in vocabulary().items() if key in words and role.called(key)}
    told = [(key, role) for key, role in known.items() if len(words[key]) > 1 or role == KERNEL]
    kinds = dict.fromkeys(kind for block in given for kind in _leaves(block.get("block", "head")))
    return SpaceRow(
        path=path,
        kinds=tuple(kinds),
        optional=None in blocks,
        options=" · ".join(f"{role.called(key)} {_alternatives(words[key])}" for key, role in told),
        widths=tuple(sorted(_under(words, OUT))),
        strides=any(stride > 1 for stride in _under(words, STRIDE)),
    )


def _leaves(content: Any) -> Iterator[Any]:
    """What closing a value can give; mappings as they are."""
    if isinstance(content, Choice):
        for option in content.options:
            yield from _leaves(option)
    else:
        yield content


def _under(words: Mapping[str, set[Any]], role: Role) -> set[Any]:
    """All values under the keys of a role."""
    return set().union(*(words[key] for key in keys_of(role) & words.keys()))


def _numbers(content: Any) -> tuple[int, ...]:
    return tuple(sorted(set(_leaves(content))))


def _alternatives(values: set[Any]) -> str:
    """`3|5`; nothing, which is 0 or null, comes first as a dash."""
    numbers = sorted(value for value in values if value)
    return "|".join([*(["–"] if len(numbers) < len(values) else []), *map(str, numbers)])
