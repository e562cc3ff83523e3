"""Searches on the tabular benchmark: regret against the number of candidates evaluated, each beside random search.

Every search runs through the package's driver with a table for its judge and for its latencies, from 50 seeds at three
budgets, quantiles of the members' latencies. What it sees of a candidate is the accuracy of one training, whose seed
depends on candidate and search; what it returns after n candidates is the best of what it has seen. Regret is the
accuracy of the best member within the budget less that of the returned one, in points, told in two ways:

- `regret`: an accuracy is what a ridge regression on all options and pairs of options makes of all trainings. Where
  what it leaves over (`left_over`) is no more than what two trainings of one network differ by (`spread`, over the root
  of their number), that is luck, of the best of a hundred networks most of all.
- `raw`: an accuracy is the mean over a network's trainings. The one that a search saw is part of it, so this is kind to
  searches that see many, and unkind to those that look trainings up at their end only.

Whoever sees one training of every member still has some regret: the floor.

p is that of a Mann-Whitney test, two-sided, of a method's regrets against those of random search after as many
candidates. `better` is the chance that the method's regret is the smaller one, ties counted half.

    python benchmarks/searches.py PHOTOS benchmarks/results/tabular_*.json > benchmarks/results/searches.json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy.stats import mannwhitneyu, spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures
from tabular import SPACES, Trainer
from torch import Tensor
from torch.nn.functional import cross_entropy

from ridgepoint.arch.network import Network
from ridgepoint.arch.space import load_space
from ridgepoint.cost.latency import TabledLatency
from ridgepoint.search import draw
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.driver import run_search
from ridgepoint.search.method import Judge, Judgement, Problem, Proposal
from ridgepoint.search.methods import find_method, make_method_settings
from ridgepoint.search.scores import SCORES, ExampleLoss, score
from ridgepoint.search.study import Study
from ridgepoint.seeds import seed_for

Shown = tuple[Tensor, ExampleLoss]
QUANTILES = (0.25, 0.5, 0.75)
COUNTS = (2, 4, 8, 16, 24, 32)
MEASURES = ("regret", "raw")
SEARCHES = {
    "random": ("random", {}),
    "evolution": ("evolution", {}),
    "nsga2": ("nsga2", {}),
    "mnasnet": ("mnasnet", {}),
    **{f"{method} of {name}": (method, {"prefilter": name}) for method in ("random", "evolution") for name in SCORES},
}


class Table:
    """A table's file as a latency model, and as what judges look accuracies up in."""

    def __init__(self, path: Path):
        read = json.loads(path.read_text(encoding="utf-8"))
        self.space = load_space(SPACES / f"{read['space']}.yaml")
        self.rows = {row["digest"]: row for row in read["rows"]}

    @cached_property
    def ms(self) -> dict[str, float]:
        return {digest: float(np.sqrt(np.prod(row["ms"]))) for digest, row in self.rows.items()}

    @cached_property
    def raw(self) -> dict[str, float]:
        return {digest: float(np.mean(row["accuracy"])) for digest, row in self.rows.items()}

    @cached_property
    def accuracy(self) -> dict[str, float]:
        """By the regression."""
        taken = [
            [row["assignment"].get(choice.name, -1) for choice in self.space.choices] for row in self.rows.values()
        ]
        options = OneHotEncoder(drop="if_binary", sparse_output=False).fit_transform(taken) - 0.5
        pairs = PolynomialFeatures(2, interaction_only=True, include_bias=False).fit_transform(options)
        raw = np.array(list(self.raw.values()))
        fit = RidgeCV(np.logspace(-2, 3, 21)).fit(pairs, raw)
        return dict(zip(self.rows, fit.predict(pairs).tolist(), strict=True))

    @property
    def left_over(self) -> float:
        """The standard deviation of what the regression leaves over, in points."""
        return 100 * float(np.std([self.raw[digest] - self.accuracy[digest] for digest in self.rows]))

    def latency(self, network: Network) -> TabledLatency:
        return TabledLatency(ms=self.ms[network.digest], device="table", runtime="onnxruntime", threads=1, rows=1)

    def seen(self, digest: str, seed: int) -> float:
        """The accuracy of the one training that a search sees."""
        accuracies = self.rows[digest]["accuracy"]
        return accuracies[seed_for(seed, digest) % len(accuracies)]

    def budget_ms(self, quantile: float) -> float:
        """That so many members meet."""
        return float(np.quantile(list(self.ms.values()), quantile))

    def within(self, budget_ms: float) -> list[str]:
        return [digest for digest, ms in self.ms.items() if ms <= budget_ms]

    def regret(self, digests: list[str], budget_ms: float, seed: int) -> tuple[float, float]:
        """In points, of the best of these networks by what a search has seen: `regret` and `raw`."""
        returned, within = max(digests, key=lambda digest: self.seen(digest, seed)), self.within(budget_ms)
        one, other = (
            100 * (max(told[digest] for digest in within) - told[returned]) for told in (self.accuracy, self.raw)
        )
        return one, other


class Lookup:
    """A judge whose trainings were done before; the images are for zero-cost scores."""

    def __init__(self, table: Table, seed: int, examples: Shown | None = None):
        self.table, self.seed, self.shown = table, seed, examples

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        return Judgement(accuracy=self.table.seen(candidate.network.digest, self.seed), seconds=0.0)

    def examples(self, network: Network) -> Shown:
        return self.shown


def evaluated(
    table: Table, name: str, settings: dict, judge: Judge, budget_ms: float, seed: int, count: int
) -> list[str]:
    """The digests of the networks within the budget that a search trained, in order."""
    problem = Problem(
        latency=table,
        budget_ms=budget_ms,
        judge=judge,
        seed=seed,
        space=table.space,
        evaluations=count,
        settings=make_method_settings(name, settings),
    )
    found = run_search(problem, find_method(name).method, Study())
    trained = {each.network.digest: None for each in found if each.short_accuracy is not None}
    return [digest for digest in trained if table.ms[digest] <= budget_ms]


def regrets(
    table: Table, name: str, settings: dict, shown: Shown | None, budget_ms: float, *, seeds: int, counts: Sequence[int]
) -> np.ndarray:
    """(seeds, counts, 2), as `Table.regret`; a search that has run out of networks stays where it is."""
    found = []
    for seed in range(seeds):
        digests = evaluated(table, name, settings, Lookup(table, seed, shown), budget_ms, seed, counts[-1])
        found.append([table.regret(digests[:count], budget_ms, seed) for count in counts])
    return np.array(found)


def quartiles(values: np.ndarray) -> list[float]:
    return [round(float(value), 2) for value in np.quantile(values, (0.25, 0.5, 0.75))]


def against(values: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """How often values are smaller than others, and whether that may be chance."""
    test = mannwhitneyu(others, values)
    return {"better": round(test.statistic / (len(values) * len(others)), 3), "p": float(f"{test.pvalue:.2g}")}


def told(found: dict[str, np.ndarray]) -> dict[str, dict]:
    """By method and count, quartiles of the regret, and the comparison with random search."""
    return {
        name: {
            str(count): {
                measure: {
                    "quartiles": quartiles(each[:, at, number]),
                    **against(each[:, at, number], found["random"][:, at, number]),
                }
                for number, measure in enumerate(MEASURES)
            }
            for at, count in enumerate(COUNTS)
        }
        for name, each in found.items()
    }


def known_scores(table: Table, judge: Lookup) -> dict[tuple[str, str], float]:
    """Every member's zero-cost scores, with weights of one seed; each takes as long as it does in any search."""
    networks = [table.space.decode(row["assignment"]) for row in table.rows.values()]
    return {(name, each.digest): score(name, each, judge, seed=0) for name in SCORES for each in networks}


def repeats(trainings: np.ndarray) -> dict[str, float]:
    """How far trainings of one network differ, in points, and how two of all networks rank them."""
    return {
        "spread": round(100 * float(np.sqrt(trainings.var(axis=1, ddof=1).mean())), 2),
        "spearman_of_two": round(spearmanr(*trainings.T[:2]).statistic, 3),
    }


def compared(table: Table, shown: Shown, seeds: int) -> dict:
    """All searches on one table."""
    scores = known_scores(table, Lookup(table, 0, shown))
    draw.score = lambda name, network, judge, *, seed: scores[name, network.digest]
    true = list(table.raw.values())
    trainings = np.array([row["accuracy"] for row in table.rows.values()])
    report = {
        "members": len(true),
        "accuracy": [round(min(true), 4), round(max(true), 4)],
        "trainings": trainings.shape[1],
        **(repeats(trainings) if trainings.shape[1] > 1 else {}),
        "left_over": round(table.left_over, 2),
        "spearman": {
            "macs": round(spearmanr([row["macs"] for row in table.rows.values()], true).statistic, 3),
            **{
                name: round(spearmanr([scores[name, digest] for digest in table.rows], true).statistic, 3)
                for name in SCORES
            },
        },
        "budgets": [],
    }
    everywhere = []
    for quantile in QUANTILES:
        budget_ms = table.budget_ms(quantile)
        within = table.within(budget_ms)
        found = {
            name: regrets(table, *search, shown, budget_ms, seeds=seeds, counts=COUNTS)
            for name, search in SEARCHES.items()
        }
        floor = np.array([table.regret(within, budget_ms, seed) for seed in range(seeds)])
        everywhere.append(found)
        report["budgets"].append(
            {
                "quantile": quantile,
                "ms": round(budget_ms, 4),
                "within": len(within),
                "best": {
                    measure: round(max(told[digest] for digest in within), 4)
                    for measure, told in zip(MEASURES, (table.accuracy, table.raw), strict=True)
                },
                "floor": dict(zip(MEASURES, map(quartiles, floor.T), strict=True)),
                "regret": told(found),
            }
        )
        print(f"{table.space.name}, {quantile} done", file=sys.stderr)
    report["all_budgets"] = told({name: np.concatenate([each[name] for each in everywhere]) for name in SEARCHES})
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=50)
    given = parser.parse_args()
    images = Trainer(given.data).images
    chosen = torch.randperm(len(images.train), generator=torch.Generator().manual_seed(0))[:64]
    seen, labels = images.preprocessing.normalize(images.train.images[chosen]), images.train.labels[chosen]
    shown = seen, lambda model: cross_entropy(model(seen), labels)
    spaces = {table.space.name: compared(table, shown, given.seeds) for table in map(Table, given.tables)}
    print(json.dumps({"command": " ".join(sys.argv), "seeds": given.seeds, **spaces}, indent=1))


if __name__ == "__main__":
    main()
