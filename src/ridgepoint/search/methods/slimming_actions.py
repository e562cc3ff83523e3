"""The three actions that make a MetaPath network faster, and the path of those that lose least per millisecond.

Source: EfficientFormer, arXiv:2206.01191, section 3.3.
Differs: an action that makes nothing faster gives way to the next one of its kind. Each width of a stage is an action
of its own (the first stage has those of the stem). What an action saves beyond the target does not count.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ridgepoint.arch.choice import Assignment, Choice
from ridgepoint.search.methods.metapath import ATTENTION, NOTHING, POOL, MetaPath, Slot, Stage, wide_to_narrow
from ridgepoint.units import format_ms


class Action(NamedTuple):
    """One change of a network: what it is, how important what it changes was, and the network after it."""

    kind: Literal["depth", "attention", "width"]
    change: str
    importance: float
    after: Assignment


class Judged(NamedTuple):
    """An action with the milliseconds that it saves, and the accuracy by the shared weights before and after it."""

    action: Action
    saved_ms: float
    before: float
    accuracy: float

    def __str__(self) -> str:
        kind, change, importance, _ = self.action
        return (
            f"{kind}: {change}, importance {importance:.3g}, {format_ms(self.saved_ms)} less, "
            f"accuracy of the shared weights {self.before:.3f} to {self.accuracy:.3f}"
        )


@dataclass(frozen=True, kw_only=True)
class Slimmer:
    """What judges actions.

    Attributes:
        path: The space.
        importance: Of every slot, by name.
        latency_ms: Of a member.
        accuracy: Of a member with the shared weights.
    """

    path: MetaPath
    importance: Mapping[str, float]
    latency_ms: Callable[[Assignment], float]
    accuracy: Callable[[Assignment], float]

    def down_to(self, target_ms: float, now: Assignment) -> Iterator[Judged]:
        """One action after another until the network meets the target, or nothing makes it faster.

        Args:
            target_ms: Where to stop.
            now: The network to start from.
        """
        before = self.accuracy(now)
        while (ms := self.latency_ms(now)) > target_ms:
            judged = [
                Judged(action, ms - self.latency_ms(action.after), before, self.accuracy(action.after))
                for action in self.actions(now)
            ]
            if not judged:
                return
            excess_ms = ms - target_ms
            best = min(judged, key=lambda each: (_loss_per_ms(each, excess_ms), -each.saved_ms))
            yield best
            now, before = best.action.after, best.accuracy

    def actions(self, now: Assignment) -> list[Action]:
        """What may be done next: at most one of each kind, but one for every width of a stage."""
        found = [self._first_faster(now, self._depth(now)), self._first_faster(now, self._attention(now))]
        return [action for action in (*found, *self._width(now)) if action is not None]

    def _depth(self, now: Assignment) -> Iterator[Action]:
        """A slot becomes nothing, the least important one first."""
        removable = [slot for slot in self.path.slots if NOTHING in slot.kinds and slot.taken(now) is not NOTHING]
        for slot in sorted(removable, key=lambda slot: self.importance[slot.name]):
            yield self._at_slot("depth", now, slot, NOTHING)

    def _attention(self, now: Assignment) -> Iterator[Action]:
        """The first attention block becomes a pooling one, or nothing where the slot has none."""
        slot = next((slot for slot in self.path.slots if slot.taken(now) == ATTENTION), None)
        kind = next((kind for kind in (POOL, NOTHING) if slot and kind in slot.kinds), ATTENTION)
        if slot and kind != ATTENTION:
            yield self._at_slot("attention", now, slot, kind)

    def _width(self, now: Assignment) -> list[Action]:
        """The widths of the least important stage that can become narrower, each to the next one that is faster."""
        for stage in sorted(self.path.stages, key=lambda stage: self._of_stage(stage, now)):
            tried = [self._first_faster(now, self._narrower(stage, width, now)) for width in stage.widths]
            if found := [action for action in tried if action is not None]:
                return found
        return []

    def _narrower(self, stage: Stage, width: Choice, now: Assignment) -> Iterator[Action]:
        order = wide_to_narrow(width)
        for option in order[order.index(now[width.name]) + 1 :]:
            change = f"{width.name} {width.options[now[width.name]]} to {width.options[option]}"
            yield Action("width", change, self._of_stage(stage, now), {**now, width.name: option})

    def _at_slot(self, kind: Literal["depth", "attention"], now: Assignment, slot: Slot, block: str | None) -> Action:
        change = f"{slot.name} {slot.taken(now)} to {block or 'nothing'}"
        return Action(kind, change, self.importance[slot.name], {**now, slot.name: slot.kinds.index(block)})

    def _of_stage(self, stage: Stage, now: Assignment) -> float:
        """The importance of a stage: that of the slots that are left in it."""
        return sum(self.importance[slot.name] for slot in stage.slots if slot.taken(now) is not NOTHING)

    def _first_faster(self, now: Assignment, actions: Iterable[Action]) -> Action | None:
        ms = self.latency_ms(now)
        return next((action for action in actions if self.latency_ms(action.after) < ms), None)


def _loss_per_ms(judged: Judged, excess_ms: float) -> float:
    """The accuracy that is lost per millisecond that had to be saved."""
    return (judged.before - judged.accuracy) / min(judged.saved_ms, excess_ms)
