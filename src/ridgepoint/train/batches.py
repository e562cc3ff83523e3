"""What a training step sees: images and targets, as a function of the step alone, so that a resumed run sees the same.

Processes that share a training each make their own rows of a batch, and workers hand pixels over, a byte each.

Shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from ridgepoint.data import ArraySplit, Augmentation, Dataset, Preprocessing, decode, default_augmentation
from ridgepoint.data.augment import Geometry
from ridgepoint.data.draws import sample_seeds
from ridgepoint.errors import InputError
from ridgepoint.seeds import seed_for
from ridgepoint.train.accelerator import CPU, one_thread
from ridgepoint.train.curriculum import augmentation_by_progress
from ridgepoint.train.recipe import Recipe


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingData:
    """Decoded images to train and to validate on, and how they become inputs."""

    train: ArraySplit
    val: ArraySplit
    preprocessing: Preprocessing
    augmentation: Augmentation


def training_data(
    dataset: Dataset, preprocessing: Preprocessing, *, augmentation: Augmentation | None = None, keep: bool = False
) -> TrainingData:
    """The images of a data set that a training sees, decoded.

    Args:
        dataset: Its test images are left alone.
        preprocessing: Sizes, channels and normalisation.
        augmentation: By default what suits the images.
        keep: Whether decoded images are kept for the next run, as `decode` does.

    Raises:
        DataError: If an image cannot be decoded any more.
    """
    return TrainingData(
        train=decode(dataset.train, preprocessing, train=True, keep=keep),
        val=decode(dataset.val, preprocessing, train=False, keep=keep),
        preprocessing=preprocessing,
        augmentation=augmentation or default_augmentation(dataset, preprocessing),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """The inputs of one step.

    Attributes:
        images: As seen, in 0..255, uint8 or, where mixed, float32; or normalised, float32 (B, C, H, W).
        targets: Of classes, their indices, int64 (B,), or probabilities, float32 (B, num_classes); else as labels are.
        ids: The images' names, for messages.
    """

    images: Tensor
    targets: Tensor
    ids: tuple[str, ...]


ALL = slice(None)


class Batches(Protocol):
    """Where a training's batches come from; equal steps give equal batches.

    Attributes:
        preprocessing: How pixels become inputs.
        batch_size: Rows of a batch.
    """

    preprocessing: Preprocessing
    batch_size: int

    @property
    def steps_per_epoch(self) -> int:
        """Steps that show every image about once."""
        ...

    def seen(self, step: int, progress: float, rows: slice = ALL) -> Batch:
        """The batch of a step in pixels.

        Args:
            step: Counted from 0 over the whole training.
            progress: The share of the training that is done, 0 to 1.
            rows: The part of it that is made, neighbours.
        """
        ...

    def batch(self, step: int, progress: float) -> Batch:
        """The batch of a step, normalised."""
        return self.inputs(self.seen(step, progress))

    def inputs(
        self, seen: Batch, accelerator: torch.device = CPU, memory_format: torch.memory_format = torch.preserve_format
    ) -> Batch:
        """A batch of pixels, normalised, where a model computes. Pixels are moved: inputs have four times the bytes."""
        images = self.preprocessing.normalize(seen.images.to(accelerator, memory_format=memory_format))
        return replace(seen, images=images, targets=seen.targets.to(accelerator))


Loss = Callable[[Callable[[Tensor], Tensor], Batch], Tensor]
"""From the model in training mode and a batch to a scalar: runs the model, so that it may read more than its logits."""


Follow = Callable[[Tensor, Geometry, tuple[int, int]], Tensor]
"""From the truths of a batch on its canvases, (B, ...), what moved the images, and the inputs' (height, width), to the
truths on the inputs."""


class AugmentedBatches(Batches):
    """Shuffled images of a split, each varied on its own, and mixed if the recipe says so.

    Where truths lie in the image, such as masks, `follow` moves them with it.
    """

    def __init__(
        self,
        data: TrainingData,
        recipe: Recipe,
        *,
        num_classes: int,
        seed: int,
        accelerator: torch.device = CPU,
        follow: Follow | None = None,
    ):
        self.data, self.seed, self.repeats, self.accelerator = data, seed, recipe.repeats, accelerator
        self.shares = shares_of_classes(data.train.labels) if recipe.sampling == "balanced" else None
        self.preprocessing = data.preprocessing
        self.batch_size = min(recipe.batch_size, len(data.train))
        augmentation = recipe.augmentation or data.augmentation
        self.augment_at = augmentation_by_progress(recipe.curriculum, augmentation, data.preprocessing)
        self.mix = recipe.mixing.build(num_classes) if recipe.mixing.on else None
        self.follow = follow
        if follow is not None:
            expect_followable(augmentation, recipe)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of an epoch."""
        return len(self.data.train) // self.batch_size

    @one_thread()
    def seen(self, step: int, progress: float, rows: slice = ALL) -> Batch:
        """The images of a step, in an order drawn anew for every epoch."""
        split = self.data.train
        epoch, index = divmod(step, self.steps_per_epoch)
        generator = torch.Generator().manual_seed(seed_for(self.seed, "epoch", epoch))
        order = repeated_order(len(split), self.repeats, generator, self.shares)
        places = torch.arange(self.batch_size)[rows]
        if self.mix is not None:  # with the image before it, which one more row provides
            places = torch.cat([places[:1] - 1, places])
        chosen = order[index * self.batch_size + places % self.batch_size]
        seeds_B = sample_seeds(seed_for(self.seed, "augmentation", step), self.batch_size)[places.numpy()]
        canvases, targets = (part[chosen].to(self.accelerator) for part in (split.images, split.labels))
        augment = self.augment_at(progress)
        images = augment(canvases, seeds_B)
        if self.follow is not None:
            (above, across), (height, width) = canvases.shape[-2:], images.shape[-2:]
            targets = self.follow(targets, augment.geometry(seeds_B, (above, across)), (height, width))
        if self.mix is not None:
            torch.manual_seed(seed_for(self.seed, "mixing", step))
            images, targets = (mixed[1:] for mixed in self.mix(images.float(), targets))
            chosen = chosen[1:]
        return Batch(images=images, targets=targets, ids=tuple(split.ids[index] for index in chosen.tolist()))


def expect_followable(augmentation: Augmentation, recipe: Recipe) -> None:
    """Refuse what moves or mixes pixels in a way that truths in the image cannot follow.

    Raises:
        InputError: Naming it.
    """
    if augmentation.policy is not None:
        raise InputError(
            "augmentation.policy moves pixels, and what is marked in the images would not move along. Allowed here: "
            "--set augmentation.policy=null, and crop_scale, crop_ratio, horizontal_flip, translate, rotate, "
            "color_jitter"
        )
    if recipe.mixing.on:
        raise InputError(
            "mixing mixes two images and their classes, and what is marked in images cannot be mixed. Allowed here: "
            "--set mixing.mixup=0 --set mixing.cutmix=0"
        )


def repeated_order(count: int, repeats: int, generator: torch.Generator, shares_N: Tensor | None = None) -> Tensor:
    """A random order of `count` indices, each `repeats` times in a row; as long as if each came once, int64 (count,).

    With shares they are drawn by these, again and again the same if need be.

    Source: repeated augmentation, Hoffer et al., arXiv:1901.09335, as DeiT (arXiv:2012.12877) uses it: an epoch does as
    many steps and shows a `repeats`-th of the images.
    """
    if shares_N is None:
        order = torch.randperm(count, generator=generator)
    else:
        order = torch.multinomial(shares_N, count, replacement=True, generator=generator)
    return order if repeats == 1 else order.repeat_interleave(repeats)[:count]


def shares_of_classes(labels_N: Tensor) -> Tensor:
    """How often each image is drawn where all classes are seen alike: inverse to its class's images, (N,).

    Raises:
        InputError: If labels are no classes.
    """
    if labels_N.ndim != 1 or labels_N.is_floating_point():
        raise InputError("sampling is balanced, but the labels are no classes. Allowed here: --set sampling=each")
    return 1.0 / labels_N.bincount()[labels_N].double()


def cross_entropy(label_smoothing: float) -> Loss:
    """Cross-entropy of the model's logits, averaged over the batch."""
    return lambda model, batch: nn.functional.cross_entropy(
        model(batch.images), batch.targets, label_smoothing=label_smoothing
    )
