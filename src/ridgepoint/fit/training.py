"""`train` as a run: a folder that can be killed, one network, one recipe, accuracy on untouched images at the end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
import torch

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import limit_stride, total_stride
from ridgepoint.arch.zoo import load
from ridgepoint.data import Dataset, choose_input, decode, detect
from ridgepoint.display import Display
from ridgepoint.errors import InterruptedRun, RunError
from ridgepoint.files import make_folder, write_atomic
from ridgepoint.fit.folder import RESULT, SETTINGS
from ridgepoint.fit.prepare import SMALL_IMAGE
from ridgepoint.nn.hub import read_weights
from ridgepoint.train.accelerator import CPU, find_accelerator, told
from ridgepoint.train.batches import AugmentedBatches, Batches, Loss, TrainingData, training_data
from ridgepoint.train.folder import About, save_training
from ridgepoint.train.loop import Bound, Trained, logits, train
from ridgepoint.train.processes import processes
from ridgepoint.train.recipe import Recipe, load_recipe
from ridgepoint.train.samples import Sample, batch_samples, write_samples


class TrainSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks of `train`; written into the run folder and read back by a resume.

    `accelerator` is where it computes. `workers` prepare batches beside it: beside a CPU they change its speed alone,
    while a GPU's own batches differ from theirs by rounding.
    """

    verb: ClassVar[str] = "train"
    model: str
    data: str
    recipe: str | None = None
    changes: dict[str, Any] = {}
    weights: str | None = None
    time_s: float | None = None
    size: int | None = None
    seed: int = 0
    data_root: str | None = None
    workers: Annotated[int, msgspec.Meta(ge=0)] = 0
    accelerator: str = "auto"


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """What a training is to be, before a file is written."""

    settings: TrainSettings
    folder: Path
    network: Network
    dataset: Dataset
    data: TrainingData
    recipe: Recipe
    accelerator: torch.device


@dataclass(frozen=True, kw_only=True, eq=False)
class Teaching:
    """What is not as usual in a training.

    Attributes:
        batches: What the steps see, where it is not the augmented images.
        loss: Where it is not cross-entropy with the labels.
        samples: Images as the network sees them, where they are not the augmented ones.
        result: What `result.json` tells besides.
    """

    batches: Batches | None = None
    loss: Loss | None = None
    samples: list[Sample] | None = None
    result: dict[str, Any] = field(default_factory=dict)


Begin = Callable[[Display], Teaching]
_Settings = TypeVar("_Settings", bound=TrainSettings)


def run_training(
    settings: TrainSettings,
    *,
    out: Path | None,
    resume: bool,
    display: Display,
    plan: Callable[[Course], Begin] = lambda course: lambda display: Teaching(),
) -> dict[str, Any]:
    """Train, test and write everything down; the content of `result.json`.

    Of several processes that train together, the first one writes and has a result; the others' is empty.

    Args:
        settings: The request; a resume goes on with the one that is in the folder.
        out: The run folder; the next free one under runs/ if left open.
        resume: Go on with what is there.
        display: Whoever watches.
        plan: Refuses a request that makes no sense, and says how to begin once the folder is there.

    Raises:
        InputError: If the request or the data are wrong.
        RunError: If the folder holds something already, or nothing to resume.
        InterruptedRun: If the user stopped it; it can be resumed.
    """
    course = _course(settings, out, resume, display)
    settings, folder = course.settings, course.folder
    begin = plan(course)
    make_folder(folder)
    write_atomic(folder / SETTINGS, msgspec.json.format(msgspec.json.encode(settings)))
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        teaching = begin(display)
        batches = teaching.batches or AugmentedBatches(
            course.data,
            course.recipe,
            num_classes=course.network.num_classes,
            seed=settings.seed,
            accelerator=CPU if settings.workers else course.accelerator,
        )
        if processes().first:
            seen = teaching.samples or batch_samples(batches, course.recipe.curriculum, course.dataset.classes)
            write_samples(folder, seen)
        with display.phase("Training"):
            done = train(
                course.network,
                course.data,
                course.recipe,
                bound=Bound(seconds=settings.time_s) if settings.time_s else Bound(epochs=course.recipe.epochs),
                seed=settings.seed,
                folder=folder,
                initial=settings.weights,
                batches=batches,
                loss=teaching.loss,
                workers=settings.workers,
                accelerator=course.accelerator,
                on_step=lambda share, row: display.progress(share, _note(row)),
            )
    except KeyboardInterrupt:
        raise InterruptedRun(f"stopped; go on with the same command and --out {folder} --resume") from None
    return _finish(course, done, teaching) if processes().first else {}


def _course(settings: TrainSettings, out: Path | None, resume: bool, display: Display) -> Course:
    """Read the data, choose input and recipe, and say all of it."""
    folder = processes().agreed(out or _free(Path("runs") / settings.verb / Path(settings.model).stem))
    if resume:
        settings = _read(folder, type(settings))
    elif processes().first and folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder}: exists and is not empty. Give --resume, or another folder with --out")
    accelerator = find_accelerator(settings.accelerator)
    network = load(settings.model)
    if settings.weights is not None:
        read_weights(settings.weights)
    root = Path(settings.data_root) if settings.data_root else None
    dataset = detect(settings.data, seed=settings.seed, data_root=root)
    for line in dataset.summary().splitlines():
        display.say(line)
    preprocessing, reason = choose_input(dataset, size=settings.size)
    display.say(reason)
    side = preprocessing.height
    network = network.at(channels=preprocessing.channels, height=side).with_classes(len(dataset.classes))
    if total_stride(network) > max(side // 2, 1):
        network = limit_stride(network, max(side // 2, 1))
        display.say(f"{network.name}: its earliest strides are set to 1, so that {side} px leave a 2x2 map")
    usual = "finetune" if settings.weights else "small_images" if side <= SMALL_IMAGE else "photographs"
    recipe = load_recipe(settings.recipe or usual, dict(settings.changes))
    display.say(f"Training on: {told(accelerator)}.")
    return Course(
        settings=settings,
        folder=folder,
        network=network,
        dataset=dataset,
        data=training_data(dataset, preprocessing, keep=True),
        recipe=recipe,
        accelerator=accelerator,
    )


def _finish(course: Course, done: Trained, teaching: Teaching) -> dict[str, Any]:
    """Save the model, test it on untouched images, and write the result."""
    settings, folder, dataset, preprocessing = course.settings, course.folder, course.dataset, course.data.preprocessing
    about = About(
        labels=dataset.classes,
        preprocessing=preprocessing,
        val_accuracy=done.val_accuracy,
        steps=done.steps,
        seconds=done.seconds,
    )
    save_training(folder, done.model, about)
    test = decode(dataset.test, preprocessing, train=False)
    right = logits(done.model.to(course.accelerator), test.images, preprocessing).argmax(1) == test.labels
    result = {
        "model": settings.model,
        "run": str(folder.resolve()),
        "data": dataset.summary(),
        "counts": {name: len(getattr(dataset, name)) for name in ("train", "val", "test")},
        "accuracy": {"val": done.val_accuracy, "test": right.float().mean().item()},
        "steps": done.steps,
        "train_s": done.seconds,
        "accelerator": told(course.accelerator),
        "recipe": msgspec.to_builtins(course.recipe),
        "weights": settings.weights,
        "seed": settings.seed,
        **teaching.result,
    }
    write_atomic(folder / RESULT, msgspec.json.format(msgspec.json.encode(result)))
    return result


def _note(row: dict[str, Any]) -> str:
    accuracy = f", validation accuracy {row['val_accuracy']:.3f}" if "val_accuracy" in row else ""
    return f"loss {row['loss']:.3f}{accuracy}"


def _read(folder: Path, kind: type[_Settings]) -> _Settings:
    try:
        return msgspec.json.decode((folder / SETTINGS).read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        raise RunError(f"{folder}: holds no training to resume (no {SETTINGS}). Name its folder with --out") from None


def _free(base: Path) -> Path:
    path, number = base, 2
    while path.exists():
        path, number = base.with_name(f"{base.name}-{number}"), number + 1
    return path
