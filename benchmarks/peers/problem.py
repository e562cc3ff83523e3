"""What all searches of searches.py are given: a space, photographs, a recipe, a latency model and a budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.space import Space
from ridgepoint.train.batches import AugmentedBatches, TrainingData, cross_entropy
from ridgepoint.train.clip import NO_CLIP
from ridgepoint.train.optimizer import make_optimizer
from ridgepoint.train.recipe import Recipe

STAGES, ROWS, WIDTH = 5, 2, 0.5
KERNELS, RATIOS, DEPTHS = [3, 5, 7], [3, 4, 6], [1, 2]
OPTIONS = [(kernel, ratio) for kernel in KERNELS for ratio in RATIOS]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """What one search is given. Shared weights learn for `epochs` on the training images; the validation images judge.

    `folder` is where a search may keep what it needs to go on.
    """

    space: Space
    images: TrainingData
    recipe: Recipe
    latency_ms: Callable[[Assignment], float]
    budget_ms: float
    epochs: int
    seed: int
    folder: Path

    @property
    def batches(self) -> AugmentedBatches:
        return AugmentedBatches(self.images, self.recipe, num_classes=10, seed=self.seed)

    @property
    def steps(self) -> int:
        return self.epochs * self.batches.steps_per_epoch

    def member(self, kernels: Sequence[int], ratios: Sequence[int], depths: Sequence[int]) -> Assignment:
        """The assignment of a member, given row by row."""
        rows = [f"stages.{stage}.blocks.{row}" for stage in range(STAGES) for row in range(ROWS)]
        values = {f"stages.{stage}.depth": depth for stage, depth in enumerate(depths)}
        values |= {f"{name}.kernel": kernel for name, kernel in zip(rows, kernels, strict=True)}
        values |= {f"{name}.expand_ratio": ratio for name, ratio in zip(rows, ratios, strict=True)}
        return self.space.complete(lambda choice: choice.options.index(values[choice.name]))

    def inputs(self, pixels: Tensor) -> Tensor:
        return self.images.preprocessing.normalize(pixels).to(memory_format=torch.channels_last)


class Teacher:
    """The recipe, step by step, for weights that are not ours."""

    def __init__(self, problem: Problem, model: nn.Module):
        self.problem, self.model, self.recipe = problem, model, problem.recipe
        self.batches, self.steps = problem.batches, problem.steps
        self.optimizer = make_optimizer(model, self.recipe.optimizer, self.recipe.undecayed)
        self.loss, self.clip = cross_entropy(self.recipe.label_smoothing), self.recipe.clip or NO_CLIP

    def set_rates(self, step: int) -> None:
        """Learning rate and weight decay of a step."""
        progress = step / self.steps
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr(progress, self.batches.batch_size)
        self.optimizer.param_groups[0]["weight_decay"] = self.recipe.decay(progress)

    def one_step(self, step: int) -> float:
        self.set_rates(step)
        batch = self.batches.batch(step, step / self.steps)
        loss = self.loss(lambda x: self.model(x.to(memory_format=torch.channels_last)), batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.clip(self.model)
        self.optimizer.step()
        return loss.item()
