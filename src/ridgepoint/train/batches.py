"""What a training step sees: images and targets, as a function of the step alone, so that a resumed run sees the same.

Shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ridgepoint.data import ArraySplit, Augmentation, Preprocessing
from ridgepoint.data.draws import sample_seeds
from ridgepoint.seeds import seed_for
from ridgepoint.train.curriculum import augmentation_by_progress
from ridgepoint.train.recipe import Recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """Decoded images to train and to validate on, and how they become inputs."""

    train: ArraySplit
    val: ArraySplit
    preprocessing: Preprocessing
    augmentation: Augmentation


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """The inputs of one step.

    Attributes:
        images: Normalised, float32 (B, C, H, W).
        targets: Class indices, int64 (B,), or probabilities, float32 (B, num_classes).
        ids: The images' names, for messages.
    """

    images: Tensor
    targets: Tensor
    ids: tuple[str, ...]


class Batches(Protocol):
    """Where a training's batches come from; equal steps give equal batches."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps that show every image about once."""
        ...

    def batch(self, step: int, progress: float) -> Batch:
        """The batch of a step.

        Args:
            step: Counted from 0 over the whole training.
            progress: The share of the training that is done, 0 to 1.
        """
        ...


Loss = Callable[[nn.Module, Batch], Tensor]
"""From the model in training mode and a batch to a scalar: runs the model, so that it may read more than its logits."""


class AugmentedBatches:
    """Shuffled images of a split, each varied on its own, and mixed if the recipe says so."""

    def __init__(self, data: TrainingData, recipe: Recipe, *, num_classes: int, seed: int):
        self.data, self.seed, self.repeats = data, seed, recipe.repeats
        self.batch_size = min(recipe.batch_size, len(data.train))
        augmentation = recipe.augmentation or data.augmentation
        self.augment_at = augmentation_by_progress(recipe.curriculum, augmentation, data.preprocessing)
        self.mix = recipe.mixing.build(num_classes)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of an epoch."""
        return len(self.data.train) // self.batch_size

    def batch(self, step: int, progress: float) -> Batch:
        """The images of a step, in an order drawn anew for every epoch."""
        split = self.data.train
        epoch, index = divmod(step, self.steps_per_epoch)
        generator = torch.Generator().manual_seed(seed_for(self.seed, "epoch", epoch))
        order = repeated_order(len(split), self.repeats, generator)
        chosen = order[index * self.batch_size : (index + 1) * self.batch_size]
        seeds_B = sample_seeds(seed_for(self.seed, "augmentation", step), self.batch_size)
        images = self.data.preprocessing.normalize(self.augment_at(progress)(split.images[chosen], seeds_B))
        torch.manual_seed(seed_for(self.seed, "mixing", step))
        images, targets = self.mix(images, split.labels[chosen])
        return Batch(images=images, targets=targets, ids=tuple(split.ids[index] for index in chosen.tolist()))


def repeated_order(count: int, repeats: int, generator: torch.Generator) -> Tensor:
    """A random order of `count` indices, each `repeats` times in a row; as long as if each came once, int64 (count,).

    Source: repeated augmentation, Hoffer et al., arXiv:1901.09335, as DeiT (arXiv:2012.12877) uses it: an epoch does as
    many steps and shows a `repeats`-th of the images.
    """
    order = torch.randperm(count, generator=generator)
    return order if repeats == 1 else order.repeat_interleave(repeats)[:count]


def cross_entropy(label_smoothing: float) -> Loss:
    """Cross-entropy of the model's logits, averaged over the batch."""
    return lambda model, batch: nn.functional.cross_entropy(
        model(batch.images), batch.targets, label_smoothing=label_smoothing
    )
