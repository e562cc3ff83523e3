"""The search of a fit: a method proposes, short trainings judge, and the clock has the last word.

Where the clock finds every candidate slower than the table did, the search goes on, for as much less by the table.
"""

import contextlib
import math

import msgspec

from ridgepoint.errors import NotMetError
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.plan import Plan
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.steps import Found, Searched
from ridgepoint.run.folder import RunFolder
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import smallest
from ridgepoint.search.driver import run_search
from ridgepoint.search.finalists import Finalists, choose_finalists
from ridgepoint.search.judges import InTurn, Judges
from ridgepoint.search.method import Problem
from ridgepoint.search.methods import make_method_settings
from ridgepoint.train.loop import Bound
from ridgepoint.units import format_ms
from ridgepoint.workers.crew import hire
from ridgepoint.workers.judging import ShortTraining, Start
from ridgepoint.workers.terms import VERSION, OwnTerms, Terms


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """What one search of a run goes for.

    Attributes:
        limit_ms: The most that a network may take by the table.
        earlier: How many candidates the searches before it left.
        start: Which of them a method that changes a network goes on from.
    """

    limit_ms: float
    earlier: int = 0
    start: Candidate | None = None


def find_finalists(job: FitJob, plan: Plan) -> list[Candidate]:
    """The candidates with the best short accuracy whose exported files meet the budget by the clock.

    All that decides about another search is in the journal and in the latency table, so a resumed run decides alike.

    Raises:
        NotMetError: If no candidate meets it.
    """
    known = job.run.read_step("finalists", Found)
    if known is not None:
        return known["finalists"]
    aim = Aim(limit_ms=_possible(job, job.limit_ms))
    for number in range(POLICY.aims):
        count = search(job, plan, aim, number)
        found = clocked(job, count)
        if found.chosen:
            return keep(job, found)
        if number + 1 < POLICY.aims:
            aim = next_aim(job, found, count)
    fastest = min(found.clocked, key=lambda candidate: candidate.final_ms)
    raise NotMetError(
        f"no candidate meets {format_ms(job.budget_ms)} by the clock; the fastest is {fastest.name} with "
        f"{format_ms(fastest.final_ms)} measured, {format_ms(fastest.ms)} by the table. Allow a "
        "little more latency or more time"
    )


def search(job: FitJob, plan: Plan, aim: Aim, number: int) -> int:
    """Let the method propose and short trainings judge: the first search until the plan's end, others a part of it.

    Returns:
        How many candidates there are after it; a resumed run may know more, those of the next search.
    """
    run, prepared = job.run, job.prepared
    step = f"search-{number + 1}" if number else "search"
    if (known := run.read_step(step, Searched)) is not None:
        return known["candidates"]

    def told(share: float, text: str) -> None:
        job.display.progress(share, text)
        run.tick()

    started = run.elapsed

    def done(trained: int) -> float:
        if not number:
            return plan.search_progress(trained, run.elapsed, started)
        assert problem.evaluations is not None  # a further search is bounded by count
        allowed_s = POLICY.further_overtime * problem.evaluations * (plan.short_s or math.inf)
        return max(trained / problem.evaluations, (run.elapsed - started) / allowed_s)

    judge = short_training(run, prepared, plan.short, limit_ms=aim.limit_ms)
    problem = Problem(
        latency=job.latency,
        budget_ms=aim.limit_ms,
        judge=judge,
        seed=run.settings.seed,
        space=prepared.space,
        network=prepared.network,
        start=aim.start,
        evaluations=max(round(POLICY.further * plan.expected), 1) if number else plan.expected,
        settings=make_method_settings(prepared.method.name, run.settings.method_changes, prepared.method.entry),
        folder=run.path,
        told=told,
        clock=job.target.measure_networks if job.target.measured else None,
    )
    with judges_of(job, judge) as judges:
        found = run_search(
            problem,
            prepared.method.entry.method,
            job.study,
            earlier=aim.earlier,
            judges=judges,
            done=done,
            display=job.display,
            tick=run.tick,
        )
    run.write_step(step, {"candidates": len(found), "limit_ms": aim.limit_ms})
    return len(found)


def judges_of(job: FitJob, judge: ShortTraining) -> contextlib.AbstractContextManager[Judges]:
    """This process, or workers if the user asked for some."""
    settings = job.run.settings
    if settings.study is None and settings.workers == 1:
        return contextlib.nullcontext(InTurn(judge))
    own = own_terms(settings, judge)
    return hire(job.run.path, judge, own, study=settings.study, workers=settings.workers, display=job.display)


def short_training(run: RunFolder[FitSettings], prepared: Prepared, bound: Bound, *, limit_ms: float) -> ShortTraining:
    """What the candidates of a run are judged by."""
    network, given = prepared.network, prepared.start
    start = None if network is None or given is None else Start(network=network, weights=given.path)
    return ShortTraining(run.path, prepared, bound, seed=run.settings.seed, limit_ms=limit_ms, start=start)


def own_terms(settings: FitSettings, judge: ShortTraining) -> OwnTerms:
    """What the workers of a run must know."""
    terms = Terms(
        version=VERSION,
        data=settings.data,
        fingerprint=judge.setup.dataset.fingerprint,
        size=settings.size,
        seed=settings.seed,
        accelerator=settings.accelerator,
        recipe=judge.setup.recipe,
        finetune=judge.setup.finetune,
        bound=judge.bound,
        limit_ms=judge.limit_ms,
    )
    return OwnTerms(
        terms=terms, data_root=settings.data_root, start=judge.start, preprocessing=judge.setup.preprocessing
    )


def next_aim(job: FitJob, found: Finalists, earlier: int) -> Aim:
    """Less by the table, by as much as the most accurate candidate was slower by the clock, which it starts from."""
    best = found.clocked[0]
    limit_ms = _possible(job, job.limit_ms * best.ms / best.final_ms)
    job.display.say(
        f"None of {len(found.clocked)} clocked candidates meets {format_ms(job.budget_ms)}; {best.name} takes "
        f"{format_ms(best.final_ms)}, {format_ms(best.ms)} by the table. The search goes on, within "
        f"{format_ms(limit_ms)} by the table"
    )
    return Aim(limit_ms=limit_ms, earlier=earlier, start=best)


def _possible(job: FitJob, limit_ms: float) -> float:
    """The limit, or what the smallest network of the space takes by the table."""
    space = job.prepared.space
    return limit_ms if space is None else max(limit_ms, job.latency.latency(space.decode(smallest(space))).ms)


def clocked(job: FitJob, count: int) -> Finalists:
    """What the clock says of the best of the first so many candidates.

    Raises:
        NotMetError: If there is nothing to clock.
    """
    study = job.study
    job.display.progress(0.9, "measuring finalists")
    found = choose_finalists(
        study.candidates("search")[:count],
        job.target.measure_networks if job.target.measured else None,
        limit_ms=job.limit_ms,
        count=POLICY.finalists,
        group=POLICY.clocked_together,
        hedge=POLICY.hedge,
    )
    for candidate in found.clocked:  # what the clock says belongs beside what the table said
        study.record(msgspec.structs.replace(candidate, phase="search"))
    if not found.clocked:
        raise NotMetError(
            f"no network of {job.prepared.subject.name} within {format_ms(job.budget_ms)} was found and trained. Allow "
            "a little more latency or more time"
        )
    return found


def keep(job: FitJob, found: Finalists) -> list[Candidate]:
    """Say who the finalists are, and keep them."""
    names = ", ".join(f"{c.name} ({format_ms(c.final_ms)})" for c in found.chosen)
    gap = (
        "" if found.gap is None else f"; measured over tabled {found.gap:.2f} (median of {len(found.clocked)} clocked)"
    )
    job.display.say(f"Finalists: {names}{gap}")
    chosen = list(found.chosen)
    if chosen[0].weights is not None:  # what inherited is trained on, and beside it from scratch: the images decide
        fresh = f"{chosen[0].name}-from-scratch"
        chosen = [chosen[0], msgspec.structs.replace(chosen[0], name=fresh, weights=None, parent=chosen[0].name)]
    job.run.write_step("finalists", {"finalists": msgspec.to_builtins(chosen), "gap": found.gap})
    return chosen
