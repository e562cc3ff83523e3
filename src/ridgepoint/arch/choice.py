"""Content with choices left open: reading it, closing it, and counting or listing the ways to close it.

Content is what YAML gives (mappings, lists, numbers, texts), with a `Choice` in place of some values. A mapping with
`depth` and `blocks` is a stage that keeps its first `depth` rows; an empty (`null`) member of a list is left out.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ridgepoint.arch.document import convert, expect_list, expect_mapping
from ridgepoint.documents import Raw
from ridgepoint.errors import ArchitectureError, shown
from ridgepoint.validation import Name

Assignment = dict[str, int]
MOST_OPTIONS = 1000
MOST_WAYS = 10_000


@dataclass(frozen=True)
class Choice:
    """A value left open: its name and its options, which may hold choices themselves."""

    name: str
    options: tuple[Any, ...]


def parse(raw: Raw, where: str, source: str) -> Any:
    """The content with every `{choice: [...]}` turned into a `Choice`, named by its place unless it has a name.

    Raises:
        ArchitectureError: If a choice is misspelt or has no options.
    """
    if isinstance(raw, Mapping) and "choice" in raw:
        expect_mapping(raw, ("choice", "name"), required=("choice",), where=where, source=source)
        options = raw["choice"]
        if not isinstance(options, list) or not 1 <= len(options) <= MOST_OPTIONS:
            raise ArchitectureError(
                f"{source}: {where}.choice: is {shown(options)}. Allowed: a list of 1 to {MOST_OPTIONS:,} options"
            )
        name = convert(raw["name"], Name, where=f"{where}.name", source=source) if "name" in raw else where
        return Choice(name, tuple(parse(option, f"{name}.{i}", source) for i, option in enumerate(options)))
    if isinstance(raw, Mapping):
        return {key: parse(value, f"{where}.{key}" if where else str(key), source) for key, value in raw.items()}
    if isinstance(raw, list):
        return [parse(value, f"{where}.{index}", source) for index, value in enumerate(raw)]
    return raw


def check_stages(template: Mapping[str, Any], source: str) -> None:
    """Make sure that stem and stages are lists, and that depths keep all of their stage's rows at most, and at best.

    Raises:
        ArchitectureError: Naming the file and the key.
    """
    expect_list(template.get("stem", []), where="stem", source=source)
    for number, stage in enumerate(expect_list(template["stages"], where="stages", source=source)):
        where = f"stages.{number}"
        expect_mapping(stage, ("depth", "blocks"), required=("blocks",), where=where, source=source)
        rows = expect_list(stage["blocks"], where=f"{where}.blocks", source=source)
        deepest = 0
        for depth, _ in closings(stage.get("depth", len(rows)), {}):
            if isinstance(depth, bool) or not isinstance(depth, int) or not 0 <= depth <= len(rows):
                raise ArchitectureError(
                    f"{source}: {where}.depth: is {shown(depth)}. Allowed: 0 to {len(rows)}, the number of its rows"
                )
            deepest = max(deepest, depth)
        if deepest < len(rows):
            raise ArchitectureError(f"{source}: {where}.depth: never keeps more than {deepest} of {len(rows)} rows")
        for row in rows:
            _expect_no_depth(row, where, source)
    for key in template.keys() - {"stages"}:
        _expect_no_depth(template[key], key, source)


def _expect_no_depth(node: Any, where: str, source: str) -> None:
    """Below a stage there is nothing that has a depth."""
    if isinstance(node, Mapping) and "depth" in node:
        raise ArchitectureError(
            f"{source}: {where}: unknown key 'depth' in a row. Allowed: beside the blocks of a stage"
        )
    options = node.options if isinstance(node, Choice) else node.values() if isinstance(node, Mapping) else node
    for value in options if isinstance(node, Choice | Mapping | list) else ():
        _expect_no_depth(value, where, source)


def covering(template: Mapping[str, Any], source: str) -> Iterator[Any]:
    """Closed templates in which, taken together, every option of every choice is there.

    Raises:
        ArchitectureError: If an option can never be taken.
    """
    inside = {(choice.name, index): _options(choice, index) for choice in walk(template) for index in _indices(choice)}
    to_try = {choice.name: [*reversed(_indices(choice))] for choice in walk(template)}
    depths, untried = depth_names(template), set(inside)

    def pick(choice: Choice) -> int:
        indices = to_try[choice.name]
        while indices and inside[choice.name, indices[-1]].isdisjoint(untried):
            indices.pop()
        deepest = max(_indices(choice), key=lambda i: _deepest(choice.options[i])) if choice.name in depths else 0
        index = indices[-1] if indices else deepest
        taken.add((choice.name, index))
        return index

    while untried:
        taken: set[tuple[str, int]] = set()
        closed = close(template, pick)
        if untried.isdisjoint(taken):
            name, index = min(untried)
            raise ArchitectureError(f"{source}: no network takes option {index} of the choice {shown(name)}. Remove it")
        untried -= taken
        yield closed


def _indices(choice: Choice) -> range:
    return range(len(choice.options))


def _options(choice: Choice, index: int) -> set[tuple[str, int]]:
    """An option and all that lie inside it, as (name, index)."""
    within = {(inner.name, i) for inner in walk(choice.options[index]) for i in _indices(inner)}
    return {(choice.name, index)} | within


def _deepest(option: Any) -> int:
    return max(_deepest(each) for each in option.options) if isinstance(option, Choice) else option


def walk(node: Any) -> Iterator[Choice]:
    """Every occurrence of a choice, in the order of the document."""
    if isinstance(node, Choice):
        yield node
        for option in node.options:
            yield from walk(option)
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def close(node: Any, pick: Callable[[Choice], int]) -> Any:
    """The content with every open choice replaced by the option that `pick` gives the index of."""
    if node is None or isinstance(node, int | str):  # most of it: a search closes a space thousands of times
        return node
    if isinstance(node, Choice):
        return close(node.options[pick(node)], pick)
    if isinstance(node, Mapping) and "depth" in node:
        depth = close(node["depth"], pick)
        return {"blocks": close(node["blocks"][:depth], pick)}
    if isinstance(node, Mapping):
        return {key: close(value, pick) for key, value in node.items()}
    if isinstance(node, list):
        return [closed for value in node if (closed := close(value, pick)) is not None]
    return node


def bind(node: Any, bound: Mapping[str, int]) -> Any:
    """The content with some choices closed; the others stay open, with the names they had."""
    if isinstance(node, Choice) and node.name in bound:
        return bind(node.options[bound[node.name]], bound)
    if isinstance(node, Choice):
        return Choice(node.name, tuple(bind(option, bound) for option in node.options))
    if isinstance(node, Mapping):
        return {key: bind(value, bound) for key, value in node.items()}
    if isinstance(node, list):
        return [bind(value, bound) for value in node]
    return node


def keys(node: Any, key: str = "") -> dict[str, str]:
    """By choice, the key of what it decides: `kernel`, `out_channels`, `depth`; `blocks` or `stem` for a whole row."""
    found: dict[str, str] = {}
    if isinstance(node, Choice):
        found[node.name] = key
        for option in node.options:
            found |= keys(option, key)
    elif isinstance(node, Mapping):
        for name, value in node.items():
            found |= keys(value, name)
    elif isinstance(node, list):
        for value in node:
            found |= keys(value, key)
    return found


def complete(node: Any, pick: Callable[[Choice], int]) -> Assignment:
    """The assignment that asking `pick` once for every open choice gives."""
    taken: Assignment = {}

    def remember(choice: Choice) -> int:
        if choice.name not in taken:
            taken[choice.name] = pick(choice)
        return taken[choice.name]

    close(node, remember)
    return taken


def closings(node: Any, bound: Assignment) -> Iterator[tuple[Any, Assignment]]:
    """Every way to close a node, with the choices that it takes; those in `bound` keep their option."""
    undecided: list[Choice] = []

    def pick(choice: Choice) -> int:
        if choice.name not in bound:
            undecided.append(choice)
        return bound.get(choice.name, 0)

    closed = close(node, pick)
    if not undecided:
        yield closed, bound
        return
    first = undecided[0]
    for index in range(len(first.options)):
        yield from closings(node, {**bound, first.name: index})


def open_rows(part: Any, bound: Assignment) -> Iterator[tuple[list[Any], Assignment]]:
    """The rows, still open, that a stem or a stage has for every depth."""
    if isinstance(part, Mapping):
        for depth, now in closings(part.get("depth", len(part["blocks"])), bound):
            yield part["blocks"][:depth], now
    else:
        yield part, bound


def count(template: Any) -> int:
    """How many assignments close a template."""
    names = Counter(choice.name for choice in walk(template))
    shared = {name for name, occurrences in names.items() if occurrences > 1}
    return sum(_count(template, {frozenset(): 1}, shared, depth_names(template)).values())


# A shared choice that has been decided: its name, and its index where the index matters once more, in a depth.
_Decided = frozenset[tuple[str, int | None]]


def _count(node: Any, ways: Mapping[_Decided, int], shared: set[str], depths: set[str]) -> Mapping[_Decided, int]:
    """Ways to decide everything up to and with a node, by which shared choices are decided then.

    A shared choice multiplies where it is met first; met again, it and all inside it is decided.
    """
    if isinstance(node, Choice):
        after: Counter[_Decided] = Counter()
        for decided, number in ways.items():
            if any(name == node.name for name, _ in decided):
                after[decided] += number
                continue
            for index, option in enumerate(node.options):
                mark = {(node.name, index if node.name in depths else None)} if node.name in shared else set()
                after.update(_count(option, {decided | mark: number}, shared, depths))
            if len(after) > MOST_WAYS:
                raise ArchitectureError(
                    f"too many shared choices are in parts that may be left out, such as {shown(node.name)}: "
                    "the networks cannot be counted. Give choices names of their own"
                )
        return after
    if isinstance(node, Mapping) and "depth" in node:
        after = Counter()
        for decided, number in ways.items():
            known = {name: index for name, index in decided if index is not None}
            for depth, bound in closings(node["depth"], known):
                now = decided | {(name, bound[name]) for name in bound.keys() & shared}
                after.update(_count(node["blocks"][:depth], {now: number}, shared, depths))
        return after
    if isinstance(node, Mapping | list):
        for value in node.values() if isinstance(node, Mapping) else node:
            ways = _count(value, ways, shared, depths)
    return ways


def depth_names(node: Any) -> set[str]:
    """The names of the choices that depths are made of."""
    if isinstance(node, Choice):
        return set().union(*(depth_names(option) for option in node.options))
    if isinstance(node, Mapping):
        own = {choice.name for choice in walk(node["depth"])} if "depth" in node else set()
        return own.union(*(depth_names(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(depth_names(value) for value in node))
    return set()
