"""What searches by shared weights have in common: one long training in which something is learnt beside the weights.

All that a step does follows from its number and the learner's state, so a training that was killed goes on from its
checkpoint as if it had not been.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.space import Space
from ridgepoint.files import write_atomic
from ridgepoint.search.method import Judge, Problem
from ridgepoint.search.shared_weights import Weights
from ridgepoint.train.checkpoint import Course
from ridgepoint.train.loop import Bound
from ridgepoint.train.resumable import Resumable

HISTORY = "history.jsonl"
ROWS = 50  # of the history
PROPOSED = 3  # networks that are judged at the end

Row: TypeAlias = dict[str, Any]


class OneShotJudge(Judge, Protocol):
    """A judge whose images can also teach weights that a whole space shares."""

    def weights(self, space: Space) -> Weights:
        """Fresh weights for the networks of a space."""
        ...

    def as_long_as(self, candidates: int) -> Bound:
        """How long it takes to judge so many candidates."""
        ...


class Learner(Protocol):
    """Shared weights, and what is learnt beside them."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps that show every image about once."""
        ...

    def one_step(self, step: int, progress: float) -> float:
        """Learn from some images; gives the loss."""
        ...

    def row(self) -> Row:
        """What the history says of the state."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that later steps depend on."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


@dataclass(frozen=True)
class Learnt:
    """How many steps a training took, and its history: `ROWS` rows or so, with step, progress and loss."""

    steps: int
    history: tuple[Row, ...]


def learn(
    learner: Learner, *, bound: Bound, folder: Path | None = None, on_step: Callable[[float, Row], None]
) -> Learnt:
    """Teach a learner until the bound is reached; if the folder holds a checkpoint, go on from it.

    Args:
        learner: Is changed.
        bound: Epochs or seconds.
        folder: Where the checkpoint and `history.jsonl` go; None keeps nothing.
        on_step: Called after every step with the share done and the latest row of the history.

    Raises:
        DivergedError: If the weights diverge.
        RunError: If the checkpoint is that of another search.
        KeyboardInterrupt: After Ctrl-C, when the step under way is whole and saved.
    """
    run = _Run(learner, bound, folder)
    run.run(on_step)
    return Learnt(run.step, tuple(run.rows))


def training_bound(problem: Problem) -> Bound:
    """As long as judging the evaluations that are left when those proposed at the end are judged."""
    judge = cast(OneShotJudge, problem.judge)
    return judge.as_long_as(max((problem.evaluations or 1) - PROPOSED, 1))


def latencies(problem: Problem, space: Space) -> Callable[[Assignment], float]:
    """The latency of a space's members by the problem's model, in milliseconds; each is asked for once."""
    known: dict[tuple[tuple[str, int], ...], float] = {}

    def latency_ms(assignment: Assignment) -> float:
        key = tuple(assignment.items())
        if key not in known:
            known[key] = problem.ms(space.decode(assignment))
        return known[key]

    return latency_ms


class _Run(Resumable[Course]):
    """A training under way: everything that a checkpoint holds."""

    kind, what, anew = Course, "search", "search"

    def __init__(self, learner: Learner, bound: Bound, folder: Path | None):
        super().__init__(folder)
        self.learner, self.bound = learner, bound

    def progress(self) -> float:
        return self.bound.progress(self.step, self.learner.steps_per_epoch, self.elapsed())

    def one_step(self, progress: float) -> None:
        loss = self.learner.one_step(self.step, progress)
        self.step += 1
        if not self.rows or progress >= self.rows[-1]["progress"] + 1 / ROWS:
            self.rows.append({"step": self.step, "progress": progress, "loss": loss, **self.learner.row()})

    def latest(self) -> Row:
        return self.rows[-1]

    def state(self) -> dict[str, Any]:
        return {"learner": self.learner.state_dict()}

    def load(self, state: dict[str, Any], course: Course) -> None:
        self.learner.load_state_dict(state["learner"])

    def write_rows(self, folder: Path) -> None:
        write_atomic(folder / HISTORY, "".join(json.dumps(row) + "\n" for row in self.rows))
