"""A MetaPath space: stages of slots, each a 4D block, a 3D block or nothing, at widths that are open.

Source: EfficientFormer, arXiv:2206.01191, section 3.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ridgepoint.arch.choice import Assignment, Choice, walk
from ridgepoint.arch.space import Space, load_space, parse_space
from ridgepoint.arch.zoo import list_spaces
from ridgepoint.errors import InputError

POOL, ATTENTION, NOTHING = "pool_mixer", "attention_mixer", None


class Slot(NamedTuple):
    """A choice between blocks, and the kind of each option: `POOL`, `ATTENTION` or `NOTHING`."""

    name: str
    kinds: tuple[str | None, ...]

    def taken(self, assignment: Mapping[str, int]) -> str | None:
        """The kind that an assignment has here."""
        return self.kinds[assignment[self.name]]


class Stage(NamedTuple):
    """The slots of a stage and the widths that are open in it; those of the stem belong to the first stage."""

    slots: tuple[Slot, ...]
    widths: tuple[Choice, ...]


@dataclass(frozen=True)
class MetaPath:
    """A space of which nothing is open but slots and widths."""

    space: Space
    stages: tuple[Stage, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Of all stages, in order."""
        return tuple(slot for stage in self.stages for slot in stage.slots)

    @property
    def widths(self) -> tuple[Choice, ...]:
        """Of all stages, in order."""
        return tuple(width for stage in self.stages for width in stage.widths)

    def widest(self) -> Assignment:
        """Every width at its largest."""
        return {width.name: wide_to_narrow(width)[0] for width in self.widths}

    def largest(self) -> Assignment:
        """The widest network with a 3D block wherever there may be one, and a 4D one in the other slots."""
        found = {}
        for slot in self.slots:
            kind = next(kind for kind in (ATTENTION, POOL, NOTHING) if kind in slot.kinds)
            found[slot.name] = slot.kinds.index(kind)
        return found | self.widest()


def metapath(space: Space) -> MetaPath:
    """The stages of a space whose open choices are slots and widths.

    Raises:
        InputError: If anything else is open, or no slot is; the message names the spaces that are allowed.
    """
    found = _read(space)
    others = _others(found)
    if found.slots and not others:
        return found
    wrong = f"leaves {others[0]} open" if others else "has no such slot"
    shipped = [_read(load_space(name)) for name in list_spaces()]
    allowed = ", ".join(each.space.name for each in shipped if each.slots and not _others(each))
    raise InputError(
        f"{space.name}: latency-driven slimming needs slots that are a {POOL}, an {ATTENTION} or null, and widths; "
        f"this space {wrong}. Allowed: {allowed}, or a YAML file of that kind"
    )


def small_metapath() -> Space:
    """1152 networks of two stages with three and two slots, for images of 16 px."""
    pool = {"block": POOL, "expand_ratio": 2}
    attention = {"block": ATTENTION, "expand_ratio": 2, "heads": 2, "key_dim": 4, "value_dim": 8}
    early, late = {"choice": [None, pool]}, {"choice": [None, pool, attention]}
    first = {"block": "conv", "kernel": 3, "out_channels": {"choice": [16, 32, 48, 64]}}
    second = {"block": "conv", "kernel": 3, "out_channels": {"choice": [32, 48, 64, 80]}, "stride": 2}
    raw = {
        "name": "small",
        "input": [3, 16, 16],
        "conventions": {"layer_scale": 0.1},
        "stages": [{"blocks": [first, early, early, early]}, {"blocks": [second, late, late]}],
        "head": {"head": "tokens", "distilled": False},
        "num_classes": 10,
    }
    return parse_space(raw, source="small")


def wide_to_narrow(width: Choice) -> list[int]:
    """The options of a width, the largest first."""
    return sorted(range(len(width.options)), key=lambda at: -width.options[at])


def _read(space: Space) -> MetaPath:
    rows = [list(stage["blocks"]) for stage in space.template["stages"]]
    stem = [choice for row in space.template.get("stem", []) for choice in _widths(row)]
    stages = []
    for number, blocks in enumerate(rows):
        widths = [*(stem if number == 0 else []), *(choice for row in blocks for choice in _widths(row))]
        stages.append(Stage(tuple(slot for row in blocks for slot in _slots(row)), tuple(widths)))
    return MetaPath(space, tuple(stages))


def _slots(row: Any) -> list[Slot]:
    """The row as a slot, if it is one."""
    if not isinstance(row, Choice) or any(walk(list(row.options))):
        return []
    kinds = tuple(option and option["block"] for option in row.options)
    single = len({*kinds}) == len(kinds)
    return [Slot(row.name, kinds)] if single and {*kinds} <= {POOL, ATTENTION, NOTHING} else []


def _widths(row: Any) -> list[Choice]:
    """The width of a row that is no slot, if it is open."""
    width = row.get("out_channels") if isinstance(row, Mapping) else None
    return [width] if isinstance(width, Choice) else []


def _others(found: MetaPath) -> list[str]:
    """What else is open."""
    known = {slot.name for slot in found.slots} | {width.name for width in found.widths}
    return [choice.name for choice in found.space.choices if choice.name not in known]
