"""The first minute of a fit that reaches weights: a linear classifier on frozen features, then all of it fine-tuned."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch

from ridgepoint.display import Display
from ridgepoint.errors import DivergedError
from ridgepoint.fit.bound import checking_s, measure_ending, seconds_allowed
from ridgepoint.fit.finish import finish
from ridgepoint.fit.folds import Folded, fold
from ridgepoint.fit.fresh import fresh
from ridgepoint.fit.frozen import linear_classifier, put
from ridgepoint.fit.goals import in_float
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.opening import STEP as OPENING
from ridgepoint.fit.opening import Opened, Opening, choose_opening
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.ranking import sizes_for
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.share import FIRST_FILE, Ended, Share, kept_s, share_of_time
from ridgepoint.fit.steps import TrainedOne, as_trained
from ridgepoint.fit.teach import keep, teach
from ridgepoint.nn.build import build
from ridgepoint.nn.published import Published
from ridgepoint.nn.weights import load_weights
from ridgepoint.run.folder import RunFolder
from ridgepoint.run.result import FitResult
from ridgepoint.search.candidate import Candidate
from ridgepoint.seeds import seed_for
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.accelerator import ALL_THREADS
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.folder import TRAININGS, WEIGHTS
from ridgepoint.train.recipe import Recipe
from ridgepoint.workers.setup import TrainingSetup

FROZEN, FINETUNED = "frozen", "finetuned"


class Further(msgspec.Struct, kw_only=True):
    """Whether a further network was taken."""

    taken: bool


def begin_with_weights(
    job: FitJob, reached: Sequence[Published], show: Callable[[dict[str, Any]], object]
) -> tuple[list[Candidate], bool]:
    """A checked file at once, then better ones, where weights can be had; each is a result of the run under way.

    What promises most is fine-tuned first; where there is time for several, what promises about as much follows.

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
        opened = choose_opening(run, prepared, job.target, reached, limit_ms=job.limit_ms, display=display)
        if opened.opening is None:
            return [], True
        trained = [frozen(run, prepared, opened.opening, display)] if prepared.task is CLASSIFICATION else []
        if trained:
            opened = open_within(job, opened, reached, trained, show)
        assert opened.opening is not None
        if not trained and run.settings.evaluations is None:
            measure_ending(run, prepared, job.target, opened.opening.network)
        further = (
            0 if len(prepared.dataset.val) < POLICY.few_images else POLICY.finetuned - 1
        )  # few images cannot tell them apart
        openings = [opened.opening, *opened.near(further, POLICY.opening_near)]
    with run.phase("Fine-tuning", display):
        searched = True
        for number, opening in enumerate(openings):
            if number and not may_go_on(job, opening, number):
                continue
            if number:
                trained.append(frozen(run, prepared, opening, display))
            share = share_of_time(job, opening, number, len(openings), made=len(trained))
            searched = share.searched
            if trained and not share.finetuned:
                display.say(f"{opening.network.name} is left as it is: there is no time for enough steps to gain by.")
                break
            head = head_of(run, opening)
            if share.size is not None:
                display.say(f"{opening.network.name} learns at {share.size} px: larger images leave no time to learn.")
                opening = opening.at(share.size)
            folded = folds(run, prepared, opening, share, display, head=head)
            if folded is not None and not folded.worth_it:
                continue
            why = "" if folded is None else f"; {folded.told}"
            better = finetuned(run, prepared, opening, share, display, head=head, why=why)
            if better is not None and folded is not None:  # which has decided, and few validation images must not
                del trained[-1]
            trained += [] if better is None else [better]
            to_show = better is not None and better.name not in {stage.name for stage in job.stages}
            if to_show and (share.searched or share.more or (share.fresh and worth_showing(run, share))):
                show(finish(job, None, trained, last=False))
            if share.fresh and (beside := fresh(job, made=len(trained))) is not None:
                trained.append(beside)
    return trained, searched or not trained


def open_within(
    job: FitJob,
    opened: Opened,
    reached: Sequence[Published],
    trained: list[Candidate],
    show: Callable[[dict[str, Any]], object],
) -> Opened:
    """Show the first file; open anew where its own clock says that it does not meet the budget.

    Args:
        job: The fit.
        opened: What it opened with, which stays where nothing else is within the budget.
        reached: What `auto` may take.
        trained: Has that network, its classifier taught; gets others.
        show: Is given each result.
    """
    ended = show_file(job, trained, show, step=FIRST_FILE)
    if not ended.met and job.run.settings.precision == "auto":
        return open_in_float(job, opened, reached, trained, show)
    opening = opened.opening
    assert opening is not None
    for number in range(POLICY.smaller_inputs):
        if not ended.over or (size := smaller_within(job, opening, ended)) is None:
            break
        job.display.say(f"{trained[-1].name} is over the budget by its file's clock: opens at {size} px")
        opening = opening.at(size)
        trained.append(frozen(job.run, job.prepared, opening, job.display))
        ended = show_file(job, trained, show, step=f"{FIRST_FILE}-{number + 2}")
    return msgspec.structs.replace(opened, opening=opening)


def smaller_within(job: FitJob, opening: Opening, ended: Ended) -> int | None:
    """The largest input at which an opening should meet the budget, by what its file took; None where there is none."""
    own = opening.network.input[1]
    most_px = own * sqrt(POLICY.margin / ended.share)
    sizes = [size for size in sizes_for(job.run.settings, job.prepared, own) if size < own and size <= most_px]
    return max(sizes) if sizes and opening.knows(max(sizes)) else None


def show_file(
    job: FitJob, trained: Sequence[Candidate], show: Callable[[dict[str, Any]], object], *, step: str
) -> Ended:
    """Show the file of what was trained last, once per run and step; what that took, and whether it meets the budget.

    A clock that is in doubt refuses nothing.
    """
    known = job.run.read_step(step, Ended)
    if known is None:
        started = job.run.elapsed
        result = finish(job, None, list(trained), last=False)
        show(result)
        further = len(job.prepared.dataset.test) - (result["accuracy"]["count"] or 0)
        known = Ended(
            seconds=job.run.elapsed - started,
            further_s=checking_s(job.prepared, further, result["latency"]["ms"]),
            met=result["met"] or bool(result["doubts"]),
            share=msgspec.convert(result, FitResult).tightest_share,
        )
        job.run.write_step(step, msgspec.to_builtins(known))
    return known


def open_in_float(
    job: FitJob,
    opened: Opened,
    reached: Sequence[Published],
    trained: list[Candidate],
    show: Callable[[dict[str, Any]], object],
) -> Opened:
    """Open anew with what meets the budget in float, where only an int8 file would have and was refused.

    Args:
        job: The fit.
        opened: What it opened with, which stays where nothing is within the budget in float.
        reached: What `auto` may take.
        trained: Gets the new network, its classifier taught.
        show: Is given the result.
    """
    job.display.say("What is within the budget in int8 alone was refused there: looks for what is within it in float.")
    target, limit_ms = in_float(job.goals), job.limit_ms
    found = choose_opening(
        job.run, job.prepared, target, reached, limit_ms=limit_ms, display=job.display, step=f"{OPENING}-float32"
    )
    if found.opening is None:
        return opened
    trained.append(frozen(job.run, job.prepared, found.opening, job.display))
    if trained[-1].name not in {stage.name for stage in job.stages}:
        show(finish(job, None, list(trained), last=False))
    return found


def worth_showing(run: RunFolder[FitSettings], share: Share) -> bool:
    """Whether to export and clock what has learnt takes little beside what it has learnt for, and what others will."""
    return share.seconds is not None and share.seconds >= POLICY.shown_between * kept_s(run, made=0)


def may_go_on(job: FitJob, opening: Opening, number: int) -> bool:
    """Whether a further network is within the budget by the clock, and has time; decided once per run."""
    run, step = job.run, f"opening-{number + 1}"
    known = run.read_step(step, Further)
    if known is None:
        left_s = 0.0 if run.settings.evaluations is not None else seconds_allowed(run.settings) - run.elapsed
        taken = left_s - kept_s(run, made=1) >= POLICY.finetuned_next_s
        if taken:
            name = opening.network.name
            taken = job.target.clock({name: opening.network}, patience_s=0.0)[name].ms <= job.limit_ms
        known = Further(taken=taken)
        run.write_step(step, msgspec.to_builtins(known))
    return known.taken


def frozen(run: RunFolder[FitSettings], prepared: Prepared, opening: Opening, display: Display) -> Candidate:
    """The network of published weights whose classifier alone has learnt the data's classes."""
    candidate = _candidate(run, opening, FROZEN, note="as published; its classifier alone has learnt")
    known = run.read_step(f"trained-{candidate.name}", TrainedOne)
    if known is None:
        started = time.monotonic()
        torch.set_num_threads(ALL_THREADS)
        display.progress(0.1, "decoding the images")
        data = some_data_for(prepared, opening, seed=run.settings.seed)
        model = build(opening.network)
        load_weights(model, opening.weights.path)
        display.progress(0.3, f"{opening.network.name} looks at {len(data.train):,} images")
        found = linear_classifier(
            model.eval(),
            data.train,
            data.val,
            data.preprocessing,
            classes=opening.network.num_classes,
            accelerator=prepared.accelerator,
        )
        put(model, found)
        known = keep(
            run,
            prepared,
            candidate,
            model.cpu().eval(),
            data.preprocessing,
            {
                "val_accuracy": found.val_accuracy,
                "seconds": time.monotonic() - started,
                "steps": 0,
                "balanced": found.balanced,
            },
        )
    display.say(f"{candidate.name}: validation {prepared.task.metric} {known['val_accuracy']:.4f}")
    return as_trained(candidate, known)


class Head(NamedTuple):
    """What frozen features have taught a network's classifier: its training, and the file of all weights with it."""

    known: TrainedOne
    path: Path


def head_of(run: RunFolder[FitSettings], opening: Opening) -> Head | None:
    """The classifier of an opening; None where no frozen features were learnt from."""
    name = _candidate(run, opening, FROZEN, note="").name
    known = run.read_step(f"trained-{name}", TrainedOne)
    return None if known is None else Head(known, run.path / TRAININGS / name / WEIGHTS)


def folds(
    run: RunFolder[FitSettings],
    prepared: Prepared,
    opening: Opening,
    share: Share,
    display: Display,
    *,
    head: Head | None,
) -> Folded | None:
    """Whether fine-tuning is worth it, by all images; None where those of validation are enough to tell later."""
    if (
        head is None
        or len(prepared.dataset.val) >= POLICY.few_images
        or len(prepared.dataset.train) < POLICY.fold_images
    ):
        return None
    recipe = recipe_of(run, prepared, _candidate(run, opening, FINETUNED, note=""), head=head)
    epochs, data = share.epochs or recipe.epochs, data_for(prepared, opening)
    try:
        found = fold(run, prepared, opening, data, recipe, epochs=epochs, display=display)
    except DivergedError as error:
        display.warn(f"{opening.network.name}: {error}")
        return None
    display.say(f"{opening.network.name}: {found.told}")
    return found


def finetuned(
    run: RunFolder[FitSettings],
    prepared: Prepared,
    opening: Opening,
    share: Share,
    display: Display,
    *,
    head: Head | None,
    why: str = "",
) -> Candidate | None:
    """The same network, all of it taught by the recipe `finetune`, from there or as published; None if it diverged."""
    candidate = _candidate(run, opening, FINETUNED, note=f"from published weights, all of it fine-tuned{why}")
    known = run.read_step(f"trained-{candidate.name}", TrainedOne)
    if known is None:
        recipe = recipe_of(run, prepared, candidate, head=head)
        try:
            known = teach(
                run,
                prepared,
                candidate,
                data_for(prepared, opening),
                recipe=recipe,
                bound=share.bound(recipe),
                initial=opening.weights.path if head is None else str(head.path),
                told=display.progress,
            )
        except DivergedError as error:
            display.warn(f"{candidate.name}: {error}")
            return None
    display.say(f"{candidate.name}: validation {prepared.task.metric} {known['val_accuracy']:.4f}")
    return as_trained(candidate, known)


def recipe_of(run: RunFolder[FitSettings], prepared: Prepared, candidate: Candidate, *, head: Head | None) -> Recipe:
    """The recipe `finetune`, unless the user has another one, on from a head that knows the classes.

    Such a head need not learn alone first; and where it was better with all classes weighing alike, they go on so.
    """
    recipe = prepared.recipe_for(candidate)
    if head is None or run.settings.recipe is not None:
        return recipe
    changes = {"frozen": 0.0} | ({"sampling": "balanced"} if head.known.get("balanced") else {})
    changes = {name: value for name, value in changes.items() if name not in run.settings.changes}
    return msgspec.structs.replace(recipe, **changes)


def data_for(prepared: TrainingSetup, opening: Opening) -> TrainingData:
    """The images at the network's size, normalised as its weights want, and cut less, for few epochs show little.

    Seen: two epochs of EfficientNet-Lite0 at 96 px on 2,608 photographs, 87.4 % where crops keep 70 % of the image at
    least, 86.2 % where they keep 35 %.
    """
    return _as_wanted(prepared.data_for(opening.network), opening)


def some_data_for(prepared: TrainingSetup, opening: Opening, *, seed: int) -> TrainingData:
    """As many of the images as a classifier on frozen features learns from and is chosen by; others wait."""
    dataset, generator = prepared.dataset, np.random.default_rng(seed_for(seed, "frozen"))
    few = [
        part if len(part) <= most else part.at(np.sort(generator.permutation(len(part))[:most]))
        for part, most in ((dataset.train, POLICY.frozen_images), (dataset.val, POLICY.frozen_val))
    ]
    if few == [dataset.train, dataset.val]:
        return data_for(prepared, opening)
    some = dataclasses.replace(dataset, train=few[0], val=few[1])
    preprocessing = prepared.preprocessing_for(opening.network)
    return _as_wanted(training_data(some, preprocessing, augmentation=prepared.augmentation), opening)


def _as_wanted(data: TrainingData, opening: Opening) -> TrainingData:
    low, high = data.augmentation.crop_scale
    crops = (max(low, POLICY.finetuning_crop), max(high, POLICY.finetuning_crop))
    augmentation = msgspec.structs.replace(data.augmentation, crop_scale=crops)
    preprocessing = opening.weights.prepared(data.preprocessing)
    return dataclasses.replace(data, preprocessing=preprocessing, augmentation=augmentation)


def _candidate(run: RunFolder[FitSettings], opening: Opening, how: str, *, note: str) -> Candidate:
    return Candidate(
        name=f"{opening.network.name}-{opening.network.input[1]}px-{how}",
        phase="baseline",
        network=opening.network,
        seed=run.settings.seed,
        weights=opening.weights.name,
        note=note,
    )
