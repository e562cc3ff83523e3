"""Every row of a space's template under every combination of the options that matter to it.

What a row is depends on its own choices and on those that decide which shape reaches it and whether its stage is deep
enough; few, as long as rows share their widths.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.choice import Choice, close, walk
from ridgepoint.arch.document import convert, parse_network, parse_rows
from ridgepoint.arch.heads import Head, HeadBase
from ridgepoint.arch.network import Site, State, follow, place_row
from ridgepoint.arch.space import Space
from ridgepoint.errors import ArchitectureError, InputError

MAX_CASES = 2**20  # of all rows together
_SHARED = ("input", "conventions", "num_classes")


class Case(NamedTuple):
    """What one combination of options makes of a row: its blocks, None if impossible, and the choices it leaves open.

    A row that is left out has no blocks.
    """

    sites: tuple[Site, ...] | None
    asked: frozenset[str]


class Cases(NamedTuple):
    """A number for every combination of the options of some choices: one axis per choice, in the space's order."""

    names: tuple[str, ...]
    numbers: NDArray[np.int64]

    def along(self, names: Sequence[str]) -> NDArray[np.int64]:
        """The numbers with an axis for every given name, of size 1 where they do not depend on it."""
        sizes = dict(zip(self.names, self.numbers.shape, strict=True))
        return self.numbers.reshape([sizes.get(name, 1) for name in names])

    def reduced(self) -> "Cases":
        """The same without the choices that make no difference."""
        names: list[str] = []
        numbers = self.numbers
        for name in self.names:
            first = numbers.take([0], axis=len(names))
            if (numbers == first).all():
                numbers = first.squeeze(len(names))
            else:
                names.append(name)
        return Cases(tuple(names), numbers)

    def strides(self) -> dict[str, int]:
        """How far apart the numbers of two neighbouring options of a choice are, once they stand in one line."""
        strides = np.asarray(self.numbers, order="C").strides
        return {name: stride // self.numbers.itemsize for name, stride in zip(self.names, strides, strict=True)}


def tabulate(space: Space) -> tuple[list[Cases], list[Case]]:
    """The cases of every row and of the head, and what the case of each number is.

    Raises:
        InputError: If what a row is depends on too many choices; the message names the row.
    """
    follower = _Follower(space)
    rows = list(follower.rows())
    return rows, list(follower.cases)


class _Follower:
    """Follows the template row by row with every state that can reach it."""

    def __init__(self, space: Space):
        self.space = space
        self.options = {choice.name: len(choice.options) for choice in space.choices}
        self.cases: dict[Case, int] = {}
        self.states: dict[State | None, int] = {None: 0}
        self.placed: dict[tuple[State | None, str], tuple[tuple[Site, ...] | None, State | None]] = {}

    def rows(self) -> Iterator[Cases]:
        """The cases of every row in turn, the head last."""
        template, left = self.space.template, MAX_CASES
        ways, numbers = self.closings({key: template[key] for key in _SHARED if key in template})
        taps = self.taps()
        starts = np.array([self.number(_start(values, self.space.name, taps)) for values, _ in ways])
        reaching = Cases(numbers.names, starts[numbers.numbers]).reduced()
        for where, row in _rows(template):
            found, reaching = self.follow(where, row, reaching, left)
            left -= found.numbers.size
            yield found

    def taps(self) -> tuple[int, ...]:
        """The maps that any head of the space taps.

        Raises:
            InputError: If one is told by a path: which block that is hangs on what is chosen.
        """
        heads: list[HeadBase] = []
        for content, _ in self.closings(self.space.template.get("head", {"head": "pooled"}))[0]:
            with suppress(ArchitectureError):
                heads.append(convert(content, Head, where="head", source=self.space.name))
        wanted = dict.fromkeys(tap for head in heads for tap in head.taps)
        for tap in wanted:
            if not isinstance(tap, int):
                raise InputError(
                    f"{self.space.name}: head: taps {tap}. Allowed in a space: input pixels of one position, such as "
                    "8, which stand for the last map there, whichever block leaves it"
                )
        return tuple(tap for tap in wanted if isinstance(tap, int))

    def closings(self, node: Any) -> tuple[list[tuple[Any, frozenset[str]]], Cases]:
        """The distinct contents that closing a node can give, each with the choices it asks for, and their numbers."""
        within = {choice.name for choice in walk(node)}
        names = tuple(name for name in self.options if name in within)
        sizes = [self.options[name] for name in names]
        ways: dict[str, tuple[Any, frozenset[str]]] = {}
        numbers: dict[str, int] = {}
        found = []
        for options in product(*map(range, sizes)):
            content, asked = _close(node, dict(zip(names, options, strict=True)))
            key = repr((content, sorted(asked)))
            ways.setdefault(key, (content, asked))
            found.append(numbers.setdefault(key, len(numbers)))
        return list(ways.values()), Cases(names, np.array(found).reshape(sizes))

    def follow(self, where: str, row: Any, reaching: Cases, left: int) -> tuple[Cases, Cases]:
        """The cases of a row for every state that reaches it, and the states that leave it."""
        within = {*reaching.names, *(choice.name for choice in walk(row))}
        names = tuple(name for name in self.options if name in within)
        combinations = np.prod([float(self.options[name]) for name in names])
        if combinations > left:
            raise InputError(
                f"{self.space.name}: what {where} is depends on {len(names)} choices, {combinations:.3g} "
                f"combinations. Allowed: {MAX_CASES:,} over all rows. Let rows share their widths "
                "({choice: [...], name: ...}), or count its networks one by one with ridgepoint.cost"
            )
        ways, numbers = self.closings(row)
        states = list(self.states)
        cases, leaving = np.zeros((2, len(states), len(ways)), dtype=np.int64)
        for state in np.unique(reaching.numbers):
            for way, (content, asked) in enumerate(ways):
                sites, after = self.place(states[state], content)
                cases[state, way] = self.cases.setdefault(Case(sites, asked), len(self.cases))
                leaving[state, way] = self.number(after)
        at = reaching.along(names), numbers.along(names)
        return Cases(names, cases[at]).reduced(), Cases(names, leaving[at]).reduced()

    def place(self, state: State | None, content: Any) -> tuple[tuple[Site, ...] | None, State | None]:
        """What a closed row is after a state; equal rows are placed once."""
        key = (state, repr(content))
        if key not in self.placed:
            self.placed[key] = _place(state, content, self.space.name)
        return self.placed[key]

    def number(self, state: State | None) -> int:
        return self.states.setdefault(state, len(self.states))


def _rows(template: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every row with its path, as content that closes to {blocks: its blocks} or {head: the head}."""
    for index, row in enumerate(template.get("stem", [])):
        yield f"stem.{index}", {"blocks": [row]}
    for number, stage in enumerate(template["stages"]):
        for index, row in enumerate(stage["blocks"]):
            kept = {"depth": stage["depth"]} if "depth" in stage else {}
            yield f"stages.{number}.{index}", {**kept, "blocks": [None] * index + [row]}
    yield "head", {"head": template.get("head", {"head": "pooled"})}


def _close(node: Any, options: Mapping[str, int]) -> tuple[Any, frozenset[str]]:
    """The content that the options give, and which of them were asked for."""
    asked: set[str] = set()

    def pick(choice: Choice) -> int:
        asked.add(choice.name)
        return options[choice.name]

    return close(node, pick), frozenset(asked)


def _start(values: Mapping[str, Any], name: str, taps: Sequence[int]) -> State | None:
    """What reaches the first row; None where the values are impossible."""
    try:
        bare = parse_network({"name": name, "stages": [], **values}, source=name)
    except ArchitectureError:
        return None
    return State.first(bare.input_shape, bare.conventions, bare.num_classes, taps)


def _place(state: State | None, content: Any, name: str) -> tuple[tuple[Site, ...] | None, State | None]:
    """The sites of a closed row and the state after it; None for both where it is impossible."""
    if state is None:
        return None, None
    sites: list[Site] = []
    try:
        parts: tuple[Block | Head, ...]
        if "head" in content:
            parts = (convert(content["head"], Head, where="head", source=name),)
        else:
            parts, _ = parse_rows(content["blocks"], state.shape.channels, where="blocks", source=name)
        for part in parts:
            for _, site, row in follow([("", part)], state, lambda site: place_row(*site, deploy=False)):
                sites.append(site)
                state = state.after("", site, row.output) if state.tapped else state._replace(shape=row.output)
    except ArchitectureError:
        return None, None
    return tuple(sites), state
