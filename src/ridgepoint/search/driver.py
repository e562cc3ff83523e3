"""One driver for every search: it asks a method for proposals, has them judged, and writes each into the study.

What the study holds already is replayed into the method, so a search that was killed goes on as if it had not been.
Candidates are named, recorded and counted in the order of their proposals, however many judges work side by side and
whoever of them is first: so the journal does not depend on them.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing

import msgspec

from ridgepoint.display import Display, Silent
from ridgepoint.errors import DivergedError, InheritanceError, InputError, RunError, shown
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.judges import Diverged, InTurn, Job, Judges, NoHeir, Verdict
from ridgepoint.search.method import Method, Problem, Proposal, checked
from ridgepoint.search.study import Study

# So many proposals in a row that are not worth a training (over the budget, known already) end a search.
PATIENCE = 200


def run_search(
    problem: Problem,
    method: Method,
    study: Study,
    *,
    earlier: int = 0,
    judges: Judges | None = None,
    done: Callable[[int], float] | None = None,
    display: Display | None = None,
    tick: Callable[[], None] = lambda: None,
) -> list[Candidate]:
    """Search until the bound is reached or the method ends; but not before something within the budget was trained.

    Args:
        problem: What is asked.
        method: Proposes networks.
        study: The journal; what it holds is replayed.
        earlier: How many candidates at its beginning are of searches for larger budgets: they are known, and are not
            trained anew, but none of them is what this search is for.
        judges: Who judges; by default the problem's judge, in this process.
        done: The share of the search that is done, given how many candidates were trained; by default of
            `problem.evaluations`.
        display: Whoever watches.
        tick: Called after every new candidate.

    Returns:
        Every candidate of the study, in order.

    Raises:
        InputError: If the method is no generator of proposals.
        DivergedError: If the very first training diverges: then the recipe is wrong, not the candidate.
        InheritanceError: If the very first candidate cannot take over the weights that the search starts from.
        RunError: If the study is that of another search.
    """
    done = done or (lambda trained: trained / (problem.evaluations or 1))
    search = _Search(problem, study, earlier, judges or InTurn(problem.judge), done, display or Silent(), tick)
    proposals = method(problem)
    if not isinstance(proposals, Generator):
        raise InputError(f"the search method gives {shown(proposals)}. It must be a generator that yields Proposals")
    try:
        answer = search.answer(next(proposals))
        while not search.over:
            answer = search.answer(proposals.send(answer))
    except StopIteration:
        pass
    return search.candidates


class _Search:
    """Turns proposals into candidates, and keeps count."""

    def __init__(
        self,
        problem: Problem,
        study: Study,
        earlier: int,
        judges: Judges,
        done: Callable[[int], float],
        display: Display,
        tick: Callable[[], None],
    ):
        self.problem, self.study, self.judges = problem, study, judges
        self.done, self.display, self.tick = done, display, tick
        self.recorded = study.candidates("search")
        self.candidates = self.recorded[:earlier]
        self.trained, self.idle, self.over = 0, 0, False
        self.best: float | None = None  # accuracy within the budget
        self._known: dict[str, Candidate] = {}
        for candidate in self.candidates:
            self._known.setdefault(candidate.network.digest, candidate)

    def answer(self, asked: Proposal | Iterable[Proposal]) -> Candidate | list[Candidate]:
        """The candidates of what a method proposed; fewer, and `over` is set, where the search ends among them."""
        batch = _each(asked)
        found: list[Candidate] = []
        for group in [list(batch)] if self.judges.together else ([proposal] for proposal in batch):
            self._judge(group, found)
            if self.over:
                break
        return found[0] if isinstance(asked, Proposal) and found else found

    def _judge(self, group: Sequence[Proposal], found: list[Candidate]) -> None:
        """Latencies first, while nobody trains; then verdicts on those that are worth it."""
        first = len(self.candidates)
        if self._ends(first):
            return
        new = self._appraised(group, first)
        jobs = {place: job for place, job in new.items() if self._worth(job)}
        with closing(self.judges.judge(list(jobs.values()))) as verdicts:
            for place, proposal in enumerate(group, first):
                if place < len(self.recorded):
                    candidate = self._replayed(place, proposal)
                elif self._ends(place):
                    return
                else:
                    if place in jobs:
                        self.display.progress(min(self.done(self.trained), 1.0), self.told())
                        candidate = self._judged(jobs[place].candidate, next(verdicts))
                    elif place in new:
                        candidate = self._left_out(new[place].candidate)
                    else:
                        candidate = self._repeated(place, proposal)
                    self.study.record(candidate)
                    self.tick()
                self.remember(candidate, proposal)
                found.append(candidate)

    def _ends(self, place: int) -> bool:
        """Whether the search is over before the candidate of a place; what is recorded belongs to it in any case."""
        enough = self.best is not None and self.done(self.trained) >= 1.0
        self.over = place >= len(self.recorded) and (enough or self.idle > PATIENCE)
        return self.over

    def _appraised(self, group: Sequence[Proposal], first: int) -> dict[int, Job]:
        """By place, the new networks of a group with their latencies; neither what is recorded nor what is known."""
        new: dict[int, Job] = {}
        met = set(self._known)
        for place, proposal in enumerate(group, first):
            if place >= len(self.recorded) and (proposal.inherits or proposal.network.digest not in met):
                new[place] = Job(candidate=self._candidate(place, proposal), proposal=proposal)
            met.add(proposal.network.digest)
        measured = {job.candidate.name: job.candidate.network for job in new.values() if job.proposal.measured}
        if self.problem.clock is None or not measured:
            return new
        ms = self.problem.clock(measured)
        return {
            place: msgspec.structs.replace(
                job, candidate=msgspec.structs.replace(job.candidate, measured_ms=ms.get(job.candidate.name))
            )
            for place, job in new.items()
        }

    def _candidate(self, place: int, proposal: Proposal) -> Candidate:
        name = _name(place)
        latency = self.problem.latency.latency(proposal.network)
        ms = checked(latency.ms, proposal.network)
        return Candidate(
            name=name,
            phase="search",
            network=msgspec.structs.replace(proposal.network, name=name),
            seed=self.problem.seed,
            parent=proposal.parent,
            note=proposal.note,
            predicted_ms=ms if latency.kind == "predicted" else None,
            tabled_ms=ms if latency.kind == "tabled" else None,
            measured_ms=ms if latency.kind == "measured" else None,
        )

    def _worth(self, job: Job) -> bool:
        """Whether a candidate is trained."""
        return job.proposal.step or job.candidate.ms <= self.problem.budget_ms

    def _left_out(self, candidate: Candidate) -> Candidate:
        kind = "tabled" if candidate.predicted_ms is None else "predicted"
        over = f"over the budget by the {kind} latency"
        return msgspec.structs.replace(candidate, note="; ".join(filter(None, [candidate.note, over])))

    def _judged(self, candidate: Candidate, verdict: Verdict) -> Candidate:
        if isinstance(verdict, Diverged | NoHeir):
            diverged = isinstance(verdict, Diverged)
            if all(known.train_s is None for known in self.candidates):
                raise (DivergedError if diverged else InheritanceError)(verdict.told)
            self.display.warn(f"{candidate.name} is left out: {verdict.told}")
            return msgspec.structs.replace(candidate, note="diverged" if diverged else "no heir of its parent")
        return msgspec.structs.replace(
            candidate,
            short_accuracy=verdict.accuracy,
            train_s=verdict.seconds,
            epochs=verdict.epochs,
            weights=verdict.weights,
        )

    def _repeated(self, place: int, proposal: Proposal) -> Candidate:
        """What is known of the same network, under a new name."""
        known, name = self._known[proposal.network.digest], _name(place)
        return msgspec.structs.replace(
            known,
            name=name,
            network=msgspec.structs.replace(proposal.network, name=name),
            parent=known.name,
            note=f"the same network as {known.name}",
            train_s=None,
            epochs=None,
        )

    def _replayed(self, place: int, proposal: Proposal) -> Candidate:
        """What the study holds in the place of a proposal.

        Raises:
            RunError: If it is another network.
        """
        candidate = self.recorded[place]
        if candidate.network.digest != proposal.network.digest:
            raise RunError(
                f"{candidate.name} of the study is not what this search proposes in its place: the study belongs "
                "to another search, or to another version. Start anew with another --out"
            )
        return candidate

    def remember(self, candidate: Candidate, proposal: Proposal) -> None:
        """Count a candidate, new or replayed."""
        self.candidates.append(candidate)
        new = proposal.inherits or candidate.network.digest not in self._known
        self._known.setdefault(candidate.network.digest, candidate)
        if candidate.short_accuracy is None or not new:
            self.idle += 1
            return
        self.trained, self.idle = self.trained + 1, 0
        if candidate.ms <= self.problem.budget_ms:
            self.best = max(self.best or 0.0, candidate.short_accuracy)

    def told(self) -> str:
        """What a progress bar says."""
        best = "none within the budget yet" if self.best is None else f"best short score so far {self.best:.3f}"
        return f"candidate {self.trained + 1}, {best}"


def _each(asked: object) -> Iterator[Proposal]:
    """What a method yielded, one by one.

    Raises:
        InputError: If it is no proposal.
    """
    for each in asked if isinstance(asked, Iterable) else [asked]:
        if not isinstance(each, Proposal):
            raise InputError(
                f"the search method yields {shown(each)}. Allowed: Proposal(network=...), or several of it"
            )
        yield each


def _name(place: int) -> str:
    return f"candidate-{place:03d}"
