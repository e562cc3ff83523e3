"""What a fit opens with: published weights that can be had, and the network and size where they are worth most."""

import os
from collections.abc import Sequence
from typing import Self

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import load, top1
from ridgepoint.cost.count import cost
from ridgepoint.display import Display
from ridgepoint.errors import InputError, RunError
from ridgepoint.fit.bound import seconds_allowed
from ridgepoint.fit.learning import most_macs
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.pretrained import networks_for
from ridgepoint.fit.ranking import (
    USUAL_PX,
    Choice,
    by_macs,
    choices_of,
    largest_within,
    learnable,
    likely,
    look,
    sizes_for,
)
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.target import Target
from ridgepoint.nn.hub import answers
from ridgepoint.nn.published import Published, published_weights
from ridgepoint.nn.reach import how_to_get, lying
from ridgepoint.run.folder import RunFolder
from ridgepoint.run.origin import digest_file
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.recipe import SMALL_IMAGE
from ridgepoint.train.start import AUTO, HUB, StartWeights, named_weights, of_published, start_from
from ridgepoint.units import format_ms

STEP = "opening"
FETCH_S = 30.0  # for the hub, where nobody asked for weights by name


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A network at an input size, for the data's classes; weights for it; what it takes; how promising it is.

    Attributes:
        ms: By the clock, or predicted; of one that was not chosen it may be reckoned from another size.
        promise: Of some training images, the share that frozen features tell; None where nobody looked.
        best_for: Of several targets those for each of which alone it would have been the most promising.
        over: Whether it is too slow for another one of them, and was only looked at; its `ms` is then of that target.
    """

    network: Network
    weights: StartWeights
    ms: float
    promise: float | None = None
    best_for: tuple[str, ...] = ()
    over: bool = False

    def at(self, size: int) -> Self:
        """The same at a smaller input size, in pixels of a side; its milliseconds are still those at its own."""
        channels, _, _ = self.network.input
        network = suited(self.network, channels=channels, height=size, width=size, num_classes=self.network.num_classes)
        return msgspec.structs.replace(self, network=network)

    def knows(self, size: int) -> bool:
        """Whether its weights are as many at another input size: tables of positions are not."""
        return cost(self.at(size).network).params == cost(self.network).params


class Opened(msgspec.Struct, kw_only=True):
    """The step of a run that says what it opened with, and what was looked at besides, the best first."""

    opening: Opening | None = None
    others: list[Opening] = []
    alone: list[Opening] = []

    def compared_for(self, target: str) -> bool:
        """Whether what would be best for one target alone was looked at as what is within all budgets was."""
        every = [*([] if self.opening is None else [self.opening]), *self.others, *self.alone]
        return any(target in each.best_for and each.promise is not None for each in every)

    def near(self, count: int, points: float) -> list[Opening]:
        """At most so many others, of different networks, that promise less than the best one by no more than that."""
        if self.opening is None or self.opening.promise is None:
            return []
        found: dict[str, Opening] = {}
        for other in self.others:
            close = other.promise is not None and other.promise >= self.opening.promise - points
            if close and other.network.name != self.opening.network.name:
                found.setdefault(other.network.name, other)
        return list(found.values())[:count]


def wants_weights(settings: FitSettings, prepared: Prepared) -> bool:
    """Whether a fit opens with weights: named ones, or any for photographs; not where a network was given to change."""
    if prepared.network is not None:
        return False
    if settings.weights in (AUTO, HUB):
        return min(prepared.dataset.median_size) > SMALL_IMAGE
    return named_weights(settings.weights) is not None


def within_reach(settings: FitSettings, prepared: Prepared) -> list[Published]:
    """Published weights that may be taken unnamed: those on this machine, and the hub's where it may be asked.

    Only those whose licence lets anybody ship what came of them: others must be asked for by name.
    """
    if settings.weights not in (AUTO, HUB) or not wants_weights(settings, prepared):
        return []
    rows = [row for row in published_weights() if row.licence.open]
    here = [row for row in rows if lying(row) is not None]
    if not (_may_ask(settings) and answers()):
        return here
    return [row for row in rows if row.repository is not None or row in here]


def _may_ask(settings: FitSettings) -> bool:
    """Whether the user lets a fit reach for the network: by `--weights hub`, or by naming a mirror."""
    return settings.weights == HUB or bool(os.environ.get("HF_ENDPOINT"))


def choose_opening(
    run: RunFolder[FitSettings],
    prepared: Prepared,
    target: Target,
    reached: Sequence[Published],
    *,
    limit_ms: float,
    display: Display,
    step: str = STEP,
) -> Opened:
    """The network, its size and its weights; chosen once per run and step. None where there is none, which is said.

    Raises:
        InputError: If weights were named and cannot be had, or fit no network.
        RunError: If the weights of a run that goes on are gone or changed.
    """
    known = run.read_step(step, Opened)
    if known is None:
        found = _choose(run, prepared, target, reached, limit_ms, display)
        opened = Opened(
            opening=found[0] if found else None,
            others=[each for each in found[1:] if not each.over],
            alone=[each for each in found if each.over],
        )
        run.write_step(step, msgspec.to_builtins(opened))
        return opened
    opening = known.opening
    if opening is not None and digest_file(opening.weights.path) != opening.weights.sha256:
        raise RunError(
            f"{run.path}: started from {opening.weights.path}, which is gone or changed. Put it back, or start anew "
            "with another --out"
        )
    return known


def _choose(
    run: RunFolder[FitSettings],
    prepared: Prepared,
    target: Target,
    reached: Sequence[Published],
    limit_ms: float,
    display: Display,
) -> list[Opening]:
    """The best of what can be had, then the others that were looked at; nothing where there is none, which is said."""
    settings = run.settings
    if not wants_weights(settings, prepared):
        if settings.weights in (AUTO, HUB) and prepared.network is None:
            display.say("Published weights know photographs; images this small are learnt from nothing.")
        return []
    if (named := named_weights(settings.weights)) is not None:
        start = start_from(named)
        if not start.open_licence:
            display.warn(f"{start.name}: {start.licence}")
        sizes = sizes_for(settings, prepared, USUAL_PX)
        families = [choices_of(network, start, prepared, sizes) for network in _networks_of(start, prepared)]
        if not (found := _within(families, _Hand(display), run, prepared, target, limit_ms, display)):
            display.say(f"{start.name}: every network that may start from it is over the budget; left out")
        return found
    if not reached:
        best = max(_all_open(), key=lambda row: top1(row.network), default=None)
        how = f" {how_to_get(best)}." if best else ""
        hub = "no hub answers" if _may_ask(settings) else "none were asked for (--weights hub downloads some)"
        display.say(f"No published weights are on this machine, and {hub}: learns from nothing.{how}")
        return []
    families = [
        choices_of(load(row.network), row, prepared, sizes_for(settings, prepared, row.size))
        for row in reached
        if prepared.task.head(prepared.dataset).fits(load(row.network))
    ]
    found = _within(families, _Hand(display), run, prepared, target, limit_ms, display)
    if not found:
        hint = "" if settings.size is None else f" At less than --size {settings.size} one may."
        display.say(f"No network with published weights within reach meets the budget: learns from nothing.{hint}")
    return found


def _all_open() -> list[Published]:
    return [row for row in published_weights() if row.licence.open and row.repository is not None]


def _networks_of(start: StartWeights, prepared: Prepared) -> list[Network]:
    if start.network is not None:
        return [load(start.network)]
    pre, closing = prepared.preprocessing, prepared.task.head(prepared.dataset)
    return networks_for(start.path, closing, channels=pre.channels, height=pre.height, width=pre.width)


class _Hand:
    """Hands out weights: what lies on this machine, and a few that the hub has, the first that are asked about."""

    def __init__(self, display: Display):
        self.display, self.known = display, dict[str, StartWeights | None]()
        self.fetched: set[str] = set()

    def may_give(self, source: Published | StartWeights) -> bool:
        """Whether weights are here, or among those that the hub is asked for."""
        if isinstance(source, StartWeights) or lying(source) is not None:
            return True
        if len(self.fetched) < POLICY.opening_fetched:
            self.fetched.add(source.name)
        return source.name in self.fetched

    def __call__(self, source: Published | StartWeights) -> StartWeights | None:
        if isinstance(source, StartWeights):
            return source
        if source.name not in self.known:
            self.known[source.name] = self._of(source)
        return self.known[source.name]

    def _of(self, published: Published) -> StartWeights | None:
        try:
            return of_published(published, patience_s=FETCH_S)
        except InputError as error:
            self.display.warn(str(error))
            return None


def _within(
    families: Sequence[Sequence[Choice]],
    reach: _Hand,
    run: RunFolder[FitSettings],
    prepared: Prepared,
    target: Target,
    limit_ms: float,
    display: Display,
) -> list[Opening]:
    """The first is within the budget by the clock; the others are what was looked at besides, the best first."""
    settings = run.settings
    if families := likely(families, settings, limit_ms):
        families = likely(_in_time(families, run, prepared), settings, limit_ms)
    families = [family for family in families if reach.may_give(family[0].source)][: POLICY.opening_clocked]
    looked = look(families, settings, prepared, target, reach, limit_ms=limit_ms, display=display)
    others: list[Opening] = []
    for place, each in enumerate(looked):
        if each.over:
            continue
        start = reach(each.choice.source)
        family = next(family for family in families if each.choice in family)
        sizes = [choice.network for choice in family[: family.index(each.choice) + 1]]
        found = None if start is None else largest_within(sizes, target, limit_ms)
        if start is None or found is None:
            continue
        network, ms = found
        display.say(f"{network.name} at {network.input[1]} px: {format_ms(ms)}. {start.told()}")
        best = Opening(network=network, weights=start, ms=ms, promise=each.promise, best_for=each.best_for)
        for other in [*looked[place + 1 :], *(one for one in looked[:place] if one.over)]:
            if other.promise is not None and (start := reach(other.choice.source)) is not None:
                found_too = Opening(network=other.choice.network, weights=start, ms=other.ms, promise=other.promise)
                others.append(msgspec.structs.replace(found_too, best_for=other.best_for, over=other.over))
        return [best, *others]
    return []


def _in_time(
    families: Sequence[Sequence[Choice]], run: RunFolder[FitSettings], prepared: Prepared
) -> Sequence[Sequence[Choice]]:
    """Without what leaves no time to learn boxes or maps: of these nothing is known before a network has learnt."""
    settings = run.settings
    if prepared.task is CLASSIFICATION or settings.evaluations is not None or settings.size is not None:
        return families
    every = by_macs(families)
    left_s = POLICY.located_share * max(seconds_allowed(settings) - run.elapsed, 0.0)
    most = most_macs(prepared, every[len(every) // 4].network, prepared.finetune, seconds=left_s)
    return learnable(families, most)
