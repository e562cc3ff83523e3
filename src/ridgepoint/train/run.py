"""`train` as a run: a folder that can be killed, one network, one recipe, its score on untouched images at the end."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import torch

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import limit_stride, total_stride
from ridgepoint.arch.zoo import load
from ridgepoint.data import Dataset, Preprocessing, decode
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.display import Display
from ridgepoint.errors import InterruptedRun
from ridgepoint.run.folder import RESULT, RunFolder, free_folder, open_run
from ridgepoint.run.origin import Origin, digest, digest_file
from ridgepoint.run.process import as_found
from ridgepoint.run.records import write_record
from ridgepoint.train.accelerator import CPU, find_accelerator, told
from ridgepoint.train.batches import Batches, Loss, TrainingData, training_data
from ridgepoint.train.folder import About, save_training, weight_file
from ridgepoint.train.loop import Bound, Trained, logits, train
from ridgepoint.train.objective import Objective, Reading
from ridgepoint.train.processes import processes
from ridgepoint.train.recipe import Recipe, load_recipe
from ridgepoint.train.samples import Sample, batch_samples, write_samples
from ridgepoint.train.settings import TrainSettings
from ridgepoint.train.start import StartWeights, named_weights, remember, start_of

S = TypeVar("S", bound=TrainSettings)


@dataclass(frozen=True, kw_only=True, eq=False)
class Course(Generic[S]):
    """What a training is to be, before a file is written."""

    settings: S
    folder: Path
    objective: Objective
    network: Network
    dataset: Dataset
    preprocessing: Preprocessing
    recipe: Recipe
    accelerator: torch.device
    start: StartWeights | None = None

    @cached_property
    def data(self) -> TrainingData:
        """The images, decoded when they are first asked for."""
        varied = self.objective.augmentation(self.dataset, self.preprocessing)
        return training_data(self.dataset, self.preprocessing, augmentation=varied, keep=True)

    @property
    def origin(self) -> Origin:
        """What the run begins on."""
        known = {
            "data": self.dataset.fingerprint,
            "model": digest(self.network),
            "recipe": digest(self.recipe),
        }
        given = named_weights(self.settings.weights)
        return known | ({"weights": digest_file(weight_file(given))} if given else {})


@dataclass(frozen=True, kw_only=True, eq=False)
class Teaching:
    """What is not as usual in a training.

    Attributes:
        batches: What the steps see, where it is not the augmented images.
        loss: Where it is not the task's.
        samples: Images as the network sees them, where they are not the augmented ones.
        result: What `result.json` tells besides.
    """

    batches: Batches | None = None
    loss: Loss | None = None
    samples: list[Sample] | None = None
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What a request for a training means.

    Attributes:
        begin: Does what comes before the first step, once the folder is the run's.
        origin: What the run begins on besides network, data, weights and recipe.
    """

    begin: Callable[[Display], Teaching] = lambda display: Teaching()
    origin: Origin = field(default_factory=dict)


@as_found()
def run_training(
    settings: S,
    *,
    read: Reading,
    out: Path | None,
    resume: bool,
    display: Display,
    asked: Collection[str] | None = None,
    plan: Callable[[Course[S]], Plan] = lambda course: Plan(),
) -> dict[str, Any]:
    """Train, test and write everything down; the content of `result.json`.

    Of several processes that train together, the first one writes and has a result; the others' is empty.

    Args:
        settings: The request.
        read: Gives the task, and the data that it finds.
        out: The run folder; the next free one under runs/ if left open.
        resume: Go on with what is there.
        display: Whoever watches.
        asked: The settings that the user named; of a resumed run the others are as it was begun.
        plan: Refuses a request that makes no sense, before anything is written, and says how to begin.

    Raises:
        InputError: If the request or the data are wrong.
        RunError: If the folder holds something already, nothing to resume, or a run that was begun otherwise.
        InterruptedRun: If the user stopped it; it can be resumed.
    """
    together = processes()
    if together.count > 1 and not resume:
        out = together.agreed(out or free_folder(settings))
    with open_run(settings, out=out, resume=resume, asked=asked, alone=together.first) as run:
        try:
            course = _course(run, read, display)
            planned = plan(course)
            run.begin(course.origin | planned.origin)
            remember(run, course.start)
            if (result := run.result()) is not None:
                display.say(f"{run.path}: is finished already")
                return result
            torch.set_deterministic_debug_mode("warn")
            teaching = planned.begin(display)
            done = _train(course, teaching, display)
        except KeyboardInterrupt:
            if not run.begun:
                raise InterruptedRun("stopped before anything was begun") from None
            go_on = run.settings.command(out=str(run.path), resume=True)
            raise InterruptedRun(f"stopped; everything so far is saved. Go on with: {go_on}") from None
        return _finish(course, done, teaching) if together.first else {}


def _course(run: RunFolder[S], read: Reading, display: Display) -> Course[S]:
    """Read the data, choose input and recipe, and say all of it."""
    settings = run.settings
    accelerator = find_accelerator(settings.accelerator)
    network = load(settings.model)
    load_recipe(settings.recipe or "photographs", dict(settings.changes))  # refused before the data are read
    start = start_of(run, settings.weights, network.name, display.say)
    root = Path(settings.data_root) if settings.data_root else None
    objective, dataset = read(settings.data, seed=settings.seed, root=root)
    for line in objective.summary(dataset).splitlines():
        display.say(line)
    preprocessing, reason = objective.input(dataset, settings.size)
    display.say(reason)
    preprocessing = preprocessing if start is None else start.prepared(preprocessing)
    side = preprocessing.height
    network = objective.head(dataset).close(network.at(channels=preprocessing.channels, height=side))
    if total_stride(network) > max(side // 2, 1):
        network = limit_stride(network, max(side // 2, 1))
        display.say(f"{network.name}: its earliest strides are set to 1, so that {side} px leave a 2x2 map")
    usual = objective.recipe(side, trained=start is not None)
    recipe = load_recipe(settings.recipe or usual, dict(settings.changes))
    display.say(f"Training on: {told(accelerator)}.")
    return Course(
        settings=settings,
        folder=run.path,
        objective=objective,
        network=network,
        dataset=dataset,
        preprocessing=preprocessing,
        recipe=recipe,
        accelerator=accelerator,
        start=start,
    )


def _train(course: Course[S], teaching: Teaching, display: Display) -> Trained:
    """The training itself, from the start or from its checkpoint."""
    settings, folder, objective = course.settings, course.folder, course.objective
    batches = teaching.batches or objective.batches(
        course.data,
        course.recipe,
        outputs=course.network.num_classes,
        seed=settings.seed,
        accelerator=CPU if settings.workers else course.accelerator,
    )
    if processes().first:
        seen = teaching.samples or batch_samples(
            batches, course.recipe.curriculum, lambda targets: objective.words(targets, course.dataset.classes)
        )
        write_samples(folder, seen)
    with display.phase("Training"):
        return train(
            course.network,
            course.data,
            course.recipe,
            bound=Bound(seconds=settings.time_s) if settings.time_s else Bound(epochs=course.recipe.epochs),
            seed=settings.seed,
            folder=folder,
            initial=None if course.start is None else course.start.path,
            batches=batches,
            loss=teaching.loss or objective.loss(course.recipe),
            score=objective.score,
            workers=settings.workers,
            accelerator=course.accelerator,
            on_step=lambda share, row: display.progress(share, _note(row, objective.metric)),
        )


def _finish(course: Course[S], done: Trained, teaching: Teaching) -> dict[str, Any]:
    """Save the model, test it on untouched images, and write the result."""
    settings, folder, dataset, preprocessing = course.settings, course.folder, course.dataset, course.preprocessing
    objective = course.objective
    about = About(
        labels=dataset.classes,
        preprocessing=preprocessing,
        val_accuracy=done.val_accuracy,
        steps=done.steps,
        seconds=done.seconds,
        data=TrainedOn.of(dataset, settings.seed),
        task=objective.name,
    )
    save_training(folder, done.model, about)
    test = decode(dataset.test, preprocessing, train=False)
    found = objective.score(logits(done.model.to(course.accelerator), test.images, preprocessing), test.labels)
    result = {
        "model": settings.model,
        "run": str(folder.resolve()),
        "task": objective.name,
        "metric": objective.metric,
        "data": objective.summary(dataset),
        "counts": {name: len(getattr(dataset, name)) for name in ("train", "val", "test")},
        "accuracy": {"val": done.val_accuracy, "test": found.value},
        "score": {"value": found.value, "parts": found.parts, "by_label": found.labelled(dataset.classes)},
        **found.told(objective.by_label, dataset.classes),
        "steps": done.steps,
        "epochs": done.epochs,
        "train_s": done.seconds,
        "accelerator": told(course.accelerator),
        "recipe": msgspec.to_builtins(course.recipe),
        "weights": None if course.start is None else course.start.name,
        "seed": settings.seed,
        **teaching.result,
    }
    write_record(folder / RESULT, result)
    return result


def _note(row: dict[str, Any], metric: str) -> str:
    accuracy = f", validation {metric} {row['val_accuracy']:.3f}" if "val_accuracy" in row else ""
    return f"loss {row['loss']:.3f}{accuracy}"
