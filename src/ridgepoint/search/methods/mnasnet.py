"""Platform-aware search: a controller proposes batches of networks and learns from their accuracy and latency.

Source: MnasNet, arXiv:1807.11626, section 4: a recurrent controller over a factorised space, proximal policy
optimisation, the reward accuracy * (latency / target) ** -0.07, candidates trained briefly and timed on the device.
Differs: what is over the budget by the table is drawn again, as in the other methods here, so that no training is spent
on a network that cannot be returned; no network is proposed twice. Batches are small and the controller takes many
steps on each, for searches of tens to hundreds of candidates instead of thousands. The gains of a batch are divided by
their spread, so that rewards need no scale.
"""

from collections.abc import Sequence
from typing import Annotated, cast

import msgspec
import numpy as np
import torch

from ridgepoint.arch.choice import Assignment
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.controller import Controller
from ridgepoint.search.draw import Draws
from ridgepoint.search.method import Problem, Proposal, Proposals
from ridgepoint.search.methods.entry import Entry
from ridgepoint.search.reward import AnyReward, Soft
from ridgepoint.seeds import seed_for

Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the controller learns.

    Attributes:
        reward: Of a candidate.
        batch: Candidates between two updates of the controller.
        updates: Gradient steps on each batch. With 1 the rule is REINFORCE, which PPO's first step is.
        clip: How far a decision's probability may move within an update, as a share of what it was.
        lr: Of Adam.
        entropy: Weight of the entropy, which keeps decisions open.
        momentum: Of the average reward that candidates are compared with.
    """

    reward: AnyReward = Soft()
    batch: Annotated[int, msgspec.Meta(ge=2)] = 8
    updates: Count = 5
    clip: Positive = 0.2
    lr: Positive = 3e-3
    entropy: NotNegative = 0.1
    momentum: Share = 0.5


def mnasnet(problem: Problem) -> Proposals:
    """Batches that the controller draws, within the budget and none twice; each teaches it."""
    settings = cast(Settings | None, problem.settings) or Settings()
    draws = Draws(problem, "mnasnet")
    learner = _Learner(Controller(draws.space, seed=seed_for(problem.seed, "controller")), settings)
    while True:
        drawn = list(draws.several(lambda: learner.controller.sample(draws.rng), settings.batch))
        drawn += draws.several(draws.uniform, settings.batch - len(drawn))  # where the controller has made up its mind
        candidates = yield [Proposal(network=network, measured=True) for _, network in drawn]
        if not candidates:
            return
        rewards = [_reward(candidate, problem.budget_ms, settings.reward) for candidate in candidates]
        learner.learn([assignment for assignment, _ in drawn], np.array(rewards))


def _reward(candidate: Candidate, budget_ms: float, reward: AnyReward) -> float:
    """By the clock where there is one; nothing for what diverged."""
    ms = candidate.ms if candidate.measured_ms is None else candidate.measured_ms
    return reward(candidate.short_accuracy or 0.0, ms, budget_ms)


class _Learner:
    """Moves a controller towards what earned more than the average."""

    def __init__(self, controller: Controller, settings: Settings):
        self.controller, self.settings = controller, settings
        self.optimizer = torch.optim.Adam(controller.parameters(), lr=settings.lr)
        self.average: float | None = None

    def learn(self, assignments: Sequence[Assignment], rewards: np.ndarray) -> None:
        """Several gradient steps on one batch."""
        mean, keep = float(rewards.mean()), self.settings.momentum
        self.average = mean if self.average is None else keep * self.average + (1 - keep) * mean
        gains_B = torch.as_tensor((rewards - self.average) / (rewards.std() + 1e-8), dtype=torch.float32)
        with torch.no_grad():
            before_BT, _, _ = self.controller.decisions(assignments)
        for _ in range(self.settings.updates):
            self.optimizer.zero_grad()
            self.controller.loss(
                assignments, before_BT, gains_B, clip=self.settings.clip, entropy=self.settings.entropy
            ).backward()
            self.optimizer.step()


MNASNET = Entry(mnasnet, settings=Settings)
