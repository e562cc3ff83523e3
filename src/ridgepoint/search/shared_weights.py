"""One set of weights that all networks of a space are taught and judged with, by one gradient step at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.space import Space
from ridgepoint.errors import InputError
from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.nn.supernet import Step, Supernet
from ridgepoint.seeds import seed_for
from ridgepoint.train.accelerator import CPU
from ridgepoint.train.accuracy import score_classes
from ridgepoint.train.batches import AugmentedBatches, Batches, Loss, TrainingData, cross_entropy
from ridgepoint.train.loop import memory_format
from ridgepoint.train.recipe import Recipe
from ridgepoint.train.score import Scorer
from ridgepoint.train.step import TrainingStep

MOST_JUDGED = 2048  # validation images, where a child is judged on all


class Weights(Protocol):
    """What a one-shot search needs of its weights. All that a step does follows from its number and the state."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps that show every image about once."""
        ...

    def teach(self, step: int, progress: float, child: Sequence[Assignment]) -> float:
        """One step on training images; several assignments are one child whose blocks are averaged. Gives the loss."""
        ...

    def teach_mixed(self, step: int, progress: float, child: Assignment, shares: Mapping[str, Tensor]) -> float:
        """One step on training images for a child of which some rows run all their options, weighted.

        The weights in `shares`, by the name of the choice, get their gradients too.
        """
        ...

    def accuracy(self, step: int, child: Assignment) -> float:
        """A child's score, 0 to 1, on a batch of images that `teach` never sees; the same for all children."""
        ...

    def accuracy_on_all(self, child: Assignment) -> float:
        """A child's score, 0 to 1, on all images that `teach` never sees."""
        ...

    def start_from(self, other: Self) -> None:
        """Take over what weights of another part of the same space have learnt."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that later steps depend on."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


def check_shared(recipe: Recipe) -> None:
    """Refuse a recipe that weights of a whole space cannot be taught by.

    Raises:
        InputError: Naming what is asked for.
    """
    if recipe.compile:
        raise InputError(
            f"recipe {recipe.name}: compile is true, but weights that a whole space shares run another network at "
            "every step, and each would be compiled anew. Give --set compile=false, or a --method that trains its "
            "candidates one by one, such as evolution"
        )


class SharedWeights:
    """A supernet and its optimizer.

    Norms take the statistics of their batch, whoever is judged: there are none to be kept or to be taken anew at the
    end, whatever the recipe says of them. Where resolutions are open, a child sees the images at its own.

    Differs: averages of weights, dropout and stochastic depth are left out, as in TuNAS's code.

    Args:
        space: Its networks have the data's channels and classes; larger images than theirs are made smaller.
        data: Weights learn from its training images; its validation images judge.
        recipe: Optimizer, schedule and regularisation.
        seed: Of the weights, the order of images and the augmentation.
        batches: What the steps see, such as an offline distillation set; by default the augmented images of the data.
        loss: By default cross-entropy with the recipe's label smoothing.
        score: Of a child's outputs for validation images; by default of classes.
        accelerator: Where the weights are.

    Raises:
        InputError: If the recipe asks for what shared weights cannot do.
    """

    def __init__(
        self,
        space: Space,
        data: TrainingData,
        recipe: Recipe,
        *,
        seed: int,
        batches: Batches | None = None,
        loss: Loss | None = None,
        score: Scorer = score_classes,
        accelerator: torch.device = CPU,
    ):
        check_shared(recipe)
        space = recipe.adapt_space(space)
        first = space.decode(space.complete(lambda choice: 0))
        torch.manual_seed(seed_for(seed, "weights"))
        self.supernet, self.accelerator = Supernet(space).to(accelerator), accelerator
        self.data, self.seed = data, seed
        self.memory_format = memory_format(first)
        self.batches = batches or AugmentedBatches(
            data, recipe, num_classes=first.num_classes, seed=seed, accelerator=accelerator
        )
        self.loss, self.score = loss or cross_entropy(recipe.label_smoothing), score
        self.batch_size = min(recipe.batch_size, len(data.train))
        self.learn = TrainingStep(
            self.supernet,
            recipe,
            batch_size=self.batch_size,
            freeze=self.supernet.freeze_backbone,
            accelerator=accelerator,
            of="of the shared weights",
        )

    @property
    def steps_per_epoch(self) -> int:
        """The batches'."""
        return self.batches.steps_per_epoch

    def teach(self, step: int, progress: float, child: Sequence[Assignment]) -> float:
        """A step of the optimizer for what the child uses.

        Raises:
            DivergedError: If the loss or its gradient is not finite.
        """
        blocks = self.supernet.steps(child[0]) if len(child) == 1 else self.supernet.blended(child)
        return self._learn(step, progress, blocks)

    def teach_mixed(self, step: int, progress: float, child: Assignment, shares: Mapping[str, Tensor]) -> float:
        """A step of the optimizer for what the child uses, with a gradient for the shares.

        Raises:
            DivergedError: If the loss or its gradient is not finite.
        """
        return self._learn(step, progress, self.supernet.mixed(child, shares))

    def _learn(self, step: int, progress: float, blocks: Sequence[Step]) -> float:
        batch = self.batches.inputs(self.batches.seen(step, progress), self.accelerator)
        return self.learn(
            step, progress, batch, lambda: self.loss(lambda images: self._logits(images, blocks), batch)
        ).loss

    def accuracy(self, step: int, child: Assignment) -> float:
        """On the validation images of a step, in an order drawn anew whenever they are used up."""
        count = len(self.data.val)
        size = min(self.batch_size, count)
        epoch, index = divmod(step, count // size)
        generator = torch.Generator().manual_seed(seed_for(self.seed, "validation", epoch))
        chosen = torch.randperm(count, generator=generator)[index * size : (index + 1) * size]
        return self._score(child, [chosen])

    def accuracy_on_all(self, child: Assignment) -> float:
        """On all validation images, or an even share of very many, a batch at a time."""
        count = min(len(self.data.val), MOST_JUDGED)
        chosen = torch.linspace(0, len(self.data.val) - 1, count).long()
        batches = chosen[torch.randperm(count, generator=torch.Generator().manual_seed(0))].split(self.batch_size)
        return self._score(child, batches)

    @torch.no_grad()
    def _score(self, child: Assignment, batches: Sequence[Tensor]) -> float:
        """How good a child is on the chosen validation images."""
        blocks = self.supernet.steps(child)
        images = (self.data.preprocessing.normalize(self.data.val.images[b].to(self.accelerator)) for b in batches)
        outputs = torch.cat([self._logits(each, blocks).cpu() for each in images])
        return self.score(outputs, self.data.val.labels[torch.cat(list(batches))]).value

    def _logits(self, images_BCHW: Tensor, blocks: Sequence[Step]) -> Tensor:
        """Of a child, for images at its resolution."""
        given = next(option.input for option in blocks[0].options if option)
        size = (given.height, given.width)
        if images_BCHW.shape[2:] != size:
            images_BCHW = F.interpolate(images_BCHW, size, mode="bilinear", antialias=True)
        logits_BK: Tensor = self.supernet(images_BCHW.to(memory_format=self.memory_format), blocks)
        return logits_BK

    def extract(self, child: Assignment) -> BuiltNetwork:
        """A child with its weights, to be trained on."""
        return self.supernet.extract(child)

    def start_from(self, other: "SharedWeights") -> None:
        """The weights; the optimizer starts afresh."""
        self.supernet.start_from(other.supernet)

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimizer."""
        return {"supernet": self.supernet.state_dict(), "optimizer": self.learn.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.supernet.load_state_dict(state["supernet"])
        self.learn.optimizer.load_state_dict(state["optimizer"])
