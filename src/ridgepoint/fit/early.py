"""The first minute of a fit that reaches weights: a linear classifier on frozen features, then all of it fine-tuned."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import torch

from ridgepoint.display import Display
from ridgepoint.errors import DivergedError
from ridgepoint.fit.bound import BESIDE, seconds_allowed
from ridgepoint.fit.finish import finish
from ridgepoint.fit.frozen import linear_classifier, put
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.opening import STEP as OPENING
from ridgepoint.fit.opening import Opening, choose_opening
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.steps import TrainedOne
from ridgepoint.fit.teach import keep, teach
from ridgepoint.nn.build import build
from ridgepoint.nn.published import Published
from ridgepoint.nn.weights import load_weights
from ridgepoint.run.folder import RunFolder, Seconds
from ridgepoint.search.candidate import Candidate
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.accelerator import ALL_THREADS
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.folder import TRAININGS, WEIGHTS
from ridgepoint.train.loop import Bound

FROZEN, FINETUNED = "frozen", "finetuned"
FIRST_FILE = "first-file"  # a step: how long export, check and clock took


class Ended(msgspec.Struct, kw_only=True):
    """Seconds that export, check and clock of the first file took."""

    seconds: Seconds


class Share(msgspec.Struct, kw_only=True):
    """How long weights are fine-tuned, None by the recipe's epochs; and whether a search follows."""

    seconds: Seconds | None = None
    finetuned: bool = True
    searched: bool = True


def begin_with_weights(
    job: FitJob, reached: Sequence[Published], show: Callable[[dict[str, Any]], object]
) -> tuple[list[Candidate], bool]:
    """A checked file at once, then a better one, where weights can be had; each is a result of the run under way.

    Args:
        job: The fit.
        reached: What `auto` may take.
        show: Is given each result.

    Returns:
        What was trained, nothing where there are no weights; and whether a search follows.
    """
    run, prepared, display = job.run, job.prepared, job.display
    if run.read_step(OPENING) is None and run.read_step("plan") is not None:
        return [], True  # begun by a version that searched at once
    with run.phase("First file", display):
        opening = choose_opening(run, prepared, job.host, reached, limit_ms=job.limit_ms, display=display)
        if opening is None:
            return [], True
        trained = [frozen(run, prepared, opening, display)] if prepared.task is CLASSIFICATION else []
        if trained and run.read_step(FIRST_FILE) is None:
            started = run.elapsed
            show(finish(job, None, trained, last=False))
            run.write_step(FIRST_FILE, {"seconds": run.elapsed - started})
    share = share_of_time(run)
    if trained and not share.finetuned:
        return trained, share.searched
    with run.phase("Fine-tuning", display):
        better = finetuned(run, prepared, opening, share, display)
        trained += [] if better is None else [better]
        if better is not None and share.searched and better.name not in {stage.name for stage in job.stages}:
            show(finish(job, None, trained, last=False))
    return trained, share.searched or not trained


def frozen(run: RunFolder[FitSettings], prepared: Prepared, opening: Opening, display: Display) -> Candidate:
    """The network of published weights whose classifier alone has learnt the data's classes."""
    candidate = _candidate(run, opening, FROZEN, note="as published; its classifier alone has learnt")
    known = run.read_step(f"trained-{candidate.name}", TrainedOne)
    if known is None:
        started = time.monotonic()
        torch.set_num_threads(ALL_THREADS)
        display.progress(0.1, "decoding the images")
        data = data_for(prepared, opening)
        model = build(opening.network)
        load_weights(model, opening.weights.path)
        display.progress(0.3, f"{opening.network.name} looks at {len(data.train):,} images")
        found = linear_classifier(
            model.eval(),
            data.train,
            data.val,
            data.preprocessing,
            classes=opening.network.num_classes,
            seed=run.settings.seed,
            accelerator=prepared.accelerator,
            most=POLICY.frozen_images,
        )
        put(model, found)
        known = keep(
            run,
            prepared,
            candidate,
            model.cpu().eval(),
            data,
            {"val_accuracy": found.val_accuracy, "seconds": time.monotonic() - started, "steps": 0},
        )
    display.say(f"{candidate.name}: validation accuracy {known['val_accuracy']:.4f}")
    return _told(candidate, known)


def finetuned(
    run: RunFolder[FitSettings], prepared: Prepared, opening: Opening, share: Share, display: Display
) -> Candidate | None:
    """The same network, all of it taught by the recipe `finetune`, from there or as published; None if it diverged."""
    candidate = _candidate(run, opening, FINETUNED, note="from published weights, all of it fine-tuned")
    known = run.read_step(f"trained-{candidate.name}", TrainedOne)
    if known is None:
        recipe = prepared.recipe_for(candidate)
        first = run.path / TRAININGS / _candidate(run, opening, FROZEN, note="").name / WEIGHTS
        try:
            known = teach(
                run,
                prepared,
                candidate,
                data_for(prepared, opening),
                bound=Bound(epochs=recipe.epochs) if share.seconds is None else Bound(seconds=share.seconds),
                initial=str(first) if first.exists() else opening.weights.path,
                told=display.progress,
            )
        except DivergedError as error:
            display.warn(f"{candidate.name}: {error}")
            return None
    display.say(f"{candidate.name}: validation accuracy {known['val_accuracy']:.4f}")
    return _told(candidate, known)


def share_of_time(run: RunFolder[FitSettings]) -> Share:
    """How the time after the first file is divided; decided once per run."""
    known = run.read_step("finetuning", Share)
    if known is not None:
        return known
    if run.settings.evaluations is not None:
        share = Share()
    else:
        ended = run.read_step(FIRST_FILE, Ended)
        left_s = max(seconds_allowed(run.settings) - run.elapsed - 1.5 * (ended.seconds if ended else 0.0), 0.0)
        searched = (1 - POLICY.finetuning_share) * left_s >= POLICY.search_least_s
        seconds = (POLICY.finetuning_share if searched else 1.0) * left_s / BESIDE
        share = Share(seconds=seconds, finetuned=seconds >= POLICY.finetuning_least_s, searched=searched)
    run.write_step("finetuning", msgspec.to_builtins(share))
    return share


def data_for(prepared: Prepared, opening: Opening) -> TrainingData:
    """The images at the network's size, normalised as its weights want."""
    data = prepared.data_for(opening.network)
    return dataclasses.replace(data, preprocessing=opening.weights.prepared(data.preprocessing))


def _candidate(run: RunFolder[FitSettings], opening: Opening, how: str, *, note: str) -> Candidate:
    return Candidate(
        name=f"{opening.network.name}-{opening.network.input[1]}px-{how}",
        phase="baseline",
        network=opening.network,
        seed=run.settings.seed,
        weights=opening.weights.name,
        measured_ms=opening.ms,
        note=note,
    )


def _told(candidate: Candidate, known: TrainedOne) -> Candidate:
    return msgspec.structs.replace(
        candidate,
        val_accuracy=known["val_accuracy"],
        train_s=known["seconds"],
        steps=known["steps"],
        epochs=known.get("epochs"),
    )
