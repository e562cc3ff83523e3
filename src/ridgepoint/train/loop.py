"""One readable training loop for classification, bounded by epochs or by the clock, resumable at any step.

All randomness of step n is drawn from a seed made of (seed, n), so a checkpoint needs weights, optimizer and the step.
"""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ridgepoint.arch.block import MobileOne, RepConv
from ridgepoint.arch.network import Network
from ridgepoint.data import Preprocessing
from ridgepoint.errors import DivergedError
from ridgepoint.files import save_atomic
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.norms import unfold_norms
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.seeds import seed_for
from ridgepoint.train.accelerator import CPU, seed_generator
from ridgepoint.train.batches import AugmentedBatches, Batch, Batches, Loss, TrainingData, cross_entropy
from ridgepoint.train.checkpoint import Count, Course, restoring, save_checkpoint
from ridgepoint.train.clip import NO_CLIP
from ridgepoint.train.ema import Average
from ridgepoint.train.freeze import freeze_backbone, reestimate_norms
from ridgepoint.train.memory import keep_freed_memory
from ridgepoint.train.metrics import Row, write_metrics
from ridgepoint.train.optimizer import check_optimizer, make_optimizer
from ridgepoint.train.processes import processes
from ridgepoint.train.recipe import Recipe
from ridgepoint.train.workers import in_order

CHECKPOINT, BEST = "checkpoint.pt", "best.safetensors"
SAVE_EVERY_S = 15.0
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
        workers: Processes that prepare batches ahead; the batches, and so the result, are the same without any.
        evaluations: How often validation accuracy is taken, evenly over the training.
        accelerator: Where the model computes. A GPU varies its images itself, unless there are workers, whose batches
            differ from its own by rounding.
        on_step: Called after every step with the share done and the latest record.

    Raises:
        DivergedError: If the loss is not finite; the last good checkpoint is kept.
        RunError: If a checkpoint cannot be written or read.
    """
    keep_freed_memory()
    maker = CPU if workers else accelerator
    batches = batches or AugmentedBatches(data, recipe, num_classes=network.num_classes, seed=seed, accelerator=maker)
    loss = loss or cross_entropy(recipe.label_smoothing)
    run = _Run(network, data, recipe, bound, seed, folder, initial, batches, loss, accelerator)
    run.restore()
    marks = [(index + 1) / evaluations for index in range(evaluations)]
    with _whole_steps() as asked_to_stop:
        rows = run.processes.rows(batches.batch_size)
        # Workers are started here: they inherit that Ctrl-C waits.
        coming = in_order(batches, run.step, run.progress_at, rows=rows, workers=workers)
        while (progress := run.progress()) < 1.0:
            run.one_step(progress, next(coming))
            progress = run.progress()
            if not run.rows or progress >= run.rows[-1]["progress"] + ROW_EVERY:
                run.note(progress)
            due = run.evaluated < evaluations and progress >= marks[run.evaluated]
            if due and run.may_evaluate():
                run.evaluate(progress)
            elif due:
                run.evaluated += 1
            stop = run.processes.any(asked_to_stop())
            if due or stop or time.monotonic() - run.saved_at > SAVE_EVERY_S:
                run.save()
            if on_step:
                on_step(progress, run.latest)
            if stop:
                raise KeyboardInterrupt
    run.finish()
    return Trained(
        model=run.shipped.cpu().eval(),
        val_accuracy=run.history[-1]["val_accuracy"],
        steps=run.step,
        epochs=round(run.step / run.batches.steps_per_epoch, 3),
        seconds=run.elapsed(),
        history=run.history,
    )


@contextlib.contextmanager
def _whole_steps() -> Iterator[Callable[[], bool]]:
    """Ctrl-C waits for the end of a step, and is then told: a step that is half made must not be saved."""
    asked: list[int] = []
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, or somebody else's
        yield lambda: False
        return
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    except ValueError:  # only the main thread hears signals
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


class _Course(Course, kw_only=True):
    """What a checkpoint says of a training, beside its tensors."""

    finished: bool
    evaluated: Count
    running_loss: float
    latest: dict[str, float]


class _Run:
    """The state of one training: everything that a checkpoint holds, and one step of it."""

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        recipe: Recipe,
        bound: Bound,
        seed: int,
        folder: Path | None,
        initial: str | None,
        batches: Batches,
        loss: Loss,
        accelerator: torch.device,
    ):
        torch.manual_seed(seed_for(seed, "weights"))
        network = recipe.adapt(network)
        self.model = build(network, drop_rate=recipe.dropout, drop_path_rate=recipe.stochastic_depth)
        if initial is not None:
            load_weights(self.model, initial)
            unfold_norms(self.model, (batches.batch(step, 0.0).images for step in range(UNFOLD_BATCHES)))
        self.memory_format = memory_format(network)
        self.accelerator = accelerator
        self.model = self.model.to(accelerator, memory_format=self.memory_format)
        self.processes = processes()
        self.processes.prepare(self.model)
        self.compiled = torch.compile(self.model) if recipe.compile else self.model
        self.averaged = Average(self.model, recipe.ema.decay) if recipe.ema else None
        self.optimizer = make_optimizer(self.model, recipe.optimizer, recipe.undecayed)
        self.clip = recipe.clip or NO_CLIP
        self.batches, self.loss = batches, loss
        self.data, self.recipe, self.bound, self.seed, self.folder = data, recipe, bound, seed, folder
        self.step, self.before_s, self.evaluated, self.finished = 0, 0.0, 0, False
        self.rows: list[Row] = []
        self.latest: Row = {}
        self.running_loss = self.evaluating_s = self.agreed_s = 0.0
        self.started_at = self.saved_at = time.monotonic()

    @property
    def shipped(self) -> BuiltNetwork:
        """What is evaluated and returned: the average, where there is one."""
        return self.averaged.module if self.averaged is not None else self.model

    @property
    def history(self) -> list[Row]:
        return [row for row in self.rows if "val_accuracy" in row]

    def elapsed(self) -> float:
        return self.before_s + time.monotonic() - self.started_at

    def progress(self) -> float:
        """The share of the training that is done, the same in all processes."""
        (self.agreed_s,) = self.processes.mean(self.elapsed()) if self.bound.seconds else (0.0,)
        return self.progress_at(self.step)

    def progress_at(self, step: int) -> float:
        """The share that is done by a step; under a time limit, what was last agreed on."""
        return self.bound.progress(step, self.batches.steps_per_epoch, self.agreed_s)

    def one_step(self, progress: float, seen: Batch) -> None:
        batch = self.batches.inputs(seen, self.accelerator, self.memory_format)
        seed_generator(self.accelerator, seed_for(self.seed, "step", self.step, self.processes.rank))
        lr, decay = self.recipe.lr(progress, self.batches.batch_size), self.recipe.decay(progress)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.param_groups[0]["weight_decay"] = decay
        if not self.model.training:  # to visit all modules takes time
            self.model.train()
        if self.recipe.frozen:
            freeze_backbone(self.model, progress < self.recipe.frozen)
        with torch.autocast(self.accelerator.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            loss = self.loss(self.compiled, batch)
        (value,) = self.processes.mean(loss.item())
        if not math.isfinite(value):
            self._diverged("loss", value, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients(self.model.parameters())
        norm = self.clip(self.model).item()
        if not math.isfinite(norm):
            self._diverged("norm of the gradient", norm, batch)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update()
        self.step += 1
        self.running_loss += (value - self.running_loss) / min(self.step, 20)
        self.latest = {
            **self.latest,
            "step": self.step,
            "epoch": (self.step - 1) // self.batches.steps_per_epoch,
            "loss": self.running_loss,
            "learning_rate": lr,
            "weight_decay": decay,
            "resolution": batch.images.shape[-1],
        }

    def note(self, progress: float, **more: float) -> None:
        """Keep a row of the metrics; one of the same step is replaced."""
        row = {"progress": round(progress, 4), "elapsed_s": round(self.elapsed(), 3), **more}
        row = {key: value for key, value in self.latest.items() if key != "val_accuracy"} | row
        self.rows = [old for old in self.rows if old["step"] != self.step] + [row]

    def may_evaluate(self) -> bool:
        """Under a time limit, evaluations get a tenth of it: they must not decide how much a network learns."""
        return self.bound.seconds is None or self.evaluating_s <= EVALUATION_SHARE * self.elapsed()

    def evaluate(self, progress: float) -> None:
        self.evaluated += 1
        started = time.monotonic()
        predicted = logits(self.shipped, self.data.val.images, self.data.preprocessing).argmax(1)
        accuracy = (predicted == self.data.val.labels).float().mean().item()
        best = max((row["val_accuracy"] for row in self.history), default=-1.0)
        self.latest = {**self.latest, "val_accuracy": accuracy}
        self.note(progress, val_accuracy=accuracy)
        if accuracy > best and self.folder is not None and self.processes.first:
            save_atomic(self.folder / BEST, lambda temporary: save_weights(self.shipped, temporary))
        self.evaluating_s += time.monotonic() - started

    def finish(self) -> None:
        """Take the statistics of batch norm anew, if the recipe says so, judge what is shipped, and save."""
        if self.finished:
            return
        steps = range(self.step, self.step + self.recipe.norm_batches)
        if steps:
            reestimate_norms(self.shipped, self.batches, steps)
        if steps or not self.history or self.history[-1]["step"] != self.step:
            self.evaluate(1.0)
        self.finished = True
        self.save()

    def save(self) -> None:
        self.saved_at = time.monotonic()
        if self.folder is None or not self.processes.first:
            return
        state = {
            "step": self.step,
            "finished": self.finished,
            "elapsed_s": self.elapsed(),
            "evaluated": self.evaluated,
            "running_loss": self.running_loss,
            "latest": self.latest,
            "rows": self.rows,
            "model": self.model.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        save_checkpoint(self.folder / CHECKPOINT, state)
        write_metrics(self.folder, self.rows)

    def restore(self) -> None:
        if self.folder is None or not (self.folder / CHECKPOINT).exists():
            return
        with restoring(self.folder / CHECKPOINT, _Course, what="training", anew="train") as (state, course):
            self.model.load_state_dict(state["model"])
            if self.averaged is not None:
                self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
            check_optimizer(self.optimizer)
            self.step, self.before_s, self.evaluated = course.step, course.elapsed_s, course.evaluated
            self.running_loss, self.latest, self.rows = course.running_loss, dict(course.latest), state["rows"]
            self.finished, self.agreed_s = course.finished, course.elapsed_s
            if self.finished and not self.history:
                raise ValueError("it is finished, but was never evaluated")
        self.started_at = time.monotonic()

    def _diverged(self, what: str, value: float, batch: Batch) -> None:
        lower = min(self.recipe.optimizer.lr / 3, 0.01)
        raise DivergedError(
            f"the {what} is {value} at step {self.step}; the batch holds {', '.join(batch.ids[:8])}, ... "
            f"Start anew with a lower learning rate: --set optimizer.lr={lower:.2g}"
        )


@torch.no_grad()
def logits(model: nn.Module, images: Tensor, preprocessing: Preprocessing, *, batch: int = 64) -> Tensor:
    """Logits in eval mode, (N, num_classes), for cropped images, uint8 (N, C, H, W); computed where the model is."""
    model.eval()
    accelerator = next(model.parameters()).device
    return torch.cat([model(preprocessing.normalize(chunk.to(accelerator))).cpu() for chunk in images.split(batch)])


def memory_format(network: Network) -> torch.memory_format:
    """Channels-last, which trains about 1.6 times as fast on CPUs; but not for parallel convolution branches.

    Differs: torch 2.14 crashes in the backward pass of MobileOne's branches in channels-last on x86 CPUs.
    """
    branched = any(isinstance(block, MobileOne | RepConv) for _, block in network.rows())
    return torch.contiguous_format if branched else torch.channels_last
