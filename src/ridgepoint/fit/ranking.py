"""Which network at which size weights are worth most at: expected, clocked, then looked at through frozen features.

A network's largest size within the budget is nearly always its best one, so of each network one size is clocked, the
others are reckoned from it by their MACs, and the largest that fits is looked at, with some of the training images.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np
import torch
from torch.nn import functional

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import published, top1
from ridgepoint.cost.count import cost
from ridgepoint.data import ArraySplit, Preprocessing, decode
from ridgepoint.display import Display
from ridgepoint.errors import InputError
from ridgepoint.fit.frozen import features, left_out
from ridgepoint.fit.goals import Goal, Tightest
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.target import Target
from ridgepoint.nn.build import build
from ridgepoint.nn.published import Published
from ridgepoint.nn.weights import load_weights
from ridgepoint.run.result import Told
from ridgepoint.seeds import seed_for
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.recipe import SMALL_IMAGE
from ridgepoint.train.start import StartWeights
from ridgepoint.units import format_ms

IN_INT8 = 4.0  # times as many, where int8 may ship
FASTEST_MACS_PER_MS, USUAL_MACS_PER_MS = 150e6, 50e6  # a thread's, at most and as a first guess
STEP_PX, SMALLEST_PX, LARGEST_PX, USUAL_PX = 16, 64, 320, 224
NEVER = -1.0
CLOCKED = 3  # sizes of a network, until one is within the budget
WHOLE_LEAST = 0.95  # of the size that a whole detector has learnt at


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A network at an input size, what it may reach on ImageNet in percent, and where its weights are from.

    `whole` says that these are of its head, too: those of a detector, where boxes are wanted.
    """

    network: Network
    expected: float
    macs: int
    source: Published | StartWeights
    whole: bool = False

    @property
    def size(self) -> int:
        """Input pixels of a side."""
        return self.network.input[1]

    @property
    def told(self) -> str:
        """Network and size in words."""
        return f"{self.network.name} at {self.size} px"


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What looking at a choice found.

    Attributes:
        choice: The network at its size.
        ms: By the clock or predicted, or reckoned from that at another size.
        promise: The share of some training images that a classifier of the others' frozen features is right about;
            None where that was not looked at.
        best_for: The targets for each of which alone it would be the most promising, where there are several.
        over: Whether it is too slow for another one of them, and only looked at.
    """

    choice: Choice
    ms: float
    promise: float | None
    best_for: tuple[str, ...] = ()
    over: bool = False


def choices_of(
    network: Network, source: Published | StartWeights, prepared: Prepared, sizes: Iterable[int]
) -> list[Choice]:
    """A network at several input sizes, closed for the data; the smallest first.

    A whole detector is left at about the size that it has learnt at: at smaller ones it was seen to tell less. On 174
    photographs of blood cells, 150 CPU seconds, a COCO SSDLite of 300 px: an mAP50-95 of 0.507 at 304 px (118 steps),
    0.397 at 256 px (152), 0.292 at 192 px.
    """
    channels, closing = prepared.preprocessing.channels, prepared.task.head(prepared.dataset)
    native = source.size if isinstance(source, Published) else USUAL_PX
    whole, given = closing.keeps(network.head), sorted(sizes)
    usual = [size for size in given if not whole or size >= WHOLE_LEAST * network.input[1]]
    found = []
    named = isinstance(source, StartWeights)  # what the user named is taken all the same
    for size in usual or (given if named else []):
        at = closing.close(suited(network, channels=channels, height=size, width=size, num_classes=closing.num_classes))
        expected = top1(network.name) - lost(size / native)
        found.append(Choice(network=at, expected=expected, macs=_macs(at), source=source, whole=whole))
    return found


def sizes_for(settings: FitSettings, prepared: Prepared, native: int) -> list[int]:
    """Input sizes of photographs, up to the weights' own or what the images show; only that one that the user named."""
    side = prepared.preprocessing.height
    if settings.size is not None or side <= SMALL_IMAGE:
        return [side]
    most = min(max(native, side), round(POLICY.opening_enlarged * min(prepared.dataset.median_size)), LARGEST_PX)
    return sorted({*range(SMALLEST_PX, most + 1, STEP_PX), side})


def likely(families: Sequence[Sequence[Choice]], settings: FitSettings, limit_ms: float) -> list[Sequence[Choice]]:
    """Networks that may be within the limit, one family of sizes each, the most promising first."""
    fastest = limit_ms * FASTEST_MACS_PER_MS * settings.threads * (1.0 if settings.precision == "float32" else IN_INT8)
    possible = [family for family in families if family and family[0].macs <= fastest]
    return sorted(possible, key=lambda family: rank(_guess(family, settings, limit_ms)))


def learnable(families: Sequence[Sequence[Choice]], most_macs: float) -> list[Sequence[Choice]]:
    """Networks and their sizes without those that have more MACs; of all that have, the smallest.

    Weights that are of the head, too, leave less to learn, and so allow more.
    """
    found = [
        [choice for choice in family if choice.macs <= most_macs / (POLICY.located_whole if choice.whole else 1.0)]
        for family in families
    ]
    return [family for family in found if family] or [[by_macs(families)[0]]]


def by_macs(families: Sequence[Sequence[Choice]]) -> list[Choice]:
    """All sizes of all networks, the smallest first."""
    return sorted((choice for family in families for choice in family), key=lambda choice: choice.macs)


def _guess(family: Sequence[Choice], settings: FitSettings, limit_ms: float) -> Choice:
    """The largest size that is within the limit on a usual machine; the smallest where none is."""
    return _largest(family, limit_ms * USUAL_MACS_PER_MS * settings.threads) or family[0]


def look(
    families: Sequence[Sequence[Choice]],
    settings: FitSettings,
    prepared: Prepared,
    target: Target,
    reach: Callable[[Published | StartWeights], StartWeights | None],
    *,
    limit_ms: float,
    display: Display,
) -> list[Looked]:
    """Choices within the limit as far as the clock at one size of each network tells, the most promising first.

    Args:
        families: One network's sizes each, the smallest first; some networks, as `likely` gives them.
        settings: Has threads and seed.
        prepared: The data.
        target: Tells times.
        reach: From a source to weights on this machine; None where they cannot be had.
        limit_ms: The most that is allowed.
        display: Is told what was seen.
    """
    if not families:
        return []
    guesses = [_guess(family, settings, limit_ms) for family in families]
    networks = {guess.network.digest: guess.network for guess in guesses}
    names = ", ".join(sorted({guess.network.name for guess in guesses}))
    display.progress(0.0, f"{'clocking' if target.measured else 'predicting'} {names}")
    seconds = POLICY.opening_clocked_s if settings.evaluations is None else math.inf  # what is counted reproduces
    until, how = time.monotonic() + seconds, {"patience_s": 0.0, "seconds": seconds}
    of_each = target.clock_each(networks, **how) if isinstance(target, Tightest) else []
    clocked = target.joined(of_each) if isinstance(target, Tightest) else target.clock(networks, **how)
    if left := len(networks) - len(clocked):
        display.say(f"{left} more are left out: to write files takes long here")
        families = [family for family, guess in zip(families, guesses, strict=True) if guess.network.digest in clocked]
        guesses = [guess for guess in guesses if guess.network.digest in clocked]
    within: list[Looked] = []
    for family, guess in zip(families, guesses, strict=True):
        per_mac = clocked[guess.network.digest].ms / guess.macs
        fits = [each for each in family if each.macs * per_mac <= POLICY.opening_close * limit_ms]
        own = [each for each in fits if each.size <= prepared.preprocessing.height]
        for choice in {each.size: each for each in [*own[-1:], *fits[-1:]]}.values():
            within.append(Looked(choice=choice, ms=choice.macs * per_mac, promise=None))
    within.sort(key=lambda looked: rank(looked.choice))
    if not isinstance(target, Tightest):
        within = _enlarged(within, families, target, limit_ms, seconds=until - time.monotonic())
    slower: list[Looked] = []
    if isinstance(target, Tightest):
        for goal, times, factor in zip(target.goals, of_each, target.factors, strict=True):
            _mark(_best_alone(families, guesses, goal, times, limit_ms / factor), within, slower)
    if prepared.task is not CLASSIFICATION or not within or len(within) + len(slower) < 2:
        return within  # of which nothing tells how they compare with what is slower
    found = _look_at([*within[: POLICY.opening_looked], *slower], prepared, reach, seed=settings.seed, display=display)
    return sorted(found, key=lambda looked: (-(looked.promise or NEVER), looked.choice.macs))


def _enlarged(
    within: Sequence[Looked], families: Sequence[Sequence[Choice]], target: Target, limit_ms: float, *, seconds: float
) -> list[Looked]:
    """The same, those that come first at a larger size where the clock says that this one, too, is within the limit.

    A small input takes more time for a MAC: what a network takes for its weights is the same at all sizes. What there
    are no seconds to clock stays as it is.
    """
    larger: dict[int, Choice] = {}
    for place, looked in enumerate(within[: POLICY.opening_looked]):
        family = next(family for family in families if looked.choice in family)
        above = family[family.index(looked.choice) + 1 :]
        if above and above[0].macs / looked.choice.macs * looked.ms <= POLICY.opening_larger * limit_ms:
            larger[place] = above[0]
    networks = {choice.network.digest: choice.network for choice in larger.values()}
    clocked = target.clock(networks, patience_s=0.0, seconds=seconds) if networks and seconds > 0 else {}
    found: list[Looked] = []
    for place, looked in enumerate(within):
        choice = larger.get(place, looked.choice)
        told = clocked.get(choice.network.digest) if place in larger else None
        if told is not None and told.ms <= limit_ms:
            family = next(family for family in families if choice in family)
            largest = _largest(family, choice.macs * limit_ms / told.ms) or choice
            looked = msgspec.structs.replace(looked, choice=largest, ms=largest.macs / choice.macs * told.ms)
        if looked.choice not in [each.choice for each in found]:
            found.append(looked)
    return found


def _best_alone(
    families: Sequence[Sequence[Choice]],
    guesses: Sequence[Choice],
    goal: Goal,
    times: Mapping[str, Told],
    limit_ms: float,
) -> Looked | None:
    """The most promising choice for one goal alone, as if there were no other."""
    found = []
    for family, guess in zip(families, guesses, strict=True):
        per_mac = times[guess.network.digest].ms / guess.macs
        if (largest := _largest(family, limit_ms / per_mac)) is not None:
            best_for = (goal.name,)
            found.append(Looked(choice=largest, ms=largest.macs * per_mac, promise=None, best_for=best_for, over=True))
    return min(found, key=lambda looked: rank(looked.choice), default=None)


def _mark(best: Looked | None, within: list[Looked], slower: list[Looked]) -> None:
    """Note for which target a choice is the best one, among those that are within all budgets or that are slower."""
    if best is None:
        return
    for found in (within, slower):
        for place, each in enumerate(found):
            if each.choice == best.choice:
                found[place] = msgspec.structs.replace(each, best_for=(*each.best_for, *best.best_for))
                return
    slower.append(best)


def largest_within(networks: Sequence[Network], target: Target, limit_ms: float) -> tuple[Network, float] | None:
    """The largest that is within the limit by the clock, and its milliseconds; None where the clock is asked in vain.

    Args:
        networks: One at several input sizes, the smallest first; the largest is clocked, then what that makes likely.
        target: Tells times.
        limit_ms: The most that is allowed.
    """
    left = list(networks)
    for _ in range(CLOCKED):
        if not left:
            return None
        network = left[-1]
        ms = target.clock({network.name: network}, patience_s=0.0)[network.name].ms
        if ms <= limit_ms:
            return network, ms
        most = _macs(network) * limit_ms / ms * 0.98
        left = [each for each in left if _macs(each) <= most]
    return None


def _macs(network: Network) -> int:
    return cost(network, form="deploy").macs


def rank(choice: Choice) -> tuple[bool, bool, float, int]:
    """The most promising first: whole detectors; last, weights without a head, whose training nobody has published."""
    return not choice.whole, getattr(choice.source, "classes", 1) == 0, -choice.expected, choice.macs


def lost(share: float) -> float:
    """Points of top-1 that a network loses at so small a share of its own input size: as MobileNetV2 1.0 does.

    What is published ends at three sevenths, 96 px. Points grow evenly with the inverse of the share (8.5 for each of
    it, within 2, from there to 192 px), so they go on as they did between the last two sizes.
    """
    inverses, losses = _loss_curve()
    if (inverse := 1 / share) <= inverses[-1]:
        return float(np.interp(inverse, inverses, losses))
    slope = (losses[-1] - losses[-2]) / (inverses[-1] - inverses[-2])
    return losses[-1] + slope * (inverse - inverses[-1])


@lru_cache(maxsize=1)
def _loss_curve() -> tuple[tuple[float, ...], tuple[float, ...]]:
    rows = [row for row in published("mobilenetv2_100").top1 if row.training == "released weights"]
    whole = max(rows, key=lambda row: row.size)
    known = sorted((whole.size / row.size, whole.value - row.value) for row in rows)
    return tuple(inverse for inverse, _ in known), tuple(loss for _, loss in known)


def _largest(family: Sequence[Choice], macs: float) -> Choice | None:
    return next((choice for choice in reversed(family) if choice.macs <= macs), None)


def _look_at(
    within: Sequence[Looked],
    prepared: Prepared,
    reach: Callable[[Published | StartWeights], StartWeights | None],
    *,
    seed: int,
    display: Display,
) -> list[Looked]:
    """The same with their promise; without those whose weights cannot be had."""
    sample, preprocessing = _sample(prepared, max(looked.choice.size for looked in within), seed)
    found: list[Looked] = []
    until = time.monotonic() + POLICY.opening_s
    for number, looked in enumerate(within):
        if found and time.monotonic() > until:
            display.say(f"{len(within) - number} more are left out: this machine is slow today")
            break
        choice = looked.choice
        display.progress(0.1 + 0.9 * number / len(within), f"{choice.told} looks at {len(sample)} images")
        start = reach(choice.source)
        if start is None:
            continue
        model = build(choice.network)
        try:
            load_weights(model, start.path)
        except InputError as error:
            display.warn(f"{choice.told} is left out: {error}")
            continue
        size = choice.size
        wanted = start.prepared(msgspec.structs.replace(preprocessing, height=size, width=size, resize=size))
        x_NF = features(model, _resized(sample.images, size), wanted, prepared.accelerator)
        promise = left_out(x_NF, sample.labels)
        display.say(
            f"{choice.told}, {format_ms(looked.ms)}: frozen features tell {100 * promise:.1f} % of {len(sample)} images"
        )
        found.append(msgspec.structs.replace(looked, promise=promise))
    return found


def _sample(prepared: Prepared, size: int, seed: int) -> tuple[ArraySplit, Preprocessing]:
    """Some training images, decoded once, at the largest size that is looked at."""
    train = prepared.dataset.train
    count = min(max(POLICY.opening_images, 8 * len(prepared.dataset.classes)), 3 * POLICY.opening_images)
    generator = np.random.default_rng(seed_for(seed, "opening"))
    chosen = np.sort(generator.permutation(len(train))[:count])
    own = prepared.preprocessing
    resize = round(own.resize * size / own.height)
    preprocessing = msgspec.structs.replace(own, height=size, width=size, resize=resize)
    return decode(train.at(chosen), preprocessing, train=False), preprocessing


def _resized(images: torch.Tensor, size: int) -> torch.Tensor:
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
