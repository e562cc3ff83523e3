"""What a fit opens with: the best network within the budget whose published weights can be had, and at which size.

By published accuracy, less what the published MobileNetV2s lose at smaller inputs; then the latency table, where it has
all that is needed; then the clock.
"""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import list_models, load, published
from ridgepoint.cost.count import cost
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.display import Display
from ridgepoint.errors import InputError, RunError
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.pretrained import networks_for
from ridgepoint.fit.settings import FitSettings
from ridgepoint.nn.hub import answers
from ridgepoint.nn.published import Published, published_weights
from ridgepoint.nn.reach import how_to_get, lying
from ridgepoint.run.folder import RunFolder
from ridgepoint.run.origin import digest_file
from ridgepoint.train.recipe import SMALL_IMAGE
from ridgepoint.train.start import AUTO, HUB, StartWeights, named_weights, of_published, start_from
from ridgepoint.units import format_ms

STEP = "opening"
FASTEST_MACS_PER_MS = 150e6  # a thread's: no network that needs more can be within a budget
FETCH_S = 30.0  # for the hub, where nobody asked for weights by name
OVER = 1.3  # so far above the budget by the table, a network is not clocked


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """A network at an input size, for the data's classes; weights for it; and what it takes by the clock."""

    network: Network
    weights: StartWeights
    ms: float


class Opened(msgspec.Struct, kw_only=True):
    """The step of a run that says what it opened with."""

    opening: Opening | None = None


class _Choice(msgspec.Struct, frozen=True):
    """A network at a size, what it may reach on ImageNet, and where its weights are from."""

    network: Network
    expected: float
    macs: int
    source: Published | StartWeights


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
    host: HostTable,
    reached: Sequence[Published],
    *,
    limit_ms: float,
    display: Display,
) -> Opening | None:
    """The network, its size and its weights; chosen once per run. None where there is none, which is said.

    Raises:
        InputError: If weights were named and cannot be had, or fit no network.
        RunError: If the weights of a run that goes on are gone or changed.
    """
    known = run.read_step(STEP, Opened)
    if known is None:
        opening = _choose(run.settings, prepared, host, reached, limit_ms, display)
        run.write_step(STEP, msgspec.to_builtins(Opened(opening=opening)))
        return opening
    opening = known.opening
    if opening is not None and digest_file(opening.weights.path) != opening.weights.sha256:
        raise RunError(
            f"{run.path}: started from {opening.weights.path}, which is gone or changed. Put it back, or start anew "
            "with another --out"
        )
    return opening


def _choose(
    settings: FitSettings,
    prepared: Prepared,
    host: HostTable,
    reached: Sequence[Published],
    limit_ms: float,
    display: Display,
) -> Opening | None:
    if not wants_weights(settings, prepared):
        if settings.weights in (AUTO, HUB) and prepared.network is None:
            display.say("Published weights know photographs; images this small are learnt from nothing.")
        return None
    if (named := named_weights(settings.weights)) is not None:
        start = start_from(named)
        if not start.open_licence:
            display.warn(f"{start.name}: {start.licence}")
        found = _within(_of_weights(start, settings, prepared), host, limit_ms, settings, display)
        if found is None:
            display.say(f"{start.name}: every network that may start from it is over the budget; left out")
            return None
        display.say(f"{found[0].name} at {found[0].input[1]} px: {format_ms(found[1])}. {start.told()}")
        return Opening(network=found[0], weights=start, ms=found[1])
    if not reached:
        best = next(iter(_ranked(_of_published(_all_open(), settings, prepared, limit_ms))), None)
        how = f" {how_to_get(best.source)}." if best and isinstance(best.source, Published) else ""
        hub = "no hub answers" if _may_ask(settings) else "none were asked for (--weights hub downloads some)"
        display.say(f"No published weights are on this machine, and {hub}: learns from nothing.{how}")
        return None
    return _of_reached(list(reached), settings, prepared, host, limit_ms, display)


def _all_open() -> list[Published]:
    return [row for row in published_weights() if row.licence.open and row.repository is not None]


def _of_reached(
    rows: list[Published],
    settings: FitSettings,
    prepared: Prepared,
    host: HostTable,
    limit_ms: float,
    display: Display,
) -> Opening | None:
    """The best of published weights; where those cannot be had after all, the best on this machine."""
    choices = _of_published(rows, settings, prepared, limit_ms)
    found = _within(choices, host, limit_ms, settings, display)
    if found is None:
        display.say("No network with published weights within reach meets the budget: learns from nothing.")
        return None
    network, ms, source = found
    assert isinstance(source, Published)
    try:
        start = of_published(source, patience_s=FETCH_S)
    except InputError as error:
        display.warn(str(error))
        here = [row for row in rows if row != source and lying(row) is not None]
        return _of_reached(here, settings, prepared, host, limit_ms, display) if here else None
    display.say(f"{network.name} at {network.input[1]} px: {format_ms(ms)}. {start.told()}")
    return Opening(network=network, weights=start, ms=ms)


def _sizes(settings: FitSettings, prepared: Prepared) -> list[int]:
    """Input sizes of photographs: the data's own, and smaller ones; only that one where the user named it."""
    side = prepared.preprocessing.height
    if settings.size is not None or side <= SMALL_IMAGE:
        return [side]
    smallest = max(64, round(side * POLICY.opening_smallest / 32) * 32)
    return sorted({*range(smallest, side, 32), side})


def _of_published(
    rows: Sequence[Published], settings: FitSettings, prepared: Prepared, limit_ms: float
) -> list[_Choice]:
    most = limit_ms * FASTEST_MACS_PER_MS * settings.threads
    found = (
        _choice(load(row.network), row.size, row, size, prepared) for row in rows for size in _sizes(settings, prepared)
    )
    return [choice for choice in found if choice.macs <= most]


def _of_weights(start: StartWeights, settings: FitSettings, prepared: Prepared) -> list[_Choice]:
    pre = prepared.preprocessing
    if start.network is not None:
        networks = [load(start.network)]
    else:
        closing = prepared.task.head(prepared.dataset)
        networks = networks_for(start.path, closing, channels=pre.channels, height=pre.height, width=pre.width)
    return [_choice(network, 224, start, size, prepared) for network in networks for size in _sizes(settings, prepared)]


def _choice(network: Network, native: int, source: Published | StartWeights, size: int, prepared: Prepared) -> _Choice:
    channels, closing = prepared.preprocessing.channels, prepared.task.head(prepared.dataset)
    at = closing.close(suited(network, channels=channels, height=size, width=size, num_classes=closing.num_classes))
    return _Choice(at, top1(network.name) - lost(size / native), cost(at, form="deploy").macs, source)


def top1(name: str) -> float:
    """The best published ImageNet top-1 of a network, in percent; 0 where none is known.

    One that pads as TensorFlow does is as good as its twin.
    """
    names = [name, name.removeprefix("tf_")]
    return max((row.value for each in names if each in list_models() for row in published(each).top1), default=0.0)


def lost(share: float) -> float:
    """Points of top-1 that a network loses at so small a share of its own input size: as MobileNetV2 1.0 does."""
    shares, losses = _loss_curve()
    return float(np.interp(share, shares, losses))


@lru_cache(maxsize=1)
def _loss_curve() -> tuple[tuple[float, ...], tuple[float, ...]]:
    rows = [row for row in published("mobilenetv2_100").top1 if row.training == "released weights"]
    whole = max(rows, key=lambda row: row.size)
    known = sorted((row.size / whole.size, whole.value - row.value) for row in rows)
    return tuple(share for share, _ in known), tuple(loss for _, loss in known)


def _ranked(choices: Sequence[_Choice]) -> list[_Choice]:
    """The most promising first; weights without a classifier, whose training nobody has published, last."""
    return sorted(
        choices, key=lambda choice: (getattr(choice.source, "classes", 1) == 0, -choice.expected, choice.macs)
    )


def _within(
    choices: Sequence[_Choice], host: HostTable, limit_ms: float, settings: FitSettings, display: Display
) -> tuple[Network, float, Published | StartWeights] | None:
    """The first within the budget by the clock, the most promising first; None if none of those clocked is."""
    seen: list[tuple[str, float]] = []  # what a million MACs took of which network
    for clocked, choice in enumerate(_promising(choices, seen, host, limit_ms)):
        if clocked == POLICY.opening_clocked:
            break
        network = choice.network
        display.progress(0.05 * clocked, f"clocking {network.name} at {network.input[1]} px")
        ms = host.clock({network.name: network}, patience_s=0.0)[network.name].ms
        if ms <= limit_ms:
            return network, ms, choice.source
        seen.append((network.name, ms / choice.macs))
    return None


def _promising(
    choices: Sequence[_Choice], seen: Sequence[tuple[str, float]], host: HostTable, limit_ms: float
) -> Iterator[_Choice]:
    """Those that may be within the budget, by the table and by what was clocked meanwhile."""
    for choice in _ranked(choices):
        own = [per_mac for name, per_mac in seen if name == choice.network.name]
        others = [per_mac for _, per_mac in seen]
        if own and choice.macs * min(own) > 1.1 * limit_ms:
            continue
        if not own and others and choice.macs * min(others) > 2.0 * limit_ms:
            continue
        complete = host.table.calibration is not None or not host.model.missing(choice.network)
        if complete and host.latency(choice.network).ms > OVER * limit_ms:
            continue
        yield choice
