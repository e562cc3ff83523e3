"""Whether fine-tuning is worth it where validation has few images: training images answer too, by networks that have
not seen them.
"""

import dataclasses
import tempfile
from pathlib import Path

import msgspec
import torch

from ridgepoint.data import ArraySplit
from ridgepoint.display import Display
from ridgepoint.fit.frozen import linear_classifier, put
from ridgepoint.fit.opening import Opening
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.steps import Count
from ridgepoint.nn.build import build
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.run.folder import RunFolder
from ridgepoint.seeds import seed_for
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.recipe import Recipe

FOLDS = 3


class Folded(msgspec.Struct, kw_only=True):
    """Of `count` training images, how many are right: by a classifier on frozen features, and with all fine-tuned."""

    count: Count
    frozen: Count
    finetuned: Count

    @property
    def worth_it(self) -> bool:
        """Whether fine-tuning loses nothing."""
        return self.finetuned >= self.frozen

    @property
    def told(self) -> str:
        """In words."""
        return (
            f"validation has few images, so {self.count} training images were answered by networks that had not seen "
            f"them: {self.finetuned} are right fine-tuned, {self.frozen} with the classifier alone"
        )


def fold(
    run: RunFolder[FitSettings],
    prepared: Prepared,
    opening: Opening,
    data: TrainingData,
    recipe: Recipe,
    *,
    epochs: int,
    display: Display,
) -> Folded:
    """Train on two thirds of the training images three times, and ask about the others; once per network and run."""
    step = f"folds-{opening.network.name}-{opening.network.input[1]}"
    if (known := run.read_step(step, Folded)) is not None:
        return known
    found = Folded(count=len(data.train), frozen=0, finetuned=0)
    generator = torch.Generator().manual_seed(seed_for(run.settings.seed, "folds"))
    places = torch.randperm(len(data.train), generator=generator) % FOLDS
    for number in range(FOLDS):
        display.progress(number / FOLDS, f"{opening.network.name}, part {number + 1} of {FOLDS}")
        part = dataclasses.replace(
            data,
            train=_part(data.train, places != number),
            val=_centres(_part(data.train, places == number), data.preprocessing.height, data.preprocessing.width),
        )
        frozen, finetuned = _judged(run, prepared, opening, part, recipe, epochs)
        found.frozen += round(frozen * len(part.val))
        found.finetuned += round(finetuned * len(part.val))
        run.tick()
    run.write_step(step, msgspec.to_builtins(found))
    return found


def _judged(
    run: RunFolder[FitSettings], prepared: Prepared, opening: Opening, part: TrainingData, recipe: Recipe, epochs: int
) -> tuple[float, float]:
    """The share of a part's validation images that is right: frozen, and fine-tuned from there."""
    task, seed, network = prepared.task, run.settings.seed, opening.network
    model = build(network)
    load_weights(model, opening.weights.path)
    head = linear_classifier(
        model.eval(),
        part.train,
        part.val,
        part.preprocessing,
        classes=network.num_classes,
        accelerator=prepared.accelerator,
    )
    put(model, head)
    with tempfile.TemporaryDirectory() as folder:
        initial = Path(folder) / "frozen.safetensors"
        save_weights(model, initial)
        done = train(
            network,
            part,
            recipe,
            bound=Bound(epochs=epochs),
            seed=seed,
            initial=str(initial),
            batches=task.batches(
                part, recipe, outputs=network.num_classes, seed=seed, accelerator=prepared.accelerator
            ),
            loss=task.loss(recipe),
            score=task.score,
            evaluations=1,
            accelerator=prepared.accelerator,
        )
    return head.val_accuracy, done.val_accuracy


def _part(split: ArraySplit, chosen: torch.Tensor) -> ArraySplit:
    indices = chosen.nonzero()[:, 0]
    return ArraySplit(split.images[indices], split.labels[indices], tuple(split.ids[i] for i in indices.tolist()))


def _centres(split: ArraySplit, height: int, width: int) -> ArraySplit:
    """What evaluation sees of canvases."""
    top, left = (split.images.shape[2] - height) // 2, (split.images.shape[3] - width) // 2
    return dataclasses.replace(split, images=split.images[:, :, top : top + height, left : left + width])
