"""Classification: one of several classes for an image, from folders, names and arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ridgepoint.arch.closing import Closing
from ridgepoint.data import (
    ArraySplit,
    Augmentation,
    Dataset,
    Preprocessing,
    Split,
    choose_input,
    default_augmentation,
    detect,
    read_whole,
)
from ridgepoint.deploy.verify import TOP1
from ridgepoint.tasks.mistakes import write_mistakes
from ridgepoint.tasks.softmax import softmax
from ridgepoint.tasks.task import Agreement, Prediction
from ridgepoint.train.accuracy import score_classes
from ridgepoint.train.batches import AugmentedBatches, Batches, Loss, TrainingData, cross_entropy
from ridgepoint.train.recipe import Recipe, usual_recipe
from ridgepoint.train.samples import Shares, largest
from ridgepoint.train.score import Score


class Classification:
    """See `ridgepoint.tasks.task.Task`."""

    name = "classification"
    metric = "accuracy"
    by_label = "recall"
    outputs: tuple[str, ...] = ("logits",)
    part = "ridgepoint.report.parts.classification:PART"

    def read(self, spec: str | Path, *, seed: int, root: Path | None, download: bool = True) -> Dataset | None:
        """Class folders, a built-in name or a torchvision name; asked last, so what is none of these is refused."""
        return detect(spec, seed=seed, data_root=root, download=download)

    def whole(self, spec: str | Path, labels: Sequence[str], *, root: Path | None) -> Split:
        """All images, their classes matched to the labels by name."""
        return read_whole(spec, labels=labels, data_root=root).images

    def summary(self, data: Dataset) -> str:
        """Classes, parts, and what deserves attention."""
        return data.summary()

    def input(self, data: Dataset, size: int | None) -> tuple[Preprocessing, str]:
        """A square, from the images' own size; the centre of photographs."""
        return choose_input(data, size=size)

    def augmentation(self, data: Dataset, preprocessing: Preprocessing) -> Augmentation:
        """What keeps an image's class."""
        return default_augmentation(data, preprocessing)

    def head(self, data: Dataset) -> Closing:
        """The network's own, one number a class."""
        return Closing(num_classes=len(data.classes))

    def recipe(self, size: int, *, trained: bool) -> str:
        """By the size of the images."""
        return usual_recipe(size, trained=trained)

    def batches(
        self, data: TrainingData, recipe: Recipe, *, outputs: int, seed: int, accelerator: torch.device
    ) -> Batches:
        """Varied images, mixed if the recipe says so."""
        return AugmentedBatches(data, recipe, num_classes=outputs, seed=seed, accelerator=accelerator)

    def loss(self, recipe: Recipe) -> Loss:
        """Cross-entropy."""
        return cross_entropy(recipe.label_smoothing)

    def score(self, outputs: Any, truth: Any) -> Score:
        """The share of right answers."""
        return score_classes(outputs, truth)

    def words(self, targets: Tensor, labels: Sequence[str]) -> list[Shares]:
        """Class names; several with their shares where images are mixed."""
        shares = one_hot(targets, len(labels)) if targets.ndim == 1 else targets
        return [largest(each, labels) for each in shares]

    def agree(self, source: np.ndarray, exported: np.ndarray) -> Agreement:
        """The share of images of the same class."""
        return Agreement(name=TOP1, share=float((source.argmax(1) == exported.argmax(1)).mean()))

    def right(self, outputs: np.ndarray, truth: Any) -> np.ndarray:
        """Where the most probable class is the true one."""
        found: np.ndarray = outputs.argmax(1) == np.asarray(truth)
        return found

    def decode(self, outputs: np.ndarray, labels: Sequence[str], *, top: int) -> list[Prediction]:
        """The most probable labels with their probabilities."""
        return [self._decoded(shares, labels, top) for shares in softmax(outputs)]

    def _decoded(self, shares: np.ndarray, labels: Sequence[str], top: int) -> Prediction:
        best = [(labels[index], float(shares[index])) for index in np.argsort(-shares)[:top]]
        return Prediction(
            text=", ".join(f"{name} {share:.3f}" for name, share in best),
            document={"top": [{"label": name, "probability": share} for name, share in best]},
        )

    def tell(self, score: Score, labels: Sequence[str]) -> list[str]:
        """What the accuracy is to be held against, and the recall of every class."""
        recalls = [
            f"  {name:>20}  recall {'(no images)' if recall is None else f'{recall:.3f}'}"
            for name, recall in zip(labels, score.by_label, strict=True)
        ]
        balanced, majority = score.parts["balanced"], score.parts["majority"]
        return [f"Balanced accuracy {balanced:.4f}; always the most frequent class: {majority:.4f}", *recalls]

    def write_evaluation(self, folder: Path, labels: Sequence[str], test: ArraySplit, outputs: np.ndarray) -> None:
        """Confusion, recall by class, and the most confident mistakes with their images."""
        write_mistakes(folder, labels, test, outputs)


CLASSIFICATION = Classification()
