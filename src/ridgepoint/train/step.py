"""One step of a training: from a batch to weights that have learnt from it, as the recipe says.

Whatever learns takes it: a network, weights that all networks of a space share, a trial for the clock.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ridgepoint.errors import DivergedError
from ridgepoint.nn.memory import keep_freed_memory
from ridgepoint.train.accelerator import CPU
from ridgepoint.train.batches import Batch
from ridgepoint.train.clip import NO_CLIP
from ridgepoint.train.optimizer import make_optimizer
from ridgepoint.train.processes import processes
from ridgepoint.train.recipe import Recipe


class Stepped(NamedTuple):
    """What a step was like: its loss over all processes, before it; learning rate and weight decay."""

    loss: float
    learning_rate: float
    weight_decay: float


class TrainingStep:
    """Steps of the recipe's optimizer, with its schedules, precision, frozen parts and clipped gradients.

    Args:
        model: Whose weights learn, where it computes.
        recipe: How.
        batch_size: Images of a step, over all processes together.
        freeze: Lets only the head learn (True) or everything (False).
        accelerator: Where the model computes.
        of: What a message adds to the loss and to the gradient, such as ``of the shared weights``.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        *,
        batch_size: int,
        freeze: Callable[[bool], None],
        accelerator: torch.device = CPU,
        of: str = "",
    ):
        keep_freed_memory()
        self.model, self.recipe, self.batch_size, self.accelerator = model, recipe, batch_size, accelerator
        self.freeze, self.of = freeze, of
        self.processes = processes()
        self.optimizer = make_optimizer(model, recipe.optimizer, recipe.undecayed)
        self.clip = recipe.clip or NO_CLIP

    def __call__(self, step: int, progress: float, batch: Batch, loss: Callable[[], Tensor]) -> Stepped:
        """Descend a loss.

        Args:
            step: Its number, for messages.
            progress: The share of the training that is done, 0 to 1.
            batch: What the loss is of, for messages.
            loss: Runs the model, in the recipe's precision.

        Raises:
            DivergedError: If loss or gradient are not finite; the weights are as they were.
        """
        rate, decay = self.recipe.lr(progress, self.batch_size), self.recipe.decay(progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.param_groups[0]["weight_decay"] = decay
        if self.recipe.frozen:
            self.freeze(progress < self.recipe.frozen)
        with torch.autocast(self.accelerator.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            found = loss()
        (value,) = self.processes.mean(found.item())
        self._expect_finite("loss", value, step, batch)
        self.optimizer.zero_grad(set_to_none=True)
        found.backward()
        self.processes.average_gradients(self.model.parameters())
        self._expect_finite("norm of the gradient", self.clip(self.model).item(), step, batch)
        self.optimizer.step()
        return Stepped(value, rate, decay)

    def _expect_finite(self, what: str, value: float, step: int, batch: Batch) -> None:
        if math.isfinite(value):
            return
        lower = min(self.recipe.optimizer.lr / 3, 0.01)
        raise DivergedError(
            f"the {' '.join(filter(None, (what, self.of)))} is {value} at step {step}; the batch holds "
            f"{', '.join(batch.ids[:8])}, ... Start anew with a lower learning rate: --set optimizer.lr={lower:.2g}"
        )
