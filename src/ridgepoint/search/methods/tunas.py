"""TuNAS: one set of shared weights, and a policy that learns by REINFORCE which network to take from them.

Every step draws a few networks from the policy, teaches the shared weights by one gradient step of the first of them on
training images, takes the accuracies of all on validation images that the weights never see, and moves the policy
towards those whose reward beats that of the others. Until the policy begins to learn, every choice is now and then
opened wide: an operator to all its options at once, a width to its largest. Of the most probable networks within the
budget those are the result that the shared weights like best on all validation images.

Source: TuNAS, arXiv:2008.06120, sections 3 to 5, and its released code (defaults below); that the shared weights choose
among networks of the policy, ENAS, arXiv:1802.03268, section 2.2.
Differs: TuNAS draws one network on each of 32 cores, with images of its own, and compares rewards with the average of
earlier steps. Here the networks of a step see the same images and are compared with each other (the leave-one-out
baseline of Kool et al., 2019, "Buy 4 REINFORCE samples, get a baseline for free!"), so that neither a hard batch nor
weights that get better count as luck; only one of them teaches. Nothing is validated while the policy does not learn.
An operator that is opened wide averages whole blocks, not depthwise convolutions inside one. The policy's learning rate
grows with the root of how much shorter than TuNAS's 27,000 steps a search is, so that its noise over the whole search
stays the same. TuNAS keeps the most probable network, even if it is over the budget.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch

from ridgepoint.arch.choice import Assignment, Choice
from ridgepoint.arch.space import Space
from ridgepoint.arch.vocabulary import keys_that_decide
from ridgepoint.search.one_shot import PROPOSED, Row, learn
from ridgepoint.search.policy import Policy
from ridgepoint.search.reward import Absolute, AnyReward
from ridgepoint.search.shared_weights import Weights
from ridgepoint.seeds import seed_for
from ridgepoint.train.loop import Bound
from ridgepoint.train.schedule import Positive, Share

STEPS = 27_000  # of TuNAS's search
# Of the most probable networks so many are looked at for some within the budget, and so many of those are judged.
VISITED, JUDGED = 400, 16

# What a choice decides, by its key: an operator, a whole row among them, or a width. Whatever else, a depth among them,
# is only ever drawn.
OPERATORS = keys_that_decide("operator") | {"block", "blocks", "stem"}
WIDTHS = keys_that_decide("width")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the policy learns; the weights have a recipe of their own.

    Attributes:
        reward: Of a network.
        children: Networks per step that the policy learns from; with 1, its reward is compared with the average of
            earlier steps.
        lr: The policy's learning rate in a search of `STEPS` steps when it begins to learn; it ends ten times as high.
        delay: The share of the steps before the policy learns; both warm-ups fade over it.
        operator_warmup: Whether operators are opened to the mean of all their options.
        width_warmup: Whether widths are opened to the largest.
        momentum: Of the average reward.
    """

    reward: AnyReward = Absolute()
    children: Annotated[int, msgspec.Meta(ge=1)] = 4
    lr: Positive = 4.8e-3
    delay: Share = 0.25
    operator_warmup: bool = True
    width_warmup: bool = True
    momentum: Share = 0.95


DEFAULTS = Settings()


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where a search ended.

    Attributes:
        assignments: Networks within the budget, the best one by the shared weights first; one over the budget if no
            change of single choices leads within it.
        most_probable: The most probable network, whatever it takes.
        history: The policy over the steps.
    """

    assignments: tuple[Assignment, ...]
    most_probable: Assignment
    history: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one search is asked; it ends the same way in every process, unless the clock bounds it.

    Attributes:
        space: What may be found.
        weights: Makes the weights that all networks of a space, or of a part of it, share.
        latency_ms: Of a member, in milliseconds.
        budget_ms: The reward's target, and the most that the found network takes.
        seed: Of all that is drawn.
        bound: Epochs or seconds.
        settings: How the policy learns.
        folder: Where the checkpoint and `history.jsonl` go; None keeps nothing.
        on_step: Called after every step with the share done and the latest row of the history.
    """

    space: Space
    weights: Callable[[Space], Weights]
    latency_ms: Callable[[Assignment], float]
    budget_ms: float
    seed: int
    bound: Bound
    settings: Settings = DEFAULTS
    folder: Path | None = None
    on_step: Callable[[float, Row], None] = lambda share, row: None


def tunas(job: Job) -> Found:
    """Search in one stage; if the folder holds a checkpoint, go on from it.

    Raises:
        DivergedError: If the weights diverge.
        RunError: If the checkpoint is that of another search.
    """
    learner = _Learner(job)
    learnt = learn(learner, bound=job.bound, folder=job.folder, on_step=job.on_step)
    judged = likeliest_within(job.budget_ms, job.latency_ms, learner.policy)
    return Found(
        assignments=tuple(sorted(judged, key=learner.weights.accuracy_on_all, reverse=True)[:PROPOSED]),
        most_probable=learner.policy.most_probable(),
        history=learnt.history,
    )


def likeliest_within(budget_ms: float, latency_ms: Callable[[Assignment], float], policy: Policy) -> list[Assignment]:
    """The `JUDGED` most probable networks within the budget, as far as `VISITED` of the most probable networks go.

    Where none of those is within it, the most probable one that single changes lead to.
    """
    fitting = (each for each in policy.likeliest(VISITED) if latency_ms(each) <= budget_ms)
    return list(islice(fitting, JUDGED)) or [within(policy.most_probable(), budget_ms, latency_ms, policy)]


def within(
    assignment: Assignment, budget_ms: float, latency_ms: Callable[[Assignment], float], policy: Policy
) -> Assignment:
    """The assignment, changed choice by choice until it is within the budget or no change makes it faster.

    Every change costs the least log-probability per millisecond that is still to be saved.
    """
    while (ms := latency_ms(assignment)) > budget_ms:
        tried = [(lost, ms - latency_ms(changed), changed) for lost, changed in policy.changes(assignment)]
        faster = [(lost, min(saved, ms - budget_ms), changed) for lost, saved, changed in tried if saved > 0]
        if not faster:
            break
        assignment = min(faster, key=lambda each: (each[0] / each[1], -each[1]))[2]
    return assignment


def member(space: Space, taken: Mapping[str, int]) -> Assignment:
    """What of the given options is open."""
    return space.complete(lambda choice: taken[choice.name])


class _Learner:
    """The policy, and the weights that it draws networks from."""

    def __init__(self, job: Job):
        self.job, self.settings = job, job.settings
        self.weights = job.weights(job.space)
        self.policy = Policy(job.space)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), betas=(0.0, 0.999))
        self.widest = {choice.name: _widest(choice) for choice in job.space.choices}
        self.rewards = self.counted = 0.0

    @property
    def steps_per_epoch(self) -> int:
        return self.weights.steps_per_epoch

    def one_step(self, step: int, progress: float) -> float:
        rng = np.random.default_rng(seed_for(self.job.seed, "policy", step))
        drawn = [self.policy.sample(rng) for _ in range(self.settings.children)]
        loss = self.weights.teach(step, progress, self.opened(drawn[0], progress, rng))
        if progress >= self.settings.delay:
            self.learn([member(self.job.space, each) for each in drawn], step, progress)
        return loss

    def opened(self, drawn: Assignment, progress: float, rng: np.random.Generator) -> list[Assignment]:
        """The networks that are taught together: the one that was drawn, or several while the warm-ups last."""
        space, share = self.job.space, max(1.0 - progress / self.settings.delay, 0.0) if self.settings.delay else 0.0
        wide = [name for name in drawn if rng.random() < share]
        if self.settings.width_warmup:
            drawn = drawn | {name: self.widest[name] for name in wide if space.keys[name] in WIDTHS}
        operators = [name for name in wide if space.keys[name] in OPERATORS] if self.settings.operator_warmup else []
        options = self.policy.options
        turns = max((options[name] for name in operators), default=1)
        shifted = [drawn | {name: (drawn[name] + turn) % options[name] for name in operators} for turn in range(turns)]
        return [member(space, each) for each in shifted]

    def learn(self, children: list[Assignment], step: int, progress: float) -> None:
        """Move the policy towards the children that beat the others, or, alone, the average reward so far."""
        keep = self.settings.momentum
        rewards = np.array([self.reward(step, child) for child in children])
        self.rewards = keep * self.rewards + (1 - keep) * float(rewards.mean())
        self.counted = keep * self.counted + (1 - keep)
        others = len(children) - 1
        gains = rewards - ((rewards.sum() - rewards) / others if others else self.average())
        log_p = torch.stack([self.policy.log_probability(child) for child in children])
        self.optimizer.param_groups[0]["lr"] = self.lr(step, progress)
        self.optimizer.zero_grad()
        (-(torch.from_numpy(gains).float() * log_p).mean()).backward()
        self.optimizer.step()

    def reward(self, step: int, child: Assignment) -> float:
        """Of a network, on the validation images of a step."""
        accuracy = self.weights.accuracy(step, child)
        return self.settings.reward(accuracy, self.job.latency_ms(child), self.job.budget_ms)

    def average(self) -> float:
        """Of the rewards, as if the first one had always been there."""
        return self.rewards / self.counted

    def lr(self, step: int, progress: float) -> float:
        """Of the policy: ten times as high at the end as where it begins to learn."""
        steps = step / progress if progress else STEPS
        learned = (progress - self.settings.delay) / max(1.0 - self.settings.delay, 1e-9)
        return self.settings.lr * math.sqrt(STEPS / steps) * 10**learned

    def row(self) -> Row:
        likely = self.policy.most_probable()
        return {
            "reward": self.average() if self.counted else None,
            "entropy": self.policy.entropy(),
            "most_probable_ms": self.job.latency_ms(likely),
            "probabilities": self.policy.probabilities(),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "rewards": self.rewards,
            "counted": self.counted,
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "weights": self.weights.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.weights.load_state_dict(state["weights"])
        self.rewards, self.counted = state["rewards"], state["counted"]


def _widest(choice: Choice) -> int:
    """The option with the largest number."""
    sizes = [option if isinstance(option, int | float) else 0 for option in choice.options]
    return sizes.index(max(sizes))
