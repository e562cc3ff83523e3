"""A search space: an architecture with choices left open.

It is the YAML of a network in which some values are `{choice: [a, b, c]}`. Choices with one `name` take one value
everywhere; a stage may have `depth: {choice: [1, 2, 3]}`, which keeps its first blocks; a block may be a choice between
rows, `null` for none. Closing every choice gives a `Network`. A choice inside a part that is left out is not open:
an assignment holds the open choices only.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ridgepoint.arch.block import Block
from ridgepoint.arch.document import Raw, expect_mapping, parse_block, parse_network, read_document
from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import SPACES, list_spaces
from ridgepoint.errors import ArchitectureError, nearest

Assignment = dict[str, int]


@dataclass(frozen=True)
class Choice:
    """A value left open: its name and its options, which may hold choices themselves."""

    name: str
    options: tuple[Any, ...]


@dataclass(frozen=True)
class Space:
    """All networks that closing the choices of a template can give."""

    name: str
    template: Mapping[str, Any] = field(repr=False)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Every choice once, in the order of the document."""
        seen: dict[str, Choice] = {}
        for choice in _walk(self.template):
            if seen.setdefault(choice.name, choice) != choice:
                raise ArchitectureError(
                    f"{self.name}: the choice '{choice.name}' appears with different options. "
                    "Choices with one name must list the same options"
                )
        return tuple(seen.values())

    @property
    def size(self) -> int:
        """How many assignments there are; choices in parts that are left out do not multiply."""
        return _count(self.template, set())

    def decode(self, assignment: Mapping[str, int]) -> Network:
        """The network of an assignment from choice names to option indices; choices that are not open are ignored.

        Raises:
            ArchitectureError: If an open choice is missing or its index is out of range.
        """

        def pick(choice: Choice) -> int:
            index = assignment.get(choice.name, -1)
            if not 0 <= index < len(choice.options):
                raise ArchitectureError(
                    f"{self.name}: choice '{choice.name}' is {assignment.get(choice.name, 'missing')}. "
                    f"Allowed: 0 to {len(choice.options) - 1}"
                )
            return index

        return parse_network(_close(self.template, pick), source=self.name)

    def sample(self, rng: np.random.Generator) -> Network:
        """A network with every open choice drawn uniformly."""
        return self.decode(self.sample_assignment(rng))

    def sample_assignment(self, rng: np.random.Generator) -> Assignment:
        """Option indices of every choice that is open, drawn uniformly."""
        return self.complete(lambda choice: int(rng.integers(len(choice.options))))

    def complete(self, pick: Callable[[Choice], int]) -> Assignment:
        """The assignment that asking `pick` for every open choice gives."""
        taken: Assignment = {}

        def remember(choice: Choice) -> int:
            return taken.setdefault(choice.name, pick(choice))

        _close(self.template, remember)
        return taken

    def encode(self, network: Network) -> Assignment:
        """An assignment that gives the network.

        Raises:
            ArchitectureError: If the network is not in the space; the message names the first part that differs.
        """
        bound: Assignment = {}
        for key in ("input", "conventions", "head", "num_classes"):
            bound = self._match_value(key, network, bound)
        rows = [("stem", self.template.get("stem", []), network.stem)]
        stages = self.template["stages"]
        if len(stages) != len(network.stages):
            raise ArchitectureError(f"{self.name}: has {len(stages)} stages, the network has {len(network.stages)}")
        rows += [(f"stages.{i}", stages[i], stage.blocks) for i, stage in enumerate(network.stages)]
        channels = network.input[0]
        for where, template, blocks in rows:
            found = next(_match_rows(template, blocks, channels, bound), None)
            if found is None:
                raise ArchitectureError(f"{self.name}: {where}: no choice gives the network's blocks there")
            bound = found
            for block in blocks:
                channels = getattr(block, "out_channels", channels)
        return bound

    def contains(self, network: Network) -> bool:
        """Whether some assignment gives this network, whatever it is called."""
        try:
            self.encode(network)
        except ArchitectureError:
            return False
        return True

    def closest(self, network: Network) -> Network:
        """A member near a network: depth first, then row by row the options with the most similar numbers.

        Greedy, so not always the nearest; a network of the space is its own closest.
        """
        if self.contains(network):
            return msgspec.structs.replace(network, name=self.name)
        bound: Assignment = {}
        targets = [network.stem, *(stage.blocks for stage in network.stages)]
        parts: list[Raw] = [self.template.get("stem", []), *self.template["stages"]]
        channels = network.input[0]
        for index, template in enumerate(parts):
            blocks = targets[index] if index < len(targets) else ()
            bound, channels = _nearest_rows(template, blocks, channels, bound)
        drawn = self.complete(lambda choice: bound.get(choice.name, len(choice.options) // 2))
        return self.decode(drawn)

    def closed(self, **values: Raw) -> "Space":
        """The same space with top-level keys replaced, such as `input=[3, 96, 96]` or `num_classes=10`."""
        return Space(self.name, {**self.template, **values})

    def _match_value(self, key: str, network: Network, bound: Assignment) -> Assignment:
        target = msgspec.to_builtins(network).get(key)
        for closed, now in _closings(self.template.get(key), bound):
            given = {**self.template, "stages": [], "stem": [], "name": "x", "input": [1, 1, 1], key: closed}
            given = {k: v for k, v in given.items() if v is not None and (k == key or k in ("name", "input", "stages"))}
            if msgspec.to_builtins(_frame(given)).get(key) == target:
                return now
        raise ArchitectureError(f"{self.name}: {key}: no choice gives {target}")


def load_space(name_or_path: str | Path) -> Space:
    """A space by name or from a YAML or JSON file, checked by closing it both ways.

    Raises:
        ArchitectureError: If the name is unknown, or the file is wrong or holds an impossible network.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml", ".json"):
        if str(name_or_path) not in list_spaces():
            raise ArchitectureError(f"unknown space '{name_or_path}'; {nearest(str(name_or_path), list_spaces())}")
        path = SPACES / f"{name_or_path}.yaml"
    space = parse_space(read_document(path), source=path.name)
    for end in (0, -1):
        space.decode(space.complete(lambda choice, end=end: range(len(choice.options))[end]))  # type: ignore[misc]
    return space


def parse_space(raw: Raw, *, source: str) -> Space:
    """A space from plain content.

    Raises:
        ArchitectureError: If a choice is misspelt, or has no options.
    """
    raw = expect_mapping(
        raw,
        ("name", "input", "conventions", "stem", "stages", "head", "num_classes"),
        required=("name", "input", "stages"),
        where="",
        source=source,
    )
    space = Space(str(raw["name"]), _parse(raw, "", source))
    if not space.choices:
        raise ArchitectureError(f"{source}: no choice is left open. A space needs at least one {{choice: [...]}}")
    return space


def _parse(raw: Raw, where: str, source: str) -> Any:
    """The content with every `{choice: [...]}` turned into a `Choice`, named by its place unless it has a name."""
    if isinstance(raw, Mapping) and "choice" in raw:
        expect_mapping(raw, ("choice", "name"), required=("choice",), where=where, source=source)
        options = raw["choice"]
        if not isinstance(options, list) or not options:
            raise ArchitectureError(f"{source}: {where}.choice: is {options!r}. Allowed: a list of options")
        name = str(raw.get("name", where))
        return Choice(name, tuple(_parse(option, f"{name}.{i}", source) for i, option in enumerate(options)))
    if isinstance(raw, Mapping):
        return {key: _parse(value, f"{where}.{key}" if where else str(key), source) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_parse(value, f"{where}.{index}", source) for index, value in enumerate(raw)]
    return raw


def _walk(node: Any) -> Iterator[Choice]:
    if isinstance(node, Choice):
        yield node
        for option in node.options:
            yield from _walk(option)
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)


def _close(node: Any, pick: Callable[[Choice], int]) -> Any:
    if isinstance(node, Choice):
        return _close(node.options[pick(node)], pick)
    if isinstance(node, Mapping) and "depth" in node:
        depth = _close(node["depth"], pick)
        return {"blocks": _close(node["blocks"][:depth], pick)}
    if isinstance(node, Mapping):
        return {key: _close(value, pick) for key, value in node.items()}
    if isinstance(node, list):
        return [closed for value in node if (closed := _close(value, pick)) is not None]
    return node


def _count(node: Any, bound: set[str]) -> int:
    """Assignments below a node; names in `bound` are already decided and do not multiply."""
    if isinstance(node, Choice):
        if node.name in bound:
            return 1
        bound.add(node.name)
        return sum(_count(option, bound) for option in node.options)
    if isinstance(node, Mapping) and "depth" in node:
        depths = [option for option, _ in _closings(node["depth"], {})]
        counts = [_count(block, bound) for block in node["blocks"]]
        return sum(math.prod(counts[:depth]) for depth in depths)
    if isinstance(node, Mapping):
        return math.prod(_count(value, bound) for value in node.values())
    if isinstance(node, list):
        return math.prod(_count(value, bound) for value in node)
    return 1


def _closings(node: Any, bound: Assignment) -> Iterator[tuple[Any, Assignment]]:
    """Every way to close a node, with the choices that it takes; those in `bound` keep their option."""
    opened = _open_choices(node, bound)
    choice = opened[0] if opened else None
    if choice is None:
        yield _close(node, lambda known: bound[known.name]), bound
        return
    for index in range(len(choice.options)):
        yield from _closings(node, {**bound, choice.name: index})


def _open_choices(node: Any, bound: Assignment) -> list[Choice]:
    """The choices of a node that are open and undecided, given the decided ones."""
    found: list[Choice] = []

    def pick(choice: Choice) -> int:
        if choice.name not in bound:
            found.append(choice)
        return bound.get(choice.name, 0)

    _close(node, pick)
    return found


def _frame(raw: Mapping[str, Raw]) -> Network:
    """A network with the given top-level values and no blocks, to compare those values."""
    return parse_network(raw, source="space")


def _rows_and_depths(template: Any, bound: Assignment) -> Iterator[tuple[list[Any], Assignment]]:
    """The rows of a stem or stage for every depth."""
    if isinstance(template, Mapping):
        for depth, now in _closings(template.get("depth", len(template["blocks"])), bound):
            yield template["blocks"][:depth], now
    else:
        yield template, bound


def _match_rows(template: Any, blocks: tuple[Block, ...], channels: int, bound: Assignment) -> Iterator[Assignment]:
    for rows, now in _rows_and_depths(template, bound):
        yield from _match(rows, blocks, channels, now)


def _match(rows: list[Any], blocks: tuple[Block, ...], channels: int, bound: Assignment) -> Iterator[Assignment]:
    """Assignments under which the rows give exactly the blocks."""
    if not rows:
        if not blocks:
            yield bound
        return
    for closed, now in _closings(rows[0], bound):
        if closed is None:
            yield from _match(rows[1:], blocks, channels, now)
        elif len(blocks) >= (repeat := closed.get("repeat", 1)):
            after = channels
            for block in blocks[:repeat]:
                if parse_block(closed, after, where="row", source="space") != block:
                    break
                after = getattr(block, "out_channels", after)
            else:
                yield from _match(rows[1:], blocks[repeat:], after, now)


def _nearest_rows(template: Any, blocks: tuple[Block, ...], channels: int, bound: Assignment) -> tuple[Assignment, int]:
    """The depth closest in number of blocks, then each row's closing closest to the block at its place."""
    rows, bound = min(_rows_and_depths(template, bound), key=lambda found: abs(len(found[0]) - len(blocks)))
    for index, row in enumerate(rows):
        target = blocks[min(index, len(blocks) - 1)] if blocks else None
        options = [
            (parse_block(closed, channels, where="row", source="space"), now)
            for closed, now in _closings(row, bound)
            if closed is not None
        ]
        block, bound = min(options, key=lambda option: _distance(option[0], target))
        channels = getattr(block, "out_channels", channels)
    return bound, channels


def _distance(block: Block, target: Block | None) -> float:
    """Sum over the fields both have: relative difference of numbers, 1 for other differences."""
    if target is None:
        return 0.0
    mine, other = msgspec.to_builtins(block), msgspec.to_builtins(target)
    total = 0.0
    for key in mine.keys() | other.keys():
        left, right = mine.get(key, 0), other.get(key, 0)
        if isinstance(left, int) and isinstance(right, int):
            total += abs(math.log((left + 1) / (right + 1)))
        elif left != right:
            total += 1.0
    return total
