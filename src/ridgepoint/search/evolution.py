"""Multi-objective evolution over a space: NSGA-II proposes, a latency table rules out, a short training judges.

Source: NSGA-II, Deb et al. 2002, as Optuna implements it. Every proposal is drawn with a seed made of (seed, trial
number), so a killed search goes on as if it had not been killed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import optuna
from optuna.trial import TrialState

from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.study import ATTRIBUTE, open_study
from ridgepoint.seeds import seed_for

POPULATION = 10
STARTS = 5


class Evolution:
    """A search that can be asked for the next network to judge.

    Args:
        space: What may be found.
        budget_ms: Networks whose tabled latency is above it are recorded, but not trained.
        seed: Of all proposals.
        run: The run folder that holds the study.
    """

    def __init__(self, space: Space, *, budget_ms: float, seed: int, run: Path):
        self.space, self.budget_ms, self.seed = space, budget_ms, seed
        self.study = open_study(run)
        self.distributions = {
            choice.name: optuna.distributions.CategoricalDistribution(range(len(choice.options)))
            for choice in space.choices
        }

    def start_with(self, assignments: list[dict[str, int]]) -> None:
        """Queue assignments to be judged first; those that the study has already are not queued again."""
        for assignment in assignments[len(self.study.get_trials(deepcopy=False)) :]:
            full = {name: assignment.get(name, 0) for name in self.distributions}
            self.study.enqueue_trial(full)

    def evaluated(self) -> list[Candidate]:
        """The candidates that were trained, in order."""
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        found = [msgspec.json.decode(trial.user_attrs[ATTRIBUTE], type=Candidate) for trial in trials]
        return [
            candidate for candidate in found if candidate.phase == "search" and candidate.short_accuracy is not None
        ]

    def step(self, judge: Callable[[str, Network], Candidate]) -> Candidate:
        """Propose one network, have it judged, and record it.

        Args:
            judge: Gets a name and the network; gives a candidate with its tabled latency, and its short accuracy if it
                was within the budget and trained.
        """
        trial = self._ask()
        assignment = {name: trial.suggest_categorical(name, d.choices) for name, d in self.distributions.items()}
        name = f"candidate-{trial.number:03d}"
        network = msgspec.structs.replace(self.space.decode(assignment), name=name)
        known = next((c for c in self.evaluated() if c.network.digest == network.digest), None)
        candidate = judge(name, network) if known is None else _again(known, name, network)
        trial.set_user_attr(ATTRIBUTE, msgspec.json.encode(candidate).decode())
        assert candidate.tabled_ms is not None
        trial.set_constraint("latency", candidate.tabled_ms / self.budget_ms - 1.0)
        self.study.tell(trial, [candidate.short_accuracy or 0.0, candidate.tabled_ms])
        return candidate

    def _ask(self) -> optuna.Trial:
        """The next trial; one that a killed process left behind is taken up again."""
        left = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        number = left[0].number if left else self._next_number()
        self.study.sampler = _Proposals(seed_for(self.seed, "proposal", number))
        return optuna.Trial(self.study, left[0]._trial_id) if left else self.study.ask()

    def _next_number(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        waiting = [trial.number for trial in trials if trial.state == TrialState.WAITING]
        return waiting[0] if waiting else len(trials)


class _Proposals(optuna.samplers.NSGAIISampler):
    """NSGA-II for one trial; a choice that it leaves to chance is drawn from (seed, choice).

    So a trial that was killed between two choices gets the ones that are missing as it would have got them.
    """

    def __init__(self, seed: int):
        super().__init__(population_size=POPULATION, seed=seed % 2**32)
        self._chance = seed

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        """A uniform draw."""
        assert isinstance(param_distribution, optuna.distributions.CategoricalDistribution)
        rng = np.random.default_rng(seed_for(self._chance, param_name))
        return param_distribution.choices[rng.integers(len(param_distribution.choices))]


def uniform_starts(space: Space, fits: Callable[[Network], bool], *, count: int = STARTS) -> list[dict[str, int]]:
    """Assignments that take the same place in every choice's list, from the largest that fits downwards.

    They give evolution a first generation that spans the budget, as uniform scaling of one network would.
    """
    found: list[dict[str, int]] = []
    for place in range(20, -1, -1):
        share = place / 20
        assignment = space.complete(lambda choice, share=share: round(share * (len(choice.options) - 1)))  # type: ignore[misc]
        if assignment not in found and fits(space.decode(assignment)):
            found.append(assignment)
        if len(found) == count:
            break
    return found


def _again(known: Candidate, name: str, network: Network) -> Candidate:
    note = f"the same network as {known.name}"
    return msgspec.structs.replace(known, name=name, network=network, parent=known.name, note=note)
