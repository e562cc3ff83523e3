"""Latency-driven slimming: a supernet learns which blocks matter, then loses the least per millisecond, step by step.

Every slot of a MetaPath supernet runs all its options at once, weighted by a Gumbel-softmax of logits that are learnt
with the weights. Then the largest network shrinks: the least important slot becomes nothing, the first attention block
becomes a pooling one, or the least important stage becomes narrower, whichever loses the least accuracy per
millisecond, until the budget is met. Every action is a candidate of the journal.

A slot is as important as its blocks are more probable than nothing; a stage as all its slots together. Latencies are
sums of tabled blocks at every width, multiples of 16 in the spaces that come with the package.

Source: EfficientFormer, arXiv:2206.01191, section 3.3. Its code was never released, and no source gives the
temperatures, how the logits are learnt, how many images judge an action, or whether weights are tuned in between. Here
the temperature falls geometrically; the logits stand still at first, then descend the training loss, all with one scale
(with Adam's, one for each, they would all move alike, however little a slot matters); the validation images
judge every action with the shared weights, which are not tuned in between.
Differs: importance is a ratio of probabilities, since one of raw logits can change its sign. The paper trains the
widest network only; here a share of the steps trains random widths, so that a narrower one has weights to be judged
with. Where the space has several resolutions, the largest at which the budget can be met is kept.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import msgspec
import numpy as np
import torch

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.space import Space
from ridgepoint.search.draw import smallest
from ridgepoint.search.method import Problem, Proposal, Proposals
from ridgepoint.search.methods.entry import Entry
from ridgepoint.search.methods.metapath import NOTHING, MetaPath, metapath, small_metapath
from ridgepoint.search.methods.slimming_actions import Slimmer
from ridgepoint.search.one_shot import OneShotJudge, Row, latencies, learn, training_bound
from ridgepoint.search.policy import Policy
from ridgepoint.search.shared_weights import Weights
from ridgepoint.seeds import seed_for
from ridgepoint.train.schedule import Positive, Share


class Temperature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A temperature that falls geometrically from `start` to `end`."""

    start: Positive
    end: Positive

    def at(self, progress: float) -> float:
        """The temperature when so much of the training is done."""
        return self.start * math.pow(self.end / self.start, progress)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How importance is learnt; the weights have a recipe of their own.

    Attributes:
        gumbel: Whether slots are drawn with Gumbel noise; a plain softmax without.
        temperature: Of the draws.
        reach: How far a gradient of average size that keeps its sign moves a logit over the whole training.
        delay: The share of the steps before the logits learn.
        narrow: The share of the steps with random widths; the others have the widest network.
    """

    gumbel: bool = True
    temperature: Temperature = Temperature(start=5.0, end=0.5)
    reach: Positive = 4.0
    delay: Share = 0.25
    narrow: Share = 0.5


DEFAULTS = Settings()
# Shares of the latency that further networks are brought within, for those who clock the first one and find it slower;
# with that one they are as many as a search by shared weights ends on.
FALLBACKS = (0.95, 0.85)
MEMORY = 0.99  # of the average size of the logits' gradients


def slimming(problem: Problem) -> Proposals:
    """The largest network, then one after every action down to the budget, then a few that are slightly faster.

    The training lasts as long as judging the evaluations that the last ones leave over.

    Raises:
        InputError: If the space has other choices than slots and widths.
    """
    path = metapath(at_resolution(problem))
    learner = _Learner(path, problem)
    learn(
        learner,
        bound=training_bound(problem),
        folder=None if problem.folder is None else problem.folder / "slimming",
        on_step=lambda share, row: problem.told(share, _said(row)),
    )
    slimmer = Slimmer(
        path=path,
        importance=learner.importance(),
        latency_ms=latencies(problem, path.space),
        accuracy=learner.weights.accuracy_on_all,
    )
    now = path.largest()
    candidate = yield Proposal(network=path.space.decode(now), note="the largest network")
    for judged in slimmer.down_to(problem.budget_ms, now):
        now = judged.action.after
        candidate = yield Proposal(network=path.space.decode(now), parent=candidate.name, note=str(judged))
    found_ms = slimmer.latency_ms(now)
    for share in FALLBACKS:
        actions = list(slimmer.down_to(share * found_ms, now))
        if actions:
            now = actions[-1].action.after
            note = "; then ".join(map(str, actions))
            candidate = yield Proposal(network=path.space.decode(now), parent=candidate.name, note=note)


def at_resolution(problem: Problem) -> Space:
    """The space at the largest of its resolutions at which some network meets the budget; else at the smallest."""
    space = problem.space
    assert space is not None
    sides = [choice for choice in space.choices if space.keys[choice.name] == "input"]
    for turn in range(max((len(side.options) for side in sides), default=1)):
        part = space.bound({side.name: max(len(side.options) - 1 - turn, 0) for side in sides})
        if problem.fits(part.decode(smallest(part))):
            break
    return part


class _Learner:
    """Shared weights, and the logits of every slot."""

    def __init__(self, path: MetaPath, problem: Problem):
        self.path, self.seed = path, problem.seed
        self.settings = cast(Settings, problem.settings or DEFAULTS)
        self.weights: Weights = cast(OneShotJudge, problem.judge).weights(path.space)
        self.policy = Policy(path.space.bound(path.widest()))
        self.square = self.counted = 0.0

    @property
    def steps_per_epoch(self) -> int:
        return self.weights.steps_per_epoch

    def one_step(self, step: int, progress: float) -> float:
        settings = self.settings
        noise = torch.Generator().manual_seed(seed_for(self.seed, "slots", step)) if settings.gumbel else None
        shares = self.policy.relaxed(settings.temperature.at(progress), noise)
        self.policy.zero_grad()
        loss = self.weights.teach_mixed(step, progress, self.widths(step), shares)
        if progress > settings.delay:
            self.descend(settings.reach / ((1 - settings.delay) * step / progress))
        return loss

    @torch.no_grad()
    def descend(self, lr: float) -> None:
        """Move the logits by their gradients, divided by the root mean square of all of them."""
        gradient = self.policy.logits.grad
        assert gradient is not None
        self.square = MEMORY * self.square + (1 - MEMORY) * gradient.square().mean().item()
        self.counted = MEMORY * self.counted + (1 - MEMORY)
        if self.square:
            self.policy.logits.sub_(lr * gradient / (self.square / self.counted) ** 0.5)

    def widths(self, step: int) -> Assignment:
        """Of a step: the largest, or random ones."""
        rng = np.random.default_rng(seed_for(self.seed, "widths", step))
        if rng.random() >= self.settings.narrow:
            return self.path.widest()
        return {width.name: int(rng.integers(len(width.options))) for width in self.path.widths}

    def importance(self) -> dict[str, float]:
        """By slot, how much more probable its blocks are than nothing; infinite where it cannot be nothing."""
        found = {}
        for slot in self.path.slots:
            probabilities = dict(zip(slot.kinds, self.policy.probabilities()[slot.name], strict=True))
            nothing = probabilities.pop(NOTHING, 0.0)
            found[slot.name] = sum(probabilities.values()) / nothing if nothing else float("inf")
        return found

    def row(self) -> Row:
        return {"importance": self.importance(), "probabilities": self.policy.probabilities()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "square": self.square,
            "counted": self.counted,
            "policy": self.policy.state_dict(),
            "weights": self.weights.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.weights.load_state_dict(state["weights"])
        self.square, self.counted = state["square"], state["counted"]


def _said(row: Row) -> str:
    """A row of the history for a progress bar."""
    return f"shared weights, step {row['step']}: loss {row['loss']:.3f}"


SLIMMING = Entry(slimming, space="metaformer", check=metapath, settings=Settings, shared=True, example=small_metapath)
