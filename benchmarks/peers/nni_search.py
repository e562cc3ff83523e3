"""NNI's ProxylessNAS with its latency penalty, on the same blocks.

A row of the space is a `LayerChoice` of its nine blocks, and of nothing at all in the rows that a depth can leave out.
Blocks do not share weights: NNI's ProxylessNAS has no choices inside a layer. The penalty is NNI's own, with the
expected latency by our model, which is a sum over rows. `NasExperiment` is left aside: its sequential engine runs the
strategy in this process. What NNI returns is drawn from the probabilities and not held to a budget; so it is drawn
until it meets the budget, and the first draw is reported beside. A search that was killed begins anew: NNI orders its
architecture parameters by object identity (a set), so in another process its checkpoints do not fit them.
"""

import logging
import warnings
from collections.abc import Mapping

import torch
from nni.mutable import Categorical, MutableExpression
from nni.nas.evaluator.pytorch import Lightning, LightningModule, Trainer
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.nn.pytorch import LayerChoice, ModelSpace
from nni.nas.profiler import ExpressionProfiler
from nni.nas.space import RawFormatModelSpace
from nni.nas.strategy import Proxyless
from problem import DEPTHS, OPTIONS, ROWS, STAGES, Problem, Teacher
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ridgepoint.arch.choice import Assignment
from ridgepoint.nn.build import build

SKIP = "skip"
DRAWS = 1000
# NNI's default of 3e-4 moves no probability in the hundreds of steps that a CPU has time for.
ARCHITECTURE_LR = 1e-2
NAMES = {f"kernel {kernel} ratio {ratio}": (kernel, ratio) for kernel, ratio in OPTIONS}


def search(problem: Problem) -> tuple[Assignment, dict]:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(problem.seed)
    space = Rows(problem)
    penalty = {"profiler": Expected(problem, space), "baseline": problem.budget_ms, "nonlinear": "absolute"}
    trainer = Trainer(
        max_epochs=problem.epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=problem.folder,
    )
    evaluator = Lightning(
        Recipe(problem),
        trainer,
        train_dataloaders=DataLoader(TrainingBatches(problem, trainer), batch_size=None),
        val_dataloaders=DataLoader(ValidationBatches(problem), batch_size=None),
    )
    strategy = Proxyless(arc_learning_rate=ARCHITECTURE_LR, warmup_epochs=max(problem.epochs // 4, 1), penalty=penalty)
    strategy(RawFormatModelSpace(space, evaluator), SequentialExecutionEngine())
    draws = (member(problem, strategy.oneshot_module.export()) for _ in range(DRAWS))
    first = next(draws)
    within = next((each for each in [first, *draws] if problem.latency_ms(each) <= problem.budget_ms), first)
    likely = [max(row.values()) for row in strategy.oneshot_module.export_probs().values()]
    told = {
        "first_draw_ms": round(problem.latency_ms(first), 5),
        "mean_of_largest_probabilities": round(sum(float(each) for each in likely) / len(likely), 3),
    }
    return within, told


def member(problem: Problem, sample: Mapping[str, str]) -> Assignment:
    """A draw as a member of the space: rows that are left out go to the end of their stage."""
    kernels, ratios, depths = [], [], []
    for stage in range(STAGES):
        rows = [NAMES[sample[label(stage, row)]] for row in range(ROWS) if sample[label(stage, row)] != SKIP]
        depths.append(len(rows))
        rows += [OPTIONS[0]] * (ROWS - len(rows))
        kernels += [kernel for kernel, _ in rows]
        ratios += [ratio for _, ratio in rows]
    return problem.member(kernels, ratios, depths)


def label(stage: int, row: int) -> str:
    return f"stage{stage}_row{row}"


class Rows(ModelSpace):
    """The space as NNI can express it."""

    def __init__(self, problem: Problem):
        super().__init__()
        count = STAGES * ROWS
        whole = {
            name: build(problem.space.decode(problem.member([kernel] * count, [ratio] * count, [max(DEPTHS)] * STAGES)))
            for name, (kernel, ratio) in NAMES.items()
        }
        first = next(iter(whole.values()))
        self.stem, self.head = first.stem, first.head
        self.choices = nn.Sequential()
        for stage in range(STAGES):
            for row in range(ROWS):
                blocks = {name: net.stages[stage][row] for name, net in whole.items()}
                skip = {SKIP: nn.Identity()} if row >= min(DEPTHS) else {}
                self.choices.append(LayerChoice({**blocks, **skip}, label=label(stage, row)))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.choices(self.stem(x)))


class Expected(ExpressionProfiler):
    """Our latency model as a sum over rows: what a row's block takes beyond the smallest member."""

    def __init__(self, problem: Problem, space: Rows):
        super().__init__(space)
        count = STAGES * ROWS
        base = problem.latency_ms(problem.member([3] * count, [3] * count, [max(DEPTHS)] * STAGES))
        self.expression = base
        for stage in range(STAGES):
            shallow = [max(DEPTHS) - (other == stage) for other in range(STAGES)]
            last = base - problem.latency_ms(problem.member([3] * count, [3] * count, shallow))
            for row in range(ROWS):
                place = stage * ROWS + row
                more = {SKIP: -last} if row >= min(DEPTHS) else {}
                for name, (kernel, ratio) in NAMES.items():
                    kernels, ratios = [3] * count, [3] * count
                    kernels[place], ratios[place] = kernel, ratio
                    member = problem.member(kernels, ratios, [max(DEPTHS)] * STAGES)
                    more[name] = problem.latency_ms(member) - base
                choice = Categorical([*NAMES, *([SKIP] if SKIP in more else [])], label=label(stage, row))
                self.expression = self.expression + MutableExpression.switch_case(choice, more)


class Recipe(LightningModule):
    """The common recipe as a Lightning module."""

    def __init__(self, problem: Problem):
        super().__init__()
        self.problem = problem

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.teacher = Teacher(self.problem, self.model)
        return self.teacher.optimizer

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Twice a step: of the architecture, and of the weights."""
        images, labels = batch
        self.teacher.set_rates(self.trainer.current_epoch * self.teacher.batches.steps_per_epoch + index // 2)
        return nn.functional.cross_entropy(
            self.model(images), labels, label_smoothing=self.problem.recipe.label_smoothing
        )


class TrainingBatches(Dataset):
    """The batches of one epoch after the other; Lightning asks for `len` of them per epoch."""

    def __init__(self, problem: Problem, trainer: Trainer):
        self.problem, self.trainer, self.batches = problem, trainer, problem.batches

    def __len__(self) -> int:
        return self.batches.steps_per_epoch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        step = self.trainer.current_epoch * len(self) + index
        batch = self.batches.batch(step, step / self.problem.steps)
        return batch.images.to(memory_format=torch.channels_last), batch.targets


class ValidationBatches(Dataset):
    """As many batches of validation images as there are of training images, drawn with replacement."""

    def __init__(self, problem: Problem):
        self.problem, self.size, self.length = problem, problem.recipe.batch_size, problem.batches.steps_per_epoch
        self.generator = torch.Generator().manual_seed(problem.seed)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        split = self.problem.images.val
        chosen = torch.randint(len(split), (self.size,), generator=self.generator)
        return self.problem.inputs(split.images[chosen]), split.labels[chosen]
