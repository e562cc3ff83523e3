"""What a fit came to, in a sentence or two, and what to do next: the report's first lines and the terminal's last."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from ridgepoint.cost.latency import PredictedLatency
from ridgepoint.cost.precision import FLOAT32
from ridgepoint.deploy.quantize import QUANTIZERS
from ridgepoint.fit.settings import DEFAULT_TIME_S, FitSettings
from ridgepoint.report.parts.part import Part
from ridgepoint.report.result import Metric, Run
from ridgepoint.run.result import Accuracy, FitResult, Told, bound_ms
from ridgepoint.train.settings import TrainSettings
from ridgepoint.train.start import named_weights
from ridgepoint.units import format_ms

# A training that gained so much in its last third would have gained more.
RISING = 0.04
# A network this far below its budget leaves room for a larger one.
SMALL_SHARE = 0.5
MORE = 3
"""How many times the time, or the epochs, a training that was still learning should get."""

S = TypeVar("S", FitSettings, TrainSettings)
Tone = Literal["good", "open", "bad"]


class Step(msgspec.Struct, frozen=True):
    """Something to do next: why, and the command."""

    why: str
    command: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to.

    Attributes:
        tone: `good`: met, and it has learnt; `open`: it cannot be said yet; `bad`: missed.
        badge: Two or three words.
        sentences: The budget and the score first; then what keeps the network from being better.
        guess: What the score is to be held against.
        steps: What to do next.
    """

    tone: Tone
    badge: str
    sentences: tuple[str, ...]
    guess: str
    steps: tuple[Step, ...]


def verdict(run: Run) -> Verdict:
    """The verdict on a fit or a search."""
    result = run.result
    doubted, learnt = bool(result.doubts), has_learnt(result.accuracy, run.part)
    rise = gain(run.trainings.get(result.network.name, []))
    told = run.part.sentence(result.metric, result.accuracy, of="the exported file")
    sentences = (_budget(result), told, *_elsewhere(result), *_held_back(result, learnt=learnt, rise=rise))
    if doubted:
        tone, badge = "open", "not measurable"
    elif not result.met:
        tone, badge = "bad", "budget missed" if result.measured else "budget missed, predicted"
    elif not result.measured and learnt:
        tone, badge = "good", "met as predicted"
    else:
        tone, badge = ("good", "budget met") if learnt else ("open", "met, but nothing learnt")
    return Verdict(
        tone=tone,  # type: ignore[arg-type]
        badge=badge,
        sentences=sentences,
        guess=run.part.guess(result.accuracy),
        steps=tuple(_steps(run, wants_more=not learnt or rise > RISING)),
    )


def has_learnt(accuracy: Accuracy, part: Part) -> bool:
    """Whether the score is above what the most frequent class alone would explain; True where that is not known."""
    if None in (accuracy.artefact, accuracy.majority, accuracy.count) or not accuracy.count:
        return True
    score = accuracy.artefact or 0.0
    low, _ = part.interval(score, accuracy.count) or (score, score)
    return low > (accuracy.majority or 0.0)


def gain(metrics: Sequence[Metric]) -> float:
    """By how much validation accuracy grew in the last third of a training; 0.0 where that is not known."""
    judged = [row for row in metrics if row.val_accuracy is not None]
    early = [row for row in judged if row.progress <= 2 / 3]
    return (judged[-1].val_accuracy or 0.0) - (early[-1].val_accuracy or 0.0) if early else 0.0


def _budget(result: FitResult) -> str:
    ms, budget, share = format_ms(result.latency.ms), format_ms(result.budget_ms), result.share
    met = result.targets[0].met if result.targets else result.met
    if isinstance(result.latency, PredictedLatency):
        return _predicted(result.latency, met=met, budget=budget)
    where = "" if result.latency.place == "host" else f" on {result.latency.place}"
    if result.doubts:
        return f"NOT measurable: {' '.join(_sentence(doubt) for doubt in result.doubts)}"
    if not met and result.latency.ms <= result.budget_ms:
        return f"In float, {ms} measured, {100 * share:.0f} % of {budget}: no int8 file is one to ship."
    if met:
        return f"Meets {budget}: {ms} measured{where}, {100 * share:.0f} % of the budget."
    return f"Misses {budget}: the nearest network takes {ms} measured{where}, {share:.2g} times the budget."


def _elsewhere(result: FitResult) -> list[str]:
    """Of every further device, and how far the one network is from the best for each."""
    said = []
    for target in result.targets[1:]:
        budget = format_ms(target.budget_ms)
        if target.latency is None:
            said.append(f"Misses {budget} on {target.name}: no int8 file is one to ship there.")
        elif isinstance(target.latency, PredictedLatency):
            said.append(_predicted(target.latency, met=target.met, budget=budget))
        else:
            word, ms = "Meets" if target.met else "Misses", format_ms(target.latency.ms)
            said.append(
                f"{word} {budget} on {target.name}: {ms} measured, {100 * (target.share or 0):.0f} % of the budget."
            )
    if result.universality is not None:
        said.append(
            f"Universality {result.universality:.3f}: so many times as good as the best one for a device alone, where "
            "that ratio is worst, among those that were looked at."
        )
    return said


def _predicted(latency: PredictedLatency, *, met: bool, budget: str) -> str:
    """Of a device that is not at hand: what was predicted, for how many networks it holds, and that nothing ran."""
    bound = f"at most {format_ms(latency.ms if latency.bound_ms is None else latency.bound_ms)}"
    where = f"on {latency.device} in {latency.precision or 'its own precision'}"
    share = f"by the upper end of the interval of {latency.confidence:.0%} of networks" if latency.confidence else ""
    told = f"{format_ms(latency.ms)} predicted {where}, {bound} {share}"
    nothing = f"Nothing was measured on {latency.device}"
    return f"{'Should meet' if met else 'May miss'} {budget}: {told}. {nothing}."


def tells_learning(metric: str, epochs: float | None, *, learnt: bool, rise: float) -> list[str]:
    """Whether more time would have helped, where the curve says so."""
    seen = "" if epochs is None else f" after {epochs:.2g} passes over the images"
    if not learnt:
        return [f"It has learnt next to nothing{seen}: the most frequent class alone explains as much."]
    if rise > RISING:
        return [
            f"It was still learning when its training ended{seen}: validation {metric} rose by {100 * rise:.0f} "
            "points in the last third. Give it more time, or weights to start from."
        ]
    return []


def _held_back(result: FitResult, *, learnt: bool, rise: float) -> list[str]:
    """What keeps the network from being better, where that is seen."""
    if told := tells_learning(result.metric, result.network.epochs, learnt=learnt, rise=rise):
        return told
    if result.met and not result.doubts and result.tightest_share < SMALL_SHARE:
        return ["A larger network would fit into the budget, and may be better if it gets the time to learn."]
    return []


def _steps(run: Run, *, wants_more: bool) -> list[Step]:
    result, settings = run.result, run.settings
    file = shlex.quote(str(run.folder / Path(result.artefact).name))
    steps = []
    if result.doubts and settings is not None:
        again = settings.command(out=str(run.folder), resume=True)
        steps.append(Step("Clock it again when the machine is calm; nothing else is done again", again))
    elif not result.met and not result.doubts and settings is not None:
        if (loose := _loosened(settings, result)) != settings:
            steps.append(Step("Allow what the nearest one takes", loose.command()))
        smaller = msgspec.structs.replace(settings, size=max(round(0.75 * min(result.network.input[1:]) / 8) * 8, 8))
        steps.append(Step("Or show it smaller images", smaller.command()))
    if wants_more and settings is not None:
        steps.append(Step("Give it more time", longer(settings, result.recipe).command()))
        if named_weights(settings.weights) is None and not any(rival.weights for rival in result.baselines):
            command = f"{settings.command()} --weights FILE"
            steps.append(Step("Or let it start from weights that know photographs", command))
    if settings is not None and _may_gain_in_int8(result, settings):
        command = msgspec.structs.replace(settings, precision="auto").command()
        steps.append(Step("Let 8-bit integers compete, in which a larger input may meet the budget", command))
    steps += [
        Step("Try it on a photograph", f"ridgepoint predict {file} PHOTO"),
        Step(f"See how it does on {run.part.own_data}", f"ridgepoint eval {file} FOLDER"),
    ]
    return steps


def _may_gain_in_int8(result: FitResult, settings: FitSettings) -> bool:
    """Whether the budget kept published weights at an input smaller than int8, which was not asked for, would allow."""
    asked = settings.precision != FLOAT32.name or settings.size is not None or settings.runtime not in QUANTIZERS
    used = result.met and result.measured and not result.doubts and result.tightest_share >= SMALL_SHARE
    return used and not asked and any(rival.weights for rival in result.baselines)


def _loosened(settings: FitSettings, result: FitResult) -> FitSettings:
    """The same request with as much as the chosen network takes, where that is more than the budget."""

    def enough(latency: Told | None, budget_ms: float) -> float:
        needed = budget_ms if latency is None else bound_ms(latency)
        return budget_ms if needed <= budget_ms else max(float(f"{needed * 1.05:.2g}"), needed)

    also = tuple(
        text if enough(each.latency, each.budget_ms) == each.budget_ms else
        f"{each.name}={enough(each.latency, each.budget_ms):.6g}ms"
        for text, each in zip(settings.also, result.targets[1:], strict=False)
    )  # fmt: skip
    return msgspec.structs.replace(settings, latency_ms=enough(result.latency, result.budget_ms), also=also)


def longer(settings: S, recipe: Mapping[str, object]) -> S:
    """The same request with more of what bounded its trainings."""
    counted = settings.evaluations is not None if isinstance(settings, FitSettings) else settings.time_s is None
    if not counted:
        return msgspec.structs.replace(settings, time_s=MORE * (settings.time_s or DEFAULT_TIME_S))
    epochs = settings.changes.get("epochs", recipe.get("epochs"))
    more = MORE * epochs if isinstance(epochs, int) else 100
    return msgspec.structs.replace(settings, changes={**settings.changes, "epochs": more})


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
