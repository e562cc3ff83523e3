"""A policy over a space: one categorical distribution per choice.

Source: TuNAS, arXiv:2008.06120, section 3, and its released code.
"""

from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush

import numpy as np
import torch
from torch import Tensor, nn

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.space import Space


class Policy(nn.Module):
    """Independent logits for every option of every choice, 0 at first.

    Shape: `logits` (choices, most options); options that a choice does not have are impossible.
    """

    def __init__(self, space: Space):
        super().__init__()
        self.space = space
        self.options = {choice.name: len(choice.options) for choice in space.choices}
        self.row = {name: row for row, name in enumerate(self.options)}
        counts = torch.tensor(list(self.options.values()))
        self.logits = nn.Parameter(torch.zeros(len(counts), int(counts.max())))
        self.absent = torch.arange(self.logits.shape[1]) >= counts[:, None]

    def log_probabilities(self) -> Tensor:
        """Of every option, (choices, most options)."""
        return self.logits.masked_fill(self.absent, -torch.inf).log_softmax(1)

    def probabilities(self) -> dict[str, list[float]]:
        """Of every option, by choice."""
        rows = self.log_probabilities().detach().exp().tolist()
        return {name: rows[row][: self.options[name]] for name, row in self.row.items()}

    def sample(self, rng: np.random.Generator) -> Assignment:
        """An option for every choice, also for those that will not be open."""
        below = self.log_probabilities().detach().exp().double().numpy().cumsum(1)
        drawn = (below <= rng.random((len(self.options), 1))).sum(1).tolist()
        return {name: min(drawn[row], self.options[name] - 1) for name, row in self.row.items()}

    def relaxed(self, temperature: float, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """A soft draw by choice: weights of the options that sum to 1, nearer to one option the lower the temperature.

        Source: Gumbel-softmax, arXiv:1611.01144, section 2.

        Args:
            temperature: Divides the logits.
            generator: Of the Gumbel noise; without one the draw is the plain softmax.
        """
        logits = self.log_probabilities()
        if generator is not None:
            logits = logits - torch.empty_like(logits).exponential_(generator=generator).log()
        rows = (logits / temperature).softmax(1)
        return {name: rows[row, : self.options[name]] for name, row in self.row.items()}

    def log_probability(self, assignment: Mapping[str, int]) -> Tensor:
        """Of the open choices that an assignment holds; the others do not count, and so learn nothing from it."""
        rows = [self.row[name] for name in assignment]
        return self.log_probabilities()[rows, list(assignment.values())].sum()

    def entropy(self) -> float:
        """The mean over the choices, in nats."""
        log_p = self.log_probabilities().detach().masked_fill(self.absent, 0.0)
        return -(log_p.exp() * log_p).sum(1).mean().item()

    def most_probable(self) -> Assignment:
        """The most probable option of every open choice, the first of equals."""
        return self._completed({}, self._best())

    def _best(self) -> list[int]:
        """The most probable option of every choice."""
        best: list[int] = self.log_probabilities().detach().argmax(1).tolist()
        return best

    def _completed(self, taken: Mapping[str, int], best: Sequence[int]) -> Assignment:
        """The given options where their choices are open, and the best ones elsewhere."""
        return self.space.complete(lambda choice: taken.get(choice.name, best[self.row[choice.name]]))

    def likeliest(self, count: int) -> Iterator[Assignment]:
        """So many assignments of the open choices in the order of their probability, the most probable one first.

        Where a choice opens others, an assignment counts as probable as its options are next to the most probable ones.
        """
        first = self.most_probable()
        met, waiting = {tuple(first.items())}, [(0.0, 0, first)]
        for _ in range(count):
            if not waiting:
                return
            lost, _, assignment = heappop(waiting)
            yield assignment
            for more, changed in self.changes(assignment):
                key = tuple(changed.items())
                if more >= 0 and key not in met:
                    met.add(key)
                    heappush(waiting, (lost + more, len(met), changed))

    def changes(self, assignment: Assignment) -> Iterator[tuple[float, Assignment]]:
        """Every assignment that differs in one open choice, and the log-probability that its option lacks."""
        log_p, best = self.log_probabilities().detach().tolist(), self._best()
        for name, taken in assignment.items():
            for option in range(self.options[name]):
                if option != taken:
                    lost = log_p[self.row[name]][taken] - log_p[self.row[name]][option]
                    yield lost, self._completed({**assignment, name: option}, best)
