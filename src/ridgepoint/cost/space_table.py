"""A space's costs, compiled: the cost of a sampled network is one look-up per row of the template.

A row's number under the options of an assignment is a mixed-radix index into its cases (`space_cases`). So costs are
exact: the same numbers, added in the same order, as for the decoded network.

    table = compile_space(load_space("mobilenetv4_conv"))
    macs, ms = table.macs(), table.latency_ms(Roofline("pixel6-cpu"))
    rows = table.sample(np.random.default_rng(0), 1_000_000)      # (networks, choices)
    fast = rows[ms(rows) < 5.0]
    network = table.space.decode(table.assignment(fast[0]))
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.network import Site
from ridgepoint.arch.space import Space
from ridgepoint.cost.count import Form, count_part
from ridgepoint.cost.roofline import Roofline
from ridgepoint.cost.space_cases import Case, Cases, tabulate
from ridgepoint.errors import InputError

__all__ = ["Site", "SpaceCost", "SpaceTable", "compile_space"]

CHUNK = 8192  # networks looked up at once, so that their indices stay in the cache
Costs = NDArray[np.float64]
Indices = NDArray[Any]


class SpaceCost:
    """One kind of cost for every network of a space; a combination of options that is no network costs NaN."""

    def __init__(self, table: "SpaceTable", values: Costs, constant: float):
        self._table, self._values, self._constant = table, values, constant

    def __call__(self, assignments: Indices) -> Costs:
        """The costs of many networks.

        Args:
            assignments: (networks, choices) option indices in the order of `SpaceTable.names`; those of choices that
                are not open do not matter.

        Shape: (networks,).

        Raises:
            InputError: If an index is no option.
        """
        self._table.check(assignments)
        costs = np.empty(len(assignments))
        for start in range(0, len(assignments), CHUNK):
            index = self._table.index(assignments[start : start + CHUNK])
            self._values.take(index).sum(axis=0, out=costs[start : start + CHUNK])
        return costs + self._constant

    def one(self, assignment: Mapping[str, int]) -> float:
        """The cost of one network, from option indices by choice name; choices that are not open are ignored.

        Raises:
            InputError: If an open choice is missing or its index is out of range.
        """
        return sum([self._values.item(at) for at in self._table.index_one(assignment)]) + self._constant


class SpaceTable:
    """A space compiled for look-ups. `names` are its choices, `size` the number of cases over all rows."""

    def __init__(self, space: Space, rows: Sequence[Cases], cases: Sequence[Case]):
        self.space = space
        self.names = tuple(choice.name for choice in space.choices)
        self._options = np.array([len(choice.options) for choice in space.choices])
        self._cases = cases
        self._numbers = np.concatenate([row.numbers.ravel() for row in rows])
        self._starts = np.cumsum([0, *(row.numbers.size for row in rows[:-1])])
        strides = [row.strides() for row in rows]
        self._strides = np.array([[each.get(name, 0) for name in self.names] for each in strides], dtype=np.float32)
        self._uses = {
            choice.name: (
                len(choice.options),
                [(at, each[choice.name]) for at, each in enumerate(strides) if choice.name in each],
            )
            for choice in space.choices
        }

    @property
    def size(self) -> int:
        """How many combinations of options are tabled, over all rows."""
        return len(self._numbers)

    def macs(self, form: Form = "train") -> SpaceCost:
        """Multiply-accumulates, as `cost(network, form=form).macs`."""
        return self.priced(lambda site: count_part(*site, form == "deploy", "none").macs)

    def params(self, form: Form = "train") -> SpaceCost:
        """Parameters, as `cost(network, form=form).params`."""
        return self.priced(lambda site: count_part(*site, form == "deploy", "none").params)

    def latency_ms(self, roofline: Roofline) -> SpaceCost:
        """Predicted milliseconds, as `roofline.latency(network).ms`.

        Raises:
            InputError: If of the device only the ridge point is known.
        """

        def block_ms(site: Site) -> float:
            return roofline.block_ms(count_part(*site, roofline.form == "deploy", roofline.fused))

        return self.priced(block_ms, constant=roofline.device.overhead_ms)

    def priced(self, price: Callable[[Site], float], *, constant: float = 0.0) -> SpaceCost:
        """Any cost that is a sum over the blocks and the head, such as tabled milliseconds.

        Args:
            price: What one block costs; asked once for every distinct one.
            constant: What is added once per network.
        """
        sites = dict.fromkeys(site for case in self._cases for site in case.sites or ())
        known = {site: price(site) for site in sites}
        costs = [np.nan if case.sites is None else sum([known[site] for site in case.sites]) for case in self._cases]
        return SpaceCost(self, np.array(costs, dtype=np.float64)[self._numbers], constant)

    def sample(self, rng: np.random.Generator, count: int) -> Indices:
        """Assignments in which every open choice is drawn uniformly, as by `Space.sample_assignment`.

        Shape: (count, choices).
        """
        drawn = [rng.integers(0, options, count, dtype=np.uint16) for options in self._options]
        return np.stack(drawn, axis=1)

    def assignment(self, row: Indices) -> Assignment:
        """A row of option indices by choice name, as `Space.decode` takes it."""
        return dict(zip(self.names, row.tolist(), strict=True))

    def sites(self, assignment: Mapping[str, int]) -> list[tuple[Site, ...]]:
        """The sites of one network, row by row of the template, the head last; () for a row that is left out.

        Raises:
            InputError: If an open choice is missing, its index is out of range, or the network is impossible.
        """
        found = [self._cases[self._numbers[at]].sites for at in self.index_one(assignment)]
        if None in found:
            raise InputError(f"{self.space.name}: {dict(assignment)} is no network. Decode it to learn why")
        return [sites for sites in found if sites is not None]

    def possible(self) -> Iterator[tuple[tuple[int, int], Site]]:
        """Every site that some network has, each once: the row of the template, which repetition of it, the site."""
        ends = [*self._starts[1:], len(self._numbers)]
        for row, (start, end) in enumerate(zip(self._starts, ends, strict=True)):
            cases = [self._cases[number] for number in np.unique(self._numbers[start:end])]
            yield from dict.fromkeys(((row, at), site) for case in cases for at, site in enumerate(case.sites or ()))

    def check(self, assignments: Indices) -> None:
        """Make sure that every row has an option for every choice.

        Raises:
            InputError: Naming the choice, what was given and what is allowed.
        """
        if assignments.ndim != 2 or assignments.shape[1] != len(self.names) or assignments.dtype.kind not in "iu":
            raise InputError(
                f"{self.space.name}: assignments are {assignments.dtype} of shape {assignments.shape}. "
                f"Allowed: whole numbers of shape (networks, {len(self.names)}), one for every choice"
            )
        if not len(assignments):
            return
        low, high = assignments.min(axis=0), assignments.max(axis=0)
        for at in np.flatnonzero((low < 0) | (high >= self._options)):
            self._refuse(self.names[at], low[at] if low[at] < 0 else high[at])

    def index(self, assignments: Indices) -> NDArray[np.intp]:
        """Where the rows' cases stand in the table.

        Shape: (rows of the template, networks).
        """
        # As a product of floats, which is fast; float32 is exact up to 2**24, and there are fewer cases.
        within: NDArray[np.float32] = self._strides @ assignments.astype(np.float32).T
        places: NDArray[np.intp] = within.astype(np.intp) + self._starts[:, None]
        return places

    def index_one(self, assignment: Mapping[str, int]) -> list[int]:
        """The same for one network: (rows of the template,).

        Raises:
            InputError: If an open choice is missing or its index is out of range.
        """
        found: list[int] = self._starts.tolist()
        for name, option in assignment.items():
            if name in self._uses:
                options, rows = self._uses[name]
                if not 0 <= option < options:
                    self._refuse(name, option)
                for row, stride in rows:
                    found[row] += stride * option
        if len(assignment) < len(self.names):  # some choices are not open, or missing
            for at in found:
                asked = self._cases[self._numbers.item(at)].asked
                if not asked <= assignment.keys():
                    self._refuse(min(asked - assignment.keys()), "missing")
        return found

    def _refuse(self, name: str, given: object) -> NoReturn:
        allowed = self._options[self.names.index(name)] - 1
        raise InputError(f"{self.space.name}: choice '{name}' is {given}. Allowed: 0 to {allowed}")


def compile_space(space: Space) -> SpaceTable:
    """The table of a space.

    Raises:
        InputError: If what a row costs depends on too many choices; the message names the row.
    """
    return SpaceTable(space, *tabulate(space))
