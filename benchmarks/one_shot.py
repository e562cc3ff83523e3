"""TuNAS and slimming on the tabular benchmark: shared weights are trained, and the table tells what was found.

Each search trains its supernet on the photographs as `ridgepoint search` does, for as long as the trainings of
`EVALUATIONS` candidates less the three that it ends on; those are looked up. So it takes as many epochs as random
search of `EVALUATIONS` candidates, and is compared with that: 50 seeds, the same budgets, regret as in searches.py.
`cost` is the processor time of a search over that of one candidate's training, without the three trainings at the end.

`spearman` is between what the shared weights give `RANKED` members, on all validation images, and the table.
`spearman_within` is the same of those within the budget. `of_the_best_by_shared_weights` is the regret of the three of
these that the shared weights like best.

Searches go line by line to `--lines`: those that are there are not run again; `--jobs` of them run side by side. With
`--search` nothing is told, and the tables need no accuracies yet.

    python benchmarks/one_shot.py PHOTOS benchmarks/results/tabular_*.json --lines one_shot.jsonl \
        > benchmarks/results/one_shot.json
"""

import argparse
import json
import sys
import time
from functools import cache, partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from searches import MEASURES, Lookup, Table, against, evaluated, quartiles, regrets
from tabular import EPOCHS, Trainer, members

from ridgepoint.arch.space import Space
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.method import Judgement, Proposal
from ridgepoint.search.one_shot import PROPOSED
from ridgepoint.search.shared_weights import SharedWeights
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.loop import Bound
from ridgepoint.train.recipe import load_recipe

EVALUATIONS, RANKED, SEEDS = 6, 48, 15
QUANTILES = (0.5,)
SEARCHES = {
    "tabular_uib": {
        "tunas": ("tunas", {}),
        "tunas_one_stage": ("tunas_one_stage", {}),
        "tunas_one_stage without warm-ups": ("tunas_one_stage", {"operator_warmup": False, "width_warmup": False}),
    },
    "tabular_metaformer": {
        "slimming": ("slimming", {}),
        "slimming without Gumbel noise": ("slimming", {"gumbel": False}),
    },
}


class Shared(Lookup):
    """A judge that trains shared weights; it remembers the last ones."""

    def __init__(self, table: Table, seed: int, images: TrainingData):
        super().__init__(table, seed)
        self.images = images

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        return Judgement(accuracy=0.0, seconds=0.0)  # decides nothing: the table is looked up afterwards

    def weights(self, space: Space) -> SharedWeights:
        self.made = SharedWeights(space, self.images, load_recipe("small_images"), seed=self.seed)
        return self.made

    def as_long_as(self, candidates: int) -> Bound:
        return Bound(epochs=candidates * EPOCHS[self.table.space.name])

    def accuracies(self) -> dict[str, float]:
        """What the last shared weights give some members of the part of the space that they are for."""
        found = list(members(self.made.supernet.space).items())
        chosen = np.random.default_rng(0).permutation(len(found))[:RANKED]
        return {
            digest: round(self.made.accuracy_on_all(assignment), 4)
            for digest, (assignment, _) in (found[at] for at in chosen)
        }


def searched(table: Table, trainer: Trainer, search: str, quantile: float, seed: int) -> dict:
    """One search: what it ended on, what it took, and what its weights say of members."""
    judge = Shared(table, seed, trainer.images)
    began = time.process_time()
    name, settings = SEARCHES[table.space.name][search]
    found = evaluated(table, name, settings, judge, table.budget_ms(quantile), seed, EVALUATIONS)
    return {"found": found, "seconds": round(time.process_time() - began, 2), "shared": judge.accuracies()}


def trained(table: Table, trainer: Trainer) -> dict:
    """What training a candidate takes, the mean of a few."""
    networks = [network for _, network in members(table.space).values()]
    few = networks[:: len(networks) // 4]
    began = time.process_time()
    for network in few:
        trainer(network, 0, EPOCHS[table.space.name])
    return {"seconds": round((time.process_time() - began) / len(few), 2)}


Of = tuple
"""What a line is of: a table and `training`, or a table, a search, a quantile and a seed."""


def wanted(tables: list[Table]) -> list[Of]:
    """What all lines are of: all searches from one seed before those from the next."""
    searches = [
        (table.space.name, search, quantile, seed)
        for quantile, seed, table in product(QUANTILES, range(SEEDS), tables)
        for search in SEARCHES[table.space.name]
    ]
    return [*((table.space.name, "training") for table in tables), *searches]


trainer = cache(Trainer)  # each process decodes the images once


def made(tables: dict[str, Table], data: str, of: Of) -> dict:
    """A line."""
    name, what, *where = of
    found = searched(tables[name], trainer(data), what, *where) if where else trained(tables[name], trainer(data))
    return {"of": of, **found}


def read(lines: Path) -> dict[Of, dict]:
    known = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
    return {tuple(line["of"]): line for line in known}


def make(waiting: list[Of], tables: list[Table], lines: Path, *, data: str, jobs: int) -> None:
    """Add a line to the file for all that are waiting."""
    one = partial(made, {table.space.name: table for table in tables}, data)
    with get_context("forkserver").Pool(jobs) as pool, lines.open("a") as file:
        for line in pool.imap_unordered(one, waiting):
            print(json.dumps(line), file=file, flush=True)
            print(*line["of"], file=sys.stderr)


def ranks(table: Table, shared: dict[str, float]) -> float:
    """Spearman of what shared weights give members with the table."""
    return round(float(spearmanr(list(shared.values()), [table.accuracy[of] for of in shared]).statistic), 2)


def told(table: Table, quantile: float, lines: dict[tuple, dict]) -> dict:
    """All searches of one table at one budget."""
    name, budget_ms = table.space.name, table.budget_ms(quantile)
    random = regrets(table, "random", {}, None, budget_ms, seeds=50, counts=[EVALUATIONS])[:, 0]
    report: dict = {
        "budget_ms": round(budget_ms, 4),
        "random": {measure: quartiles(random[:, number]) for number, measure in enumerate(MEASURES)},
    }
    for search in SEARCHES[name]:
        mine = [lines[of] for seed in range(SEEDS) if (of := (name, search, quantile, seed)) in lines]
        if not mine:
            continue
        found = np.array([table.regret(line["found"], budget_ms, line["of"][-1]) for line in mine])
        shared = [line["shared"] for line in mine]
        within = [{of: told for of, told in each.items() if table.ms[of] <= budget_ms} for each in shared]
        liked = [sorted(each, key=each.__getitem__, reverse=True)[:PROPOSED] for each in within]
        cost = np.mean([line["seconds"] for line in mine]) / lines[name, "training"]["seconds"]
        report[search] = {
            **{
                measure: {
                    "each": [round(float(each), 2) for each in found[:, number]],
                    "quartiles": quartiles(found[:, number]),
                    **against(found[:, number], random[:, number]),
                }
                for number, measure in enumerate(MEASURES)
            },
            "cost": round(float(cost), 2),
            "spearman": [ranks(table, each) for each in shared],
            "spearman_within": [ranks(table, each) for each in within],
            "of_the_best_by_shared_weights": [
                round(table.regret(each, budget_ms, line["of"][-1])[0], 2)
                for each, line in zip(liked, mine, strict=True)
            ],
        }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--lines", type=Path, required=True)
    parser.add_argument("--search", action="store_true", help="only search; the tables may lack accuracies")
    parser.add_argument("--done", action="store_true", help="search nothing; tell of the lines that are there")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    tables = [Table(path) for path in given.tables]
    if not given.done:
        known = read(given.lines)
        waiting = [of for of in wanted(tables) if of not in known]
        make(waiting, tables, given.lines, data=given.data, jobs=given.jobs)
    if not given.search:
        lines = read(given.lines)
        report = {table.space.name: [told(table, each, lines) for each in QUANTILES] for table in tables}
        print(json.dumps({"command": " ".join(sys.argv), "evaluations": EVALUATIONS, **report}, indent=1))


if __name__ == "__main__":
    main()
