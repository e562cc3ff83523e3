"""One readable training loop, bounded by epochs or by the clock, resumable at any step.

All randomness of step n is drawn from a seed made of (seed, n), so a checkpoint needs weights, optimizer and the step.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.wiring import adds_convolutions
from ridgepoint.data import Preprocessing
from ridgepoint.files import save_atomic
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.memory import keep_freed_memory
from ridgepoint.nn.norms import unfold_norms
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.seeds import seed_for
from ridgepoint.train.accelerator import CPU, seed_generator
from ridgepoint.train.accuracy import score_classes
from ridgepoint.train.batches import AugmentedBatches, Batches, Loss, TrainingData, cross_entropy
from ridgepoint.train.checkpoint import Count, Course
from ridgepoint.train.curriculum import expect_sizes
from ridgepoint.train.ema import Average
from ridgepoint.train.freeze import freeze_backbone, keep_statistics, reestimate_norms
from ridgepoint.train.metrics import Row, write_metrics
from ridgepoint.train.optimizer import check_optimizer
from ridgepoint.train.recipe import Recipe
from ridgepoint.train.resumable import Resumable
from ridgepoint.train.score import Scorer
from ridgepoint.train.step import TrainingStep
from ridgepoint.train.workers import in_order

BEST = "best.safetensors"
ROW_EVERY = 0.01
EVALUATION_SHARE = 0.1
UNFOLD_BATCHES = 8


@dataclass(frozen=True, kw_only=True)
class Bound:
    """When training ends: after so many epochs, or so many seconds; exactly one is given."""

    epochs: int | None = None
    seconds: float | None = None

    def progress(self, step: int, steps_per_epoch: int, elapsed_s: float) -> float:
        """The share of the training that is done, 0 to 1."""
        if self.seconds is not None:
            return min(elapsed_s / self.seconds, 1.0)
        assert self.epochs is not None
        return min(step / (self.epochs * steps_per_epoch), 1.0)


@dataclass(kw_only=True)
class Trained:
    """A trained model on the CPU, in eval mode, and how it went.

    The model is the average of its weights, where the recipe asks for one. `epochs` are passes over the images, also
    parts of one.
    `history` holds one row for every evaluation.
    """

    model: BuiltNetwork
    val_accuracy: float
    steps: int
    epochs: float
    seconds: float
    history: list[Row] = field(default_factory=list)


def train(
    network: Network,
    data: TrainingData,
    recipe: Recipe,
    *,
    bound: Bound,
    seed: int,
    folder: Path | None = None,
    initial: str | None = None,
    batches: Batches | None = None,
    loss: Loss | None = None,
    score: Scorer = score_classes,
    workers: int = 0,
    evaluations: int = 10,
    accelerator: torch.device = CPU,
    on_step: Callable[[float, dict[str, Any]], None] | None = None,
) -> Trained:
    """Train a network; if the folder holds a checkpoint, go on from it.

    Args:
        network: The architecture; its classes are those of the data.
        data: Images in memory.
        recipe: Optimizer, schedule and regularisation.
        bound: Epochs or seconds.
        seed: Of the weights, the order of images and the augmentation.
        folder: Where the checkpoint, the weights that were best in validation, and metrics go; None keeps nothing.
        initial: Weights to start from, as `load_weights` takes them; None starts fresh.
        batches: What the steps see; by default the augmented images of the data.
        loss: By default cross-entropy with the recipe's label smoothing.
        score: Of the outputs for validation images; the weights with the best one are kept. By default of classes.
        workers: Processes that prepare batches ahead; the batches, and so the result, are the same without any.
        evaluations: How often validation accuracy is taken, evenly over the training.
        accelerator: Where the model computes. A GPU varies its images itself, unless there are workers, whose batches
            differ from its own by rounding.
        on_step: Called after every step with the share done and the latest record.

    Raises:
        InputError: If the network cannot learn from images of every size in the recipe's curriculum.
        DivergedError: If the loss is not finite; the last good checkpoint is kept.
        RunError: If a checkpoint cannot be written or read.
    """
    expect_sizes(network, recipe.curriculum, data.preprocessing)
    maker = CPU if workers else accelerator
    batches = batches or AugmentedBatches(data, recipe, num_classes=network.num_classes, seed=seed, accelerator=maker)
    run = _Run(
        _Asked(
            network=network,
            data=data,
            recipe=recipe,
            bound=bound,
            seed=seed,
            folder=folder,
            initial=initial,
            batches=batches,
            loss=loss or cross_entropy(recipe.label_smoothing),
            score=score,
            workers=workers,
            evaluations=evaluations,
            accelerator=accelerator,
        )
    )
    run.run(on_step)
    return Trained(
        model=run.shipped.cpu().eval(),
        val_accuracy=run.history[-1]["val_accuracy"],
        steps=run.step,
        epochs=round(run.step / batches.steps_per_epoch, 3),
        seconds=run.elapsed(),
        history=run.history,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Asked:
    """What `train` is asked, with nothing left open."""

    network: Network
    data: TrainingData
    recipe: Recipe
    bound: Bound
    seed: int
    folder: Path | None
    initial: str | None
    batches: Batches
    loss: Loss
    score: Scorer
    workers: int
    evaluations: int
    accelerator: torch.device


class _Course(Course, kw_only=True):
    """What a checkpoint says of a training, beside its tensors."""

    finished: bool
    evaluated: Count
    running_loss: float
    latest: dict[str, float]


class _Run(Resumable[_Course]):
    """The state of one training: everything that a checkpoint holds, and one step of it."""

    kind, what, anew = _Course, "training", "train"

    def __init__(self, asked: _Asked):
        super().__init__(asked.folder)
        recipe, accelerator = asked.recipe, asked.accelerator
        torch.manual_seed(seed_for(asked.seed, "weights"))
        network = recipe.adapt(asked.network)
        model = build(network, drop_rate=recipe.dropout, drop_path_rate=recipe.stochastic_depth)
        if asked.initial is not None:
            load_weights(model, asked.initial)
            unfold_norms(model, (asked.batches.batch(step, 0.0).images for step in range(UNFOLD_BATCHES)))
        self.asked = asked
        self.memory_format = memory_format(network)
        self.model: BuiltNetwork = model.to(accelerator, memory_format=self.memory_format)  # type: ignore[call-overload]
        self.processes.prepare(self.model)
        self.compiled: Callable[[Tensor], Tensor] = (
            torch.compile(self.model, options={"deterministic": True}) if recipe.compile else self.model
        )
        self.averaged = Average(self.model, recipe.ema.decay) if recipe.ema else None
        self.learn = TrainingStep(
            self.model,
            recipe,
            batch_size=asked.batches.batch_size,
            freeze=self._freeze,
            accelerator=accelerator,
        )
        self._let_learn()
        self.evaluated, self.finished = 0, False
        self.told: Row = {}
        self.running_loss = self.evaluating_s = self.agreed_s = 0.0

    @property
    def shipped(self) -> BuiltNetwork:
        """What is evaluated and returned: the average, where there is one."""
        if self.averaged is None:
            return self.model
        averaged = self.averaged.module
        assert isinstance(averaged, BuiltNetwork)
        return averaged

    @property
    def history(self) -> list[Row]:
        return [row for row in self.rows if "val_accuracy" in row]

    def progress(self) -> float:
        (self.agreed_s,) = self.processes.mean(self.elapsed()) if self.asked.bound.seconds else (0.0,)
        return self.progress_at(self.step)

    def progress_at(self, step: int) -> float:
        """The share that is done by a step; under a time limit, what was last agreed on."""
        return self.asked.bound.progress(step, self.asked.batches.steps_per_epoch, self.agreed_s)

    def begin(self) -> AbstractContextManager[object]:
        """Start the workers, which inherit that Ctrl-C waits; their end must not wait for a garbage collection."""
        batches, workers = self.asked.batches, self.asked.workers
        rows = self.processes.rows(batches.batch_size)
        self.coming = in_order(batches, self.step, self.progress_at, rows=rows, workers=workers)
        return closing(self.coming)

    def one_step(self, progress: float) -> None:
        asked = self.asked
        batch = asked.batches.inputs(next(self.coming), asked.accelerator, self.memory_format)
        seed_generator(asked.accelerator, seed_for(asked.seed, "step", self.step, self.processes.rank))
        if not self.model.training:  # to visit all modules takes time
            self._let_learn()
        done = self.learn(self.step, progress, batch, lambda: asked.loss(self.compiled, batch))
        if self.averaged is not None:
            self.averaged.update()
        self.step += 1
        self.running_loss += (done.loss - self.running_loss) / min(self.step, 20)
        self.told = {
            **self.told,
            "step": self.step,
            "epoch": (self.step - 1) // asked.batches.steps_per_epoch,
            "loss": self.running_loss,
            "learning_rate": done.learning_rate,
            "weight_decay": done.weight_decay,
            "resolution": batch.images.shape[-1],
        }

    def _let_learn(self) -> None:
        self.model.train()
        self._hold_norms()

    def _freeze(self, frozen: bool) -> None:
        freeze_backbone(self.model, frozen)
        self._hold_norms()

    def _hold_norms(self) -> None:
        if self.asked.recipe.norm_statistics == "kept":
            keep_statistics(self.model)

    def latest(self) -> Row:
        return self.told

    def after_step(self, progress: float) -> bool:
        """Keep a row now and then, and evaluate when it is time."""
        if not self.rows or progress >= self.rows[-1]["progress"] + ROW_EVERY:
            self.note(progress)
        due = self.evaluated < self.asked.evaluations and progress >= (self.evaluated + 1) / self.asked.evaluations
        if due and self.may_evaluate():
            self.evaluate(progress)
        elif due:
            self.evaluated += 1
        return due

    def note(self, progress: float, **more: float) -> None:
        """Keep a row of the metrics; one of the same step is replaced."""
        row = {"progress": round(progress, 4), "elapsed_s": round(self.elapsed(), 3), **more}
        row = {key: value for key, value in self.told.items() if key != "val_accuracy"} | row
        self.rows = [old for old in self.rows if old["step"] != self.step] + [row]

    def may_evaluate(self) -> bool:
        """Under a time limit, evaluations get a tenth of it: they must not decide how much a network learns."""
        return self.asked.bound.seconds is None or self.evaluating_s <= EVALUATION_SHARE * self.elapsed()

    def evaluate(self, progress: float) -> None:
        self.evaluated += 1
        started = time.monotonic()
        val = self.asked.data.val
        outputs = logits(self.shipped, val.images, self.asked.data.preprocessing)
        accuracy = float(np.float32(self.asked.score(outputs, val.labels).value))  # as metrics have always had it
        best = max((row["val_accuracy"] for row in self.history), default=-1.0)
        self.told = {**self.told, "val_accuracy": accuracy}
        self.note(progress, val_accuracy=accuracy)
        if accuracy > best and self.folder is not None and self.processes.first:
            save_atomic(self.folder / BEST, lambda temporary: save_weights(self.shipped, temporary))
        self.evaluating_s += time.monotonic() - started

    def finish(self) -> None:
        """Take the statistics of batch norm anew, if the recipe says so, judge what is shipped, and save."""
        if self.finished:
            return
        steps = range(self.step, self.step + self.asked.recipe.norm_batches)
        if steps:
            reestimate_norms(self.shipped, self.asked.batches, steps)
        if steps or not self.history or self.history[-1]["step"] != self.step:
            self.evaluate(1.0)
        self.finished = True
        self.save()

    def state(self) -> dict[str, Any]:
        return {
            "finished": self.finished,
            "evaluated": self.evaluated,
            "running_loss": self.running_loss,
            "latest": self.told,
            "model": self.model.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "optimizer": self.learn.optimizer.state_dict(),
        }

    def load(self, state: dict[str, Any], course: _Course) -> None:
        self.model.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.learn.optimizer.load_state_dict(state["optimizer"])
        check_optimizer(self.learn.optimizer)
        self.evaluated, self.running_loss, self.told = course.evaluated, course.running_loss, dict(course.latest)
        self.finished, self.agreed_s = course.finished, course.elapsed_s
        if self.finished and not self.history:
            raise ValueError("it is finished, but was never evaluated")

    def write_rows(self, folder: Path) -> None:
        write_metrics(folder, self.rows)


@torch.no_grad()
def logits(model: nn.Module, images: Tensor, preprocessing: Preprocessing, *, batch: int = 64) -> Tensor:
    """Outputs in eval mode, (N, ...), for cropped images, uint8 (N, C, H, W); computed where the model is."""
    keep_freed_memory()
    model.eval()
    accelerator = next(model.parameters()).device
    return torch.cat([model(preprocessing.normalize(chunk.to(accelerator))).cpu() for chunk in images.split(batch)])


def memory_format(network: Network) -> torch.memory_format:
    """Channels-last, which trains about 1.6 times as fast on CPUs; but not for parallel convolution branches.

    Differs: torch 2.14 crashes in the backward pass of MobileOne's branches in channels-last on x86 CPUs.
    """
    branched = any(adds_convolutions(block.recipe) for block in place_blocks(network))
    return torch.contiguous_format if branched else torch.channels_last
