"""A search space: an architecture with choices left open.

It is the YAML of a network in which some values are `{choice: [a, b, c]}`. Choices with one `name` take one value
everywhere; a stage may have `depth: {choice: [1, 2, 3]}`, which keeps its first blocks; a block may be a choice between
rows, `null` for none. Closing every choice gives a `Network`. A choice inside a part that is left out is not open:
an assignment holds the open choices only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ridgepoint.arch.blocks import Block
from ridgepoint.arch.choice import (
    Assignment,
    Choice,
    bind,
    check_stages,
    close,
    closings,
    complete,
    count,
    covering,
    keys,
    open_rows,
    parse,
    walk,
)
from ridgepoint.arch.document import convert, expect_mapping, parse_network, parse_rows
from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import SPACES, list_models, list_spaces
from ridgepoint.documents import Raw, read_document
from ridgepoint.errors import ArchitectureError, nearest, shown
from ridgepoint.validation import Name

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Assignment", "Choice", "Space", "load_space", "parse_space"]

MOST_CHOICES = 1000
MOST_TRIED = 200_000
LARGEST_SIZE = 10**300
_VALUES = {
    field.name: field for field in msgspec.structs.fields(Network) if field.name not in ("name", "stem", "stages")
}


@dataclass(frozen=True)
class Space:
    """All networks that closing the choices of a template can give."""

    name: str
    template: Mapping[str, Any] = field(repr=False)

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Every choice once, in the order of the document."""
        first: dict[str, Choice] = {}
        for choice in walk(self.template):
            first.setdefault(choice.name, choice)
        return tuple(first.values())

    @cached_property
    def keys(self) -> dict[str, str]:
        """By choice, the key of what it decides: `kernel`, `out_channels`, `depth`; `blocks` or `stem` for a row."""
        return keys(self.template)

    @cached_property
    def shared(self) -> frozenset[str]:
        """The names of choices that occur in several places."""
        occurrences = Counter(choice.name for choice in walk(self.template))
        return frozenset(name for name, number in occurrences.items() if number > 1)

    @cached_property
    def size(self) -> int:
        """How many assignments there are; choices in parts that are left out do not multiply."""
        return count(self.template)

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

        return parse_network(close(self.template, pick), source=self.name)

    def sample(self, rng: np.random.Generator) -> Network:
        """A network with every open choice drawn uniformly."""
        return self.decode(self.sample_assignment(rng))

    def sample_assignment(self, rng: np.random.Generator) -> Assignment:
        """Option indices of every choice that is open, drawn uniformly."""
        return self.complete(lambda choice: int(rng.integers(len(choice.options))))

    def complete(self, pick: Callable[[Choice], int]) -> Assignment:
        """The assignment that asking `pick` once for every open choice gives."""
        return complete(self.template, pick)

    def encode(self, network: Network) -> Assignment:
        """An assignment that gives the network.

        Raises:
            ArchitectureError: If the network is not in the space; the message names the first part that differs.
        """
        found: list[Assignment] = [{}]
        for key in _VALUES:
            found = self._distinct(now for bound in found for now in self._match_value(key, network, bound))
            if not found:
                raise ArchitectureError(
                    f"{self.name}: {key}: no choice gives {msgspec.to_builtins(getattr(network, key))}"
                )
        stages = self.template["stages"]
        if len(stages) != len(network.stages):
            raise ArchitectureError(f"{self.name}: has {len(stages)} stages, the network has {len(network.stages)}")
        parts = [("stem", self.template.get("stem", []), network.stem)]
        parts += [(f"stages.{i}", stages[i], stage.blocks) for i, stage in enumerate(network.stages)]
        channels = network.input[0]
        for where, part, blocks in parts:
            found = self._distinct(now for bound in found for now in self._match_part(part, blocks, channels, bound))
            if not found:
                raise ArchitectureError(f"{self.name}: {where}: no choice gives the network's blocks there")
            for block in blocks:
                channels = block.width_after(channels)
        return found[0]

    def contains(self, network: Network) -> bool:
        """Whether some assignment gives this network, whatever it is called."""
        try:
            self.encode(network)
        except ArchitectureError:
            return False
        return True

    def closest(self, network: Network) -> Network:
        """A member near a network: part by part the options with the most similar numbers.

        Greedy, so not always the nearest; a network of the space is its own closest.
        """
        if self.contains(network):
            return msgspec.structs.replace(network, name=self.name)
        bound: Assignment = {}
        for key in [key for key in _VALUES if key in self.template]:
            wanted = msgspec.to_builtins(getattr(network, key))
            _, bound = min(closings(self.template[key], bound), key=lambda found: _difference(found[0], wanted))
        targets = [network.stem, *(stage.blocks for stage in network.stages)]
        channels = close(self.template["input"], lambda choice: bound[choice.name])[0]
        for index, part in enumerate([self.template.get("stem", []), *self.template["stages"]]):
            blocks = targets[index] if index < len(targets) else ()
            tried = [_nearest(rows, blocks, channels, now) for rows, now in open_rows(part, bound)]
            _, bound, channels = min(tried, key=lambda found: found[0])
        return self.decode(self.complete(lambda choice: bound.get(choice.name, len(choice.options) // 2)))

    def closed(self, **values: Raw) -> Space:
        """The same space with top-level keys replaced, such as `input=[3, 96, 96]` or `num_classes=10`."""
        return Space(self.name, {**self.template, **values})

    def bound(self, assignment: Mapping[str, int]) -> Space:
        """The part of the space in which some choices keep an option; the others keep their names."""
        return Space(self.name, bind(self.template, assignment))

    def _match_value(self, key: str, network: Network, bound: Assignment) -> Iterator[Assignment]:
        """Assignments under which a top-level value is the network's."""
        for closed, now in closings(self.template.get(key), bound):
            given = _VALUES[key].default if closed is None else convert(closed, _VALUES[key].type, where=key, source="")
            if given == getattr(network, key):
                yield now

    def _match_part(
        self, part: Any, blocks: tuple[Block, ...], channels: int, bound: Assignment
    ) -> Iterator[Assignment]:
        """Assignments under which the rows of a stem or stage give exactly the blocks."""
        before = [channels]
        for block in blocks:
            before.append(block.width_after(before[-1]))
        for rows, now in open_rows(part, bound):
            states: dict[int, list[Assignment]] = {0: [now]}  # by the number of blocks that the rows so far gave
            for row in rows:
                after: dict[int, list[Assignment]] = {}
                for done, known in states.items():
                    for given, then in (found for one in known for found in _row_closings(row, before[done], one)):
                        end = done + len(given)
                        if given == blocks[done:end]:
                            after.setdefault(end, []).append(then)
                states = {done: self._distinct(known) for done, known in after.items()}
            yield from states.get(len(blocks), [])

    def _distinct(self, found: Iterable[Assignment]) -> list[Assignment]:
        """One of all assignments that agree on every shared choice: what comes later cannot tell them apart."""
        return list({frozenset((name, one[name]) for name in one.keys() & self.shared): one for one in found}.values())


def load_space(name_or_path: str | Path) -> Space:
    """A space by name or from a YAML or JSON file; every option is tried once in a network.

    Raises:
        ArchitectureError: If the name is unknown, or the file is wrong or holds an impossible network.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml", ".json"):
        if str(name_or_path) not in list_spaces():
            raise ArchitectureError(
                f"unknown space {shown(str(name_or_path))}; {nearest(str(name_or_path), list_spaces())}"
            )
        path = SPACES / f"{name_or_path}.yaml"
    space = parse_space(read_document(path, error=ArchitectureError), source=path.name)
    tried = 0
    for template in covering(space.template, path.name):
        tried += len(parse_network(template, source=path.name).rows())
        if tried > MOST_TRIED:
            raise ArchitectureError(
                f"{path.name}: has too many options in too many blocks to try every one in a network"
            )
    return space


def kind_of(name_or_path: str | Path) -> Literal["space", "network"] | None:
    """What a name or a file is that of; None for a name of neither, which loading will refuse.

    Raises:
        ArchitectureError: If a file is missing or cannot be read.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml", ".json"):
        return "space" if any(walk(parse(read_document(path, error=ArchitectureError), "", path.name))) else "network"
    name = str(name_or_path)
    return "space" if name in list_spaces() else "network" if name in list_models() else None


def parse_space(raw: Raw, *, source: str) -> Space:
    """A space from plain content.

    Raises:
        ArchitectureError: If a choice is misspelt or has no options, or one name has different options.
    """
    raw = expect_mapping(
        raw,
        ("name", "input", "conventions", "stem", "stages", "head", "num_classes"),
        required=("name", "input", "stages"),
        where="",
        source=source,
    )
    space = Space(convert(raw["name"], Name, where="name", source=source), parse(raw, "", source))
    check_stages(space.template, source)
    if not space.choices:
        raise ArchitectureError(f"{source}: no choice is left open. A space needs at least one {{choice: [...]}}")
    if len(space.choices) > MOST_CHOICES:
        raise ArchitectureError(f"{source}: {len(space.choices):,} choices are left open. Allowed: {MOST_CHOICES:,}")
    first = {choice.name: choice for choice in space.choices}
    for choice in walk(space.template):
        if choice != first[choice.name]:
            raise ArchitectureError(
                f"{source}: the choice {shown(choice.name)} appears with different options, "
                f"{_shown(first[choice.name])} and {_shown(choice)}. Choices with one name must list the same options"
            )
    try:
        size = space.size
    except ArchitectureError as error:
        raise ArchitectureError(f"{source}: {error}") from None
    if size > LARGEST_SIZE:
        raise ArchitectureError(f"{source}: holds more than 1e300 networks. Leave fewer choices open")
    return space


def _shown(choice: Choice) -> str:
    return shown(list(choice.options)) if len(choice.options) <= 4 else f"{len(choice.options)} options"


def _row_closings(row: Any, channels: int, bound: Assignment) -> Iterator[tuple[tuple[Block, ...], Assignment]]:
    """The blocks that each possible closing of a row gives; none where it is left out."""
    for closed, now in closings(row, bound):
        with suppress(ArchitectureError):  # a combination of options that is no block
            yield () if closed is None else parse_rows([closed], channels, where="row", source="space")[0], now


def _nearest(
    rows: list[Any], targets: tuple[Block, ...], channels: int, bound: Assignment
) -> tuple[tuple[int, float], Assignment, int]:
    """Row by row the closing nearest to the blocks at its place.

    Returns:
        How far the result is (difference in blocks, then in their numbers), the assignment, and the channels after it.
    """
    done, total = 0, 0.0
    for row in rows:
        options = []
        for blocks, now in _row_closings(row, channels, bound):
            pairs = zip(blocks, targets[done:], strict=False)
            apart = sum(_difference(msgspec.to_builtins(a), msgspec.to_builtins(b)) for a, b in pairs)
            extra = max(done + len(blocks) - max(len(targets), done), 0)
            lacking = 1 if not blocks and done < len(targets) else 0
            options.append(((extra + lacking, apart), now, blocks))
        (_, apart), bound, blocks = min(options, key=lambda option: option[0])
        done, total = done + len(blocks), total + apart
        for block in blocks:
            channels = block.width_after(channels)
    return (abs(done - len(targets)), total), bound, channels


def _difference(mine: Raw, other: Raw) -> float:
    """How far two contents are apart: logarithms of numbers, summed; 1 for any other difference."""
    if isinstance(mine, Mapping) and isinstance(other, Mapping):
        return sum(_difference(mine.get(key, 0), other.get(key, 0)) for key in {**mine, **other})
    if isinstance(mine, list | tuple) and isinstance(other, list | tuple):
        return sum(_difference(a, b) for a, b in zip(mine, other, strict=False)) + abs(len(mine) - len(other))
    if isinstance(mine, int | float) and isinstance(other, int | float):
        return abs(math.log((abs(mine) + 1) / (abs(other) + 1)))
    return 0.0 if mine == other else 1.0
