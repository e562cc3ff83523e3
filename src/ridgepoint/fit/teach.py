"""One full training of a fit: taught, written down as a training's folder, and kept as a step of the run."""

from collections.abc import Callable
from typing import Any

from ridgepoint.data import Preprocessing
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.steps import TrainedOne
from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.run.folder import RunFolder
from ridgepoint.search.candidate import Candidate
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.folder import About, save_training
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.recipe import Recipe


def teach(
    run: RunFolder[FitSettings],
    prepared: Prepared,
    candidate: Candidate,
    data: TrainingData,
    *,
    recipe: Recipe,
    bound: Bound,
    initial: str | None,
    told: Callable[[float, str], None],
) -> TrainedOne:
    """Train a candidate; a resumed run goes on from its checkpoint.

    Args:
        run: Where its folder is.
        prepared: Task and accelerator.
        candidate: The network.
        data: What it sees, normalised as it wants.
        recipe: How.
        bound: How long.
        initial: Weights to start from.
        told: Called after every step with the share done and a text.

    Raises:
        DivergedError: If the loss is not finite.
    """
    task, seed = prepared.task, run.settings.seed

    def on_step(progress: float, record: dict[str, Any]) -> None:
        text = f"{candidate.name}: loss {record['loss']:.3f}"
        if "val_accuracy" in record:
            text += f", validation {task.metric} {record['val_accuracy']:.3f}"
        told(progress, text)
        run.tick()

    done = train(
        candidate.network,
        data,
        recipe,
        bound=bound,
        seed=seed,
        folder=run.training(candidate.name),
        initial=initial,
        batches=task.batches(
            data, recipe, outputs=candidate.network.num_classes, seed=seed, accelerator=prepared.accelerator
        ),
        loss=task.loss(recipe),
        score=task.score,
        accelerator=prepared.accelerator,
        on_step=on_step,
    )
    found: TrainedOne = {
        "val_accuracy": done.val_accuracy,
        "seconds": done.seconds,
        "steps": done.steps,
        "epochs": done.epochs,
    }
    return keep(run, prepared, candidate, done.model, data.preprocessing, found)


def keep(
    run: RunFolder[FitSettings],
    prepared: Prepared,
    candidate: Candidate,
    model: BuiltNetwork,
    preprocessing: Preprocessing,
    found: TrainedOne,
) -> TrainedOne:
    """Write a trained model into its folder, and that it is done into the run's steps."""
    about = About(
        labels=prepared.dataset.classes,
        preprocessing=preprocessing,
        val_accuracy=found["val_accuracy"],
        steps=found["steps"],
        seconds=found["seconds"],
        data=TrainedOn.of(prepared.dataset, run.settings.seed),
        task=prepared.task.name,
    )
    save_training(run.training(candidate.name), model, about)
    run.write_step(f"trained-{candidate.name}", dict(found))
    return found
