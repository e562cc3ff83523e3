"""`fit`, step by step. Every step leaves what it found in the run folder, and a resumed run skips finished steps."""

import contextlib
import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
import torch

from ridgepoint.arch.network import Network
from ridgepoint.deploy.runtimes import model_file
from ridgepoint.display import Display, Silent
from ridgepoint.errors import (
    InterruptedRun,
    NotMetError,
    RidgepointError,
    RunError,
    WriteError,
    shown,
    stopped_by_user,
)
from ridgepoint.files import writing
from ridgepoint.fit.bound import (
    Ending,
    may_look_further,
    measure_ending,
    require_first_file,
    require_time,
    share_out,
)
from ridgepoint.fit.early import begin_with_weights
from ridgepoint.fit.finish import PHASE, conclude, finish
from ridgepoint.fit.fresh import learn_alone, learns_alone
from ridgepoint.fit.goals import Goal, find_goals, together
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.opening import STEP as OPENING
from ridgepoint.fit.opening import within_reach
from ridgepoint.fit.plan import Plan, make_plan
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import check_settings, prepare
from ridgepoint.fit.searching import find_finalists
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.steps import Rivals, Strongest, TrainedOne, as_trained
from ridgepoint.fit.target import told_place
from ridgepoint.fit.teach import teach
from ridgepoint.fit.threads import set_training_threads
from ridgepoint.run.folder import RESULT, RunFolder, is_finished, open_run
from ridgepoint.run.process import as_found
from ridgepoint.search.baselines import within_budget, zoo_networks
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import smallest
from ridgepoint.search.methods.entry import Entry
from ridgepoint.train.folder import weight_file
from ridgepoint.train.start import named_weights, remember
from ridgepoint.units import format_duration, format_ms


@as_found()
def fit(
    settings: FitSettings,
    *,
    method: Entry | None = None,
    out: Path | None = None,
    resume: bool = False,
    asked: Collection[str] | None = None,
    since: float | None = None,
    display: Display | None = None,
    written: Callable[[Path], object] = lambda run: None,
) -> dict[str, Any]:
    """Find, train, export, check and measure the most accurate network within a latency budget.

    Args:
        settings: The request.
        method: The search method, where it is an object and not one of those that have a name.
        out: The run folder; by default a new one under runs/fit.
        resume: Go on with the run in `out` (or the newest unfinished one that was asked the same).
        asked: The settings that the user named; of a resumed run the others are as it was begun.
        since: From when on the time counts, by `time.monotonic`; from now on if left open.
        display: Whoever watches.
        written: Called with the run folder whenever it holds a result: there may be several, each better.

    Returns:
        The content of `result.json`.

    Raises:
        InputError: If the request or the data are wrong.
        NotMetError: If no network meets the budget, or the exported file fails its check.
        InterruptedRun: If the user stopped it; it can be resumed.
    """
    display = display or Silent()
    with open_run(settings, out=out, resume=resume, asked=asked, since=since) as run:
        torch.set_deterministic_debug_mode("warn")
        go_on = f"Go on with: {run.settings.command(out=str(run.path), resume=True)}"
        try:
            with writing(run.path, verb="read or written"):
                return _fit(run, display, method, written)
        except WriteError as error:
            if run.begun and is_finished(run.path):  # but for its report, which the error tells
                raise
            saved = f"; what was saved before is intact. {go_on}" if run.begun else ""
            raise WriteError(f"{error}{saved}") from None
        except (KeyboardInterrupt, Exception) as error:
            if isinstance(error, RidgepointError) or not stopped_by_user(error):
                raise
            if not run.begun:
                raise InterruptedRun("stopped before anything was begun") from None
            with contextlib.suppress(WriteError):
                run.tick()
            best = (
                f" The best so far is {run.path / model_file(run.settings.runtime)}."
                if (run.path / RESULT).exists()
                else ""
            )
            raise InterruptedRun(
                f"stopped after {format_duration(run.elapsed)}; everything so far is saved.{best} {go_on}"
            ) from None


def _fit(
    run: RunFolder[FitSettings], display: Display, method: Entry | None, written: Callable[[Path], object]
) -> dict[str, Any]:
    settings = run.settings
    display.say(f"Run folder: {run.path}")
    with run.phase("Data", display):
        check_settings(settings, method)
        prepared = prepare(run, display, method)
        opens_anew = run.read_step(OPENING) is None or settings.precision == "auto"  # the first may be refused in int8
        reached = within_reach(settings, prepared) if opens_anew else []
        opens = bool(reached) or (named_weights(settings.weights) is not None and prepared.network is None)
        if not run.resumed:  # what is impossible leaves nothing behind
            (require_first_file if opens else require_time)(run, prepared, together(find_goals(settings)))
        run.begin(prepared.origin(settings))
        if prepared.network is not None:
            remember(run, prepared.start)
    if (result := run.result()) is not None and not result.get("doubts"):
        display.say(f"{run.path}: is finished already")
        written(run.path)
        return result
    job = FitJob(run=run, prepared=prepared, goals=find_goals(settings), display=display)
    if job.further:
        names = ", ".join(f"{goal.name} in {format_ms(goal.budget_ms)}" for goal in job.goals)
        display.say(f"Must run on {names}. Until the end, a time is that of the tightest, brought to the first budget")

    def show(result: dict[str, Any]) -> dict[str, Any]:
        written(run.path)
        return result

    early, more = begin_with_weights(job, reached, show)
    if not early and method is None and learns_alone(job):
        with run.phase("Training", display):
            early = learn_alone(job)
            more = not early
    if not more:
        with run.phase(PHASE, display):
            return show(conclude(job, early))
    try:
        plan, trained = search_and_train(job, display)
    except NotMetError as error:
        if not early:
            raise
        display.warn(f"{error}. What came of the weights stays.")
        plan, trained = None, []
    with run.phase(PHASE, display):
        return show(finish(job, plan, early + trained))


def search_and_train(job: FitJob, display: Display) -> tuple[Plan, list[Candidate]]:
    """Search from nothing, and train what was found and the zoo's rivals in full.

    Raises:
        NotMetError: If no network meets the budget.
    """
    run, settings = job.run, job.run.settings
    with run.phase("This machine", display):
        require_possible(job)
        rivals = choose_rivals(job)
        counted = settings.evaluations is not None
        middling = job.prepared.middling()
        ending = Ending(once_s=0, network_s=0) if counted else measure_ending(run, job.prepared, job.target, middling)
    plan = _plan(job, ending, trainings=POLICY.finalists + len(rivals))
    with run.phase("Search", display):
        set_training_threads(run, job.prepared)
        finalists = find_finalists(job, plan)
    with run.phase("Training", display):
        plan, contenders = share_out(run, plan, finalists + rivals, ending, display=display)
        return plan, train_all(job, plan, contenders)


def require_possible(job: FitJob) -> None:
    """Look at the smallest network of the space; stop if even that is over the budget.

    Raises:
        NotMetError: Naming the fastest network and its latency.
    """
    space = job.prepared.space
    if space is None:
        return
    network = space.decode(smallest(space))
    for goal in job.goals:
        _require_possible(job, goal, network)


def _require_possible(job: FitJob, goal: Goal, network: Network) -> None:
    """The same for one target, with the smallest network."""
    target, limit_ms = goal.target, job.limit_of(goal)
    if target.latency(network).ms <= limit_ms:
        return
    fastest = target.measure_networks({"smallest": network})["smallest"]
    if fastest > limit_ms:
        settings, least_ms = job.run.settings, fastest / limit_ms * goal.budget_ms
        if target.measured:
            where = f"{told_place(goal.wanted.device)} ({goal.wanted.runtime}, {settings.threads} thread(s))"
            told = f"takes {format_ms(fastest)} on {where}"
            rest = f"Allow at least {format_ms(least_ms * 1.05)}, a smaller --size, or more --threads"
        else:
            told = f"may take up to {format_ms(least_ms)} by {target.model} (--confidence {settings.confidence:g})"
            rest = f"Allow at least {format_ms(least_ms * 1.01)}, a smaller --size, or a lower --confidence"
        name = job.prepared.subject.name
        raise NotMetError(f"no network meets {format_ms(goal.budget_ms)}: the fastest one of {name} {told}. {rest}")


def choose_rivals(job: FitJob) -> list[Candidate]:
    """The zoo networks that will be trained from nothing beside the finalists; chosen once per run."""
    known = job.run.read_step("rivals", Rivals)
    if known is not None:
        return known["rivals"]
    settings = job.run.settings
    preprocessing = job.prepared.preprocessing
    channels, height, width = preprocessing.channels, preprocessing.height, preprocessing.width
    closing = job.prepared.task.head(job.prepared.dataset)
    zoo = zoo_networks(channels, height, width, closing.num_classes)
    found, alone = _strongest(
        job,
        {family: [closing.close(each) for each in networks if closing.fits(each)] for family, networks in zoo.items()},
    )
    rivals = [
        Candidate(
            name=network.name,
            phase="baseline",
            network=network,
            seed=settings.seed,
            tabled_ms=ms if job.target.measured else None,
            predicted_ms=None if job.target.measured else ms,
            note=note,
        )
        for network, ms, note in found
    ]
    if settings.baselines:
        names = ", ".join(f"{rival.name} ({format_ms(rival.ms)})" for rival in rivals)
        none = "none meets the budget" if may_look_further(job.run) else "no time is left to look for some"
        job.display.say(f"Zoo networks to beat, by {job.target.model}: {names or none}")
    job.run.write_step("rivals", {"rivals": msgspec.to_builtins(rivals), "alone": alone})
    return rivals


def _strongest(
    job: FitJob, zoo: dict[str, list[Network]]
) -> tuple[list[tuple[Network, float, str]], dict[str, Strongest]]:
    """The zoo's strongest networks within the budget, with their milliseconds and a note; what is best for each target.

    Where there are several targets, the last ones are the strongest for each target alone: what they reach beyond the
    others is what the other budgets cost.
    """
    count, go_on = job.run.settings.baselines, functools.partial(may_look_further, job.run)

    def asked(name: str) -> None:
        job.display.progress(0.5, f"latency table: {name}")

    found = within_budget(zoo, job.latency, job.limit_ms, count=count, progress=asked, go_on=go_on)
    within = [(network, ms, "") for network, ms in found]
    if not job.further:
        return within, {}
    best: dict[str, tuple[Network, float, str]] = {}
    alone: dict[str, Strongest] = {}
    for goal, model in zip(job.goals, job.models, strict=True):
        limit_ms = job.limit_of(goal)
        only = within_budget(zoo, model, limit_ms, count=min(count, 1), progress=asked, go_on=go_on)
        if count and not only and go_on():  # none of the zoo is: nothing is left out that might be better
            alone[goal.name] = Strongest(network="", within=True)
        for network, _ in only:
            note, ms = f"the strongest zoo network for {goal.name} alone", job.latency.latency(network).ms
            best.setdefault(network.name, (network, ms, note))
            alone[goal.name] = Strongest(network=network.name, within=ms <= job.limit_ms)
    others = [each for name, each in best.items() if name not in {network.name for network, _ in found}]
    kept = within[: max(count - len(others), 1)]
    return [*kept, *others[: count - len(kept)]], alone


def _plan(job: FitJob, ending: Ending, *, trainings: int) -> Plan:
    if (known := job.run.read_step("plan", Plan)) is not None:
        return known
    plan = make_plan(
        job.run.settings,
        job.prepared.recipe,
        elapsed_s=job.run.elapsed,
        kept_s=ending.seconds(trainings),
        trainings=trainings,
        candidates=job.prepared.method.entry.candidates,
    )
    job.run.write_step("plan", msgspec.to_builtins(plan))
    return plan


def train_all(job: FitJob, plan: Plan, contenders: list[Candidate]) -> list[Candidate]:
    """Train finalists and zoo networks alike: same recipe, same bound; the result of each is kept in the run folder."""
    done = []
    for index, candidate in enumerate(contenders):
        known = job.run.read_step(f"trained-{candidate.name}", TrainedOne)
        if known is None:
            known = _train_one(job, plan, candidate, index / len(contenders), 1 / len(contenders))
        candidate = as_trained(candidate, known)
        done.append(candidate)
        job.display.say(f"{candidate.name}: validation {job.prepared.task.metric} {candidate.val_accuracy:.4f}")
    return done


def _weights(job: FitJob, candidate: Candidate) -> str | None:
    """What a full training starts from: weights of this run, or what the user gave, whatever else a journal names.

    Raises:
        RunError: If the journal names a file outside of the run.
    """
    if candidate.weights is None:
        return None
    given = named_weights(job.run.settings.weights)
    if candidate.phase == "baseline" and given is not None:  # of a run that an earlier version began
        return weight_file(given)
    own = job.run.path / candidate.weights
    if not own.resolve().is_relative_to((job.run.path / "weights").resolve()):
        raise RunError(f"{candidate.name} starts from {shown(candidate.weights)}, which is no file of {job.run.path}")
    return str(own)


def _train_one(job: FitJob, plan: Plan, candidate: Candidate, base: float, share: float) -> TrainedOne:
    recipe = job.prepared.recipe_for(candidate)
    set_training_threads(job.run, job.prepared)
    return teach(
        job.run,
        job.prepared,
        candidate,
        job.prepared.data_for(candidate.network),
        recipe=recipe,
        bound=plan.full(recipe),
        initial=_weights(job, candidate),
        told=lambda progress, text: job.display.progress(base + share * progress, text),
    )
