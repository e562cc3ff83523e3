"""Multi-objective evolution: accuracy up, latency down, the budget as a constraint.

Source: NSGA-II, Deb et al. 2002, as Optuna implements it.
"""

from collections.abc import Iterator
from itertools import chain, repeat

import optuna

from ridgepoint.search.draw import uniform_starts
from ridgepoint.search.method import Problem, Proposal, Proposals
from ridgepoint.search.methods.entry import Entry
from ridgepoint.seeds import seed_for

POPULATION = 10
STARTS = 5


def nsga2(problem: Problem) -> Proposals:
    """Networks that Optuna's sampler proposes, after a few that span the budget.

    What is over the budget is proposed now and then; such candidates are not trained, but tell where the budget lies.
    """
    space = problem.space
    assert space is not None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed_for(problem.seed, "nsga2") % 2**32)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    options = {choice.name: range(len(choice.options)) for choice in space.choices}
    starts = uniform_starts(problem, count=STARTS)
    for start in starts:
        study.enqueue_trial({name: start.get(name, 0) for name in options})
    met: set[tuple[int, ...]] = set()
    trials: list[optuna.Trial] = []

    def asked(count: int) -> Iterator[Proposal]:
        while len(trials) < count and len(met) < space.size:
            trials.append(study.ask())
            genes = {name: trials[-1].suggest_categorical(name, indices) for name, indices in options.items()}
            met.add(tuple(genes.values()))
            yield Proposal(network=space.decode(genes))

    for count in chain([len(starts)], repeat(POPULATION)):  # Optuna counts the starts to no generation
        candidates = yield asked(count)
        if not candidates:
            return
        for trial, candidate in zip(trials, candidates, strict=True):
            trial.set_constraint("latency", candidate.estimated_ms / problem.budget_ms - 1.0)
            study.tell(trial, [candidate.short_accuracy or 0.0, candidate.estimated_ms])
        trials.clear()


NSGA2 = Entry(nsga2)
