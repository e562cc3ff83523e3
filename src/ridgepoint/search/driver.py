"""One driver for every search: it asks a method for proposals, has them judged, and writes each into the study.

What the study holds already is replayed into the method, so a search that was killed goes on as if it had not been.
"""

from collections.abc import Callable

import msgspec

from ridgepoint.display import Display, Silent
from ridgepoint.errors import DivergedError, RunError
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.method import Method, Problem, Proposal, checked
from ridgepoint.search.study import Study

# So many proposals in a row that are not worth a training (over the budget, known already) end a search.
PATIENCE = 200


def run_search(
    problem: Problem,
    method: Method,
    study: Study,
    *,
    done: Callable[[int], float] | None = None,
    display: Display | None = None,
    tick: Callable[[], None] = lambda: None,
) -> list[Candidate]:
    """Search until the bound is reached or the method ends; but not before something within the budget was trained.

    Args:
        problem: What is asked.
        method: Proposes networks.
        study: The journal; what it holds is replayed.
        done: The share of the search that is done, given how many candidates were trained; by default of
            `problem.evaluations`.
        display: Whoever watches.
        tick: Called after every new candidate.

    Returns:
        Every candidate of the search, in order.

    Raises:
        DivergedError: If the very first training diverges: then the recipe is wrong, not the candidate.
        RunError: If the study is that of another search.
    """
    display = display or Silent()
    done = done or (lambda trained: trained / (problem.evaluations or 1))
    recorded = iter(study.candidates("search"))
    judge = _Judge(problem, display)
    proposals = method(problem)
    try:
        proposal = next(proposals)
        while True:
            candidate = next(recorded, None)
            if candidate is None:
                if judge.idle > PATIENCE or (judge.best is not None and done(judge.trained) >= 1.0):
                    break
                display.progress(min(done(judge.trained), 1.0), judge.told())
                candidate = judge(proposal)
                study.record(candidate)
                tick()
            elif candidate.network.digest != proposal.network.digest:
                raise RunError(
                    f"{candidate.name} of the study is not what this search proposes in its place: the study belongs "
                    "to another search, or to another version. Start anew with another --out"
                )
            judge.remember(candidate, proposal)
            proposal = proposals.send(candidate)
    except StopIteration:
        pass
    return judge.candidates


class _Judge:
    """Turns proposals into candidates, and keeps count."""

    def __init__(self, problem: Problem, display: Display):
        self.problem, self.display = problem, display
        self.candidates: list[Candidate] = []
        self.trained, self.idle = 0, 0
        self.best: float | None = None  # accuracy within the budget
        self._known: dict[str, Candidate] = {}

    def __call__(self, proposal: Proposal) -> Candidate:
        """Latency first; then a training, if the network is worth one."""
        problem, network = self.problem, proposal.network
        name = f"candidate-{len(self.candidates):03d}"
        known = None if proposal.inherits else self._known.get(network.digest)
        network = msgspec.structs.replace(network, name=name)
        if known is not None:
            note = f"the same network as {known.name}"
            copy = {"name": name, "network": network, "parent": known.name, "note": note}
            return msgspec.structs.replace(known, **copy, train_s=None)
        latency = problem.latency.latency(network)
        candidate = Candidate(
            name=name,
            phase="search",
            network=network,
            seed=problem.seed,
            parent=proposal.parent,
            note=proposal.note,
            **{f"{latency.kind}_ms": checked(latency.ms, network)},
        )
        if latency.ms > problem.budget_ms and not proposal.step:
            over = f"over the budget by the {latency.kind} latency"
            return msgspec.structs.replace(candidate, note="; ".join(filter(None, [proposal.note, over])))
        try:
            judged = problem.task.judge(candidate, proposal)
        except DivergedError as error:
            if not self.trained:
                raise
            self.display.warn(f"{name} is left out: {error}")
            return msgspec.structs.replace(candidate, note="diverged")
        return msgspec.structs.replace(
            candidate, short_accuracy=judged.accuracy, train_s=judged.seconds, weights=judged.weights
        )

    def remember(self, candidate: Candidate, proposal: Proposal) -> None:
        """Count a candidate, new or replayed."""
        self.candidates.append(candidate)
        new = proposal.inherits or candidate.network.digest not in self._known
        self._known.setdefault(candidate.network.digest, candidate)
        if candidate.short_accuracy is None or not new:
            self.idle += 1
            return
        self.trained, self.idle = self.trained + 1, 0
        if candidate.estimated_ms <= self.problem.budget_ms:
            self.best = max(self.best or 0.0, candidate.short_accuracy)

    def told(self) -> str:
        """What a progress bar says."""
        best = "none within the budget yet" if self.best is None else f"best short accuracy so far {self.best:.3f}"
        return f"candidate {self.trained + 1}, {best}"
