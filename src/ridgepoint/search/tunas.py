"""TuNAS: one set of shared weights, and a policy that learns by REINFORCE which network to take from them.

Every step draws a network from the policy, teaches the shared weights by one gradient step of that network on training
images, takes its accuracy on validation images that the weights never see, and moves the policy towards it if its
reward beats the average of the rewards so far. Until the policy begins to learn, every choice is now and then opened
wide: an operator to all its options at once, a width to its largest. The most probable network at the end is the
result.

Source: TuNAS, arXiv:2008.06120, sections 3 to 5, and its released code (defaults below).
Differs: nothing is validated while the policy does not learn. An operator that is opened wide averages whole blocks,
not depthwise convolutions inside one. The policy's learning rate grows with the root of how much shorter than TuNAS's
27,000 steps a search is, so that its noise over the whole search stays the same. A most probable network over the
budget is brought within it by probable changes that cost the least accuracy per millisecond; TuNAS would keep it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from ridgepoint.arch.choice import Assignment, Choice
from ridgepoint.arch.space import Space
from ridgepoint.search.one_shot import FALLBACKS, Row, learn
from ridgepoint.search.policy import Policy
from ridgepoint.search.reward import Absolute, AnyReward
from ridgepoint.search.shared_weights import Weights
from ridgepoint.seeds import seed_for
from ridgepoint.train.loop import Bound
from ridgepoint.train.schedule import Positive, Share

STEPS = 27_000  # of TuNAS's search
JUDGED = 16

# What a choice decides, by its key; a choice of another key decides a depth, which is only ever drawn.
OPERATORS = (
    "kernel",
    "start_kernel",
    "middle_kernel",
    "block",
    "blocks",
    "stem",
    "branches",
    "heads",
    "se",
    "se_ratio",
)
WIDTHS = ("out_channels", "expand_ratio", "expand_channels", "conv_channels", "hidden_channels", "se_channels")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the policy learns; the weights have a recipe of their own.

    Attributes:
        reward: Of a network.
        children: Networks per step; each teaches the weights by a step of its own, and the policy by their mean.
        lr: The policy's learning rate in a search of `STEPS` steps when it begins to learn; it ends ten times as high.
        delay: The share of the steps before the policy learns; both warm-ups fade over it.
        operator_warmup: Whether operators are opened to the mean of all their options.
        width_warmup: Whether widths are opened to the largest.
        momentum: Of the average reward.
    """

    reward: AnyReward = Absolute()
    children: int = 1
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
        assignments: The most probable network, brought within the budget; and within `FALLBACKS` of it, for those who
            measure the first one and find it slower. Over the budget only if no change of a single choice is faster.
        most_probable: That network before it was changed.
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
    likely = found = learner.policy.most_probable()
    fitting = []
    for share in (1.0, *FALLBACKS):
        found = within(found, share * job.budget_ms, job.latency_ms, learner.policy, learner.accuracy_at(learnt.steps))
        fitting.append(found)
    distinct = [each for number, each in enumerate(fitting) if each not in fitting[:number]]
    return Found(assignments=tuple(distinct), most_probable=likely, history=learnt.history)


def within(
    assignment: Assignment,
    budget_ms: float,
    latency_ms: Callable[[Assignment], float],
    policy: Policy,
    accuracy: Callable[[Assignment], float] = lambda assignment: 0.0,
) -> Assignment:
    """The assignment, changed choice by choice until it is within the budget or no change makes it faster.

    Of the changes that cost the least log-probability per millisecond that is still to be saved, the one that costs the
    least accuracy per millisecond is made.
    """
    ms = latency_ms(assignment)
    while ms > budget_ms:
        tried = [(lost, latency_ms(changed), changed) for lost, changed in policy.changes(assignment)]
        faster = [(lost, min(ms - after, ms - budget_ms), changed) for lost, after, changed in tried if after < ms]
        if not faster:
            break
        likely = sorted(faster, key=lambda each: (each[0] / each[1], -each[1]))[:JUDGED]
        before = accuracy(assignment)
        gains = [(accuracy(changed) - before) / saved for _, saved, changed in likely]
        assignment = likely[gains.index(max(gains))][2]
        ms = latency_ms(assignment)
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
        return max(self.weights.steps_per_epoch // self.settings.children, 1)

    def one_step(self, step: int, progress: float) -> float:
        settings = self.settings
        rng = np.random.default_rng(seed_for(self.job.seed, "policy", step))
        drawn = [self.policy.sample(rng) for _ in range(settings.children)]
        losses = [
            self.weights.teach(step * settings.children + number, progress, self.opened(each, progress, rng))
            for number, each in enumerate(drawn)
        ]
        if progress >= settings.delay:
            self.learn([member(self.job.space, each) for each in drawn], step, progress)
        return sum(losses) / len(losses)

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
        """Move the policy towards the children that beat the average reward."""
        job, settings, accuracy = self.job, self.settings, self.accuracy_at(step)
        rewards = [settings.reward(accuracy(child), job.latency_ms(child), job.budget_ms) for child in children]
        keep = settings.momentum
        self.rewards = keep * self.rewards + (1 - keep) * sum(rewards) / len(rewards)
        self.counted = keep * self.counted + (1 - keep)
        gains = [
            (reward - self.average()) * self.policy.log_probability(child)
            for reward, child in zip(rewards, children, strict=True)
        ]
        self.optimizer.param_groups[0]["lr"] = self.lr(step, progress)
        self.optimizer.zero_grad()
        (-torch.stack(gains).mean()).backward()
        self.optimizer.step()

    def average(self) -> float:
        """Of the rewards, as if the first one had always been there."""
        return self.rewards / self.counted

    def lr(self, step: int, progress: float) -> float:
        """Of the policy: ten times as high at the end as where it begins to learn."""
        steps = step / progress if progress else STEPS
        learned = (progress - self.settings.delay) / max(1.0 - self.settings.delay, 1e-9)
        return self.settings.lr * math.sqrt(STEPS / steps) * 10**learned

    def accuracy_at(self, step: int) -> Callable[[Assignment], float]:
        """On the same validation images for all children."""
        return lambda child: self.weights.accuracy(step, child)

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
