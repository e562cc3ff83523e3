"""`fit`, step by step. Every step leaves what it found in the run folder, and a resumed run skips finished steps."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from ridgepoint.data import Dataset
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.display import Display, Silent
from ridgepoint.errors import InterruptedRun, NotMetError, RidgepointError, WriteError, stopped_by_user
from ridgepoint.files import writing
from ridgepoint.fit.crew import hire
from ridgepoint.fit.finish import finish
from ridgepoint.fit.folder import RunFolder, create_run, latest_run, read_result, resume_run
from ridgepoint.fit.judging import ShortTraining
from ridgepoint.fit.plan import FINALISTS, Plan, make_plan
from ridgepoint.fit.prepare import Prepared, check_settings, prepare, read_data
from ridgepoint.fit.pretrained import networks_for
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.threads import set_training_threads
from ridgepoint.search.baselines import within_budget, zoo_networks
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import smallest
from ridgepoint.search.driver import run_search
from ridgepoint.search.finalists import choose_finalists
from ridgepoint.search.judges import InTurn, Judges
from ridgepoint.search.method import Problem
from ridgepoint.search.methods import find_method, make_method_settings
from ridgepoint.search.study import Study
from ridgepoint.train.folder import About, save_training, weight_file
from ridgepoint.train.loop import train
from ridgepoint.units import format_duration, format_ms

# A finalist must be this much faster than the budget, so that the trained file, clocked later, still meets it.
MARGIN = 0.97


@dataclass(kw_only=True)
class Fit:
    """One fit under way."""

    run: RunFolder
    prepared: Prepared
    host: HostTable
    display: Display

    @property
    def budget_ms(self) -> float:
        """The latency that must not be exceeded."""
        return self.run.settings.latency_ms

    @property
    def limit_ms(self) -> float:
        """What the search allows itself: the budget less a margin."""
        return MARGIN * self.budget_ms


def fit(
    settings: FitSettings, *, out: Path | None = None, resume: bool = False, display: Display | None = None
) -> dict[str, Any]:
    """Find, train, export, check and measure the most accurate network within a latency budget.

    Args:
        settings: The request.
        out: The run folder; by default a new one under runs/fit.
        resume: Go on with the run in `out` (or the newest unfinished one that was asked the same).
        display: Whoever watches.

    Returns:
        The content of `result.json`.

    Raises:
        InputError: If the request or the data are wrong.
        NotMetError: If no network meets the budget, or the exported file fails its check.
        InterruptedRun: If the user stopped it; it can be resumed.
    """
    display = display or Silent()
    if resume:
        run = resume_run(out or latest_run(settings), settings)
        dataset = None
        if (result := read_result(run.path)) is not None:
            display.say(f"{run.path}: is finished already")
            return result
    else:
        check_settings(settings)
        dataset = read_data(settings)  # before a folder is made, so that wrong data leave nothing behind
        run = create_run(settings, out)
    torch.use_deterministic_algorithms(True, warn_only=True)
    go_on = f"Go on with: {run.settings.command(out=str(run.path))} --resume"
    try:
        with writing(run.path, verb="read or written"):
            return _fit(run, display, dataset)
    except WriteError as error:
        raise WriteError(f"{error}; what was saved before is intact. {go_on}") from None
    except (KeyboardInterrupt, Exception) as error:
        if isinstance(error, RidgepointError) or not stopped_by_user(error):
            raise
        with contextlib.suppress(WriteError):
            run.tick()
        raise InterruptedRun(
            f"stopped after {format_duration(run.elapsed)}; everything so far is saved. {go_on}"
        ) from None


def _fit(run: RunFolder, display: Display, dataset: Dataset | None) -> dict[str, Any]:
    display.say(f"Run folder: {run.path}")
    with run.phase("Data", display):
        prepared = prepare(run, display, dataset)
    settings = run.settings
    with run.phase("This machine", display):
        table = Path(settings.table) if settings.table else None
        host = HostTable(runtime=settings.runtime, threads=settings.threads, path=table)
        job = Fit(run=run, prepared=prepared, host=host, display=display)
        require_possible(job)
        rivals = choose_rivals(job)
    plan = _plan(job, trainings=FINALISTS + len(rivals))
    with run.phase("Search", display):
        set_training_threads(run, prepared)
        search(job, plan)
        finalists = measured_finalists(job)
    with run.phase("Training", display):
        trained = train_all(job, plan, finalists, rivals)
    with run.phase("Export, check, measure", display):
        return finish(job, plan, trained)


def require_possible(job: Fit) -> None:
    """Measure the smallest network of the space; stop if even that is over the budget.

    Raises:
        NotMetError: Naming the fastest network and its latency.
    """
    space = job.prepared.space
    if space is None:
        return
    network = space.decode(smallest(space))
    if job.host.latency(network).ms <= job.limit_ms:
        return
    fastest = job.host.measure_networks({"smallest": network})["smallest"]
    if fastest > job.limit_ms:
        raise NotMetError(
            f"no network meets {format_ms(job.budget_ms)}: the fastest one of {space.name} takes {format_ms(fastest)} "
            f"on this machine ({job.host.table.conditions.runtime}, {job.host.table.conditions.threads} thread(s)). "
            f"Allow at least {format_ms(fastest / MARGIN * 1.05)}, a smaller --size, or more --threads"
        )


def choose_rivals(job: Fit) -> list[Candidate]:
    """The zoo networks that will be trained beside the finalists, some from given weights; chosen once per run."""
    known = job.run.read_step("rivals")
    if known is not None:
        return msgspec.convert(known["rivals"], list[Candidate])
    settings, limit = job.run.settings, job.limit_ms
    preprocessing = job.prepared.preprocessing
    channels, height, width = preprocessing.channels, preprocessing.height, preprocessing.width
    classes = len(job.prepared.dataset.classes)
    found = within_budget(
        zoo_networks(channels, height, width, classes),
        job.host,
        limit,
        count=settings.baselines,
        progress=lambda name: job.display.progress(0.5, f"latency table: {name}"),
    )
    rivals = [
        Candidate(name=network.name, phase="baseline", network=network, seed=settings.seed, tabled_ms=ms)
        for network, ms in found
    ]
    if settings.baselines:
        names = ", ".join(f"{rival.name} ({format_ms(rival.tabled_ms)})" for rival in rivals)
        job.display.say(f"Zoo networks to beat, by this machine's latency table: {names or 'none meets the budget'}")
    if settings.weights is not None and job.prepared.network is None:
        for network in networks_for(
            settings.weights, channels=channels, height=height, width=width, num_classes=classes
        ):
            ms = job.host.latency(network).ms
            job.display.say(
                f"{network.name} may start from {settings.weights}: {format_ms(ms)} by the table"
                + ("" if ms <= limit else ", over the budget, left out")
            )
            if ms <= limit:
                named = msgspec.structs.replace(network, name=f"{network.name}-pretrained")
                start = Candidate(name=named.name, phase="baseline", network=named, seed=settings.seed, tabled_ms=ms)
                rivals.append(msgspec.structs.replace(start, weights=settings.weights))
    job.run.write_step("rivals", {"rivals": msgspec.to_builtins(rivals)})
    return rivals


def _plan(job: Fit, *, trainings: int) -> Plan:
    known = job.run.read_step("plan")
    if known is not None:
        return msgspec.convert(known, Plan)
    plan = make_plan(
        job.run.settings,
        job.prepared.recipe,
        elapsed_s=job.run.elapsed,
        trainings=trainings,
        candidates=find_method(job.prepared.method).candidates,
    )
    job.run.write_step("plan", msgspec.to_builtins(plan))
    return plan


def search(job: Fit, plan: Plan) -> None:
    """Let the method propose and short trainings judge, until the plan's end."""
    if job.run.read_step("search") is not None:
        return
    run, prepared = job.run, job.prepared
    limit_ms = tabled_limit(job)

    def told(share: float, text: str) -> None:
        job.display.progress(share, text)
        run.tick()

    task = ShortTraining(run, prepared, plan.short, limit_ms=limit_ms)
    problem = Problem(
        latency=job.host,
        budget_ms=limit_ms,
        task=task,
        seed=run.settings.seed,
        space=prepared.space,
        network=prepared.network,
        evaluations=plan.expected,
        settings=make_method_settings(prepared.method, run.settings.method_changes),
        folder=run.path,
        told=told,
        clock=job.host.measure_networks,
    )
    started = run.elapsed
    with judges_of(job, task) as judges:
        found = run_search(
            problem,
            find_method(prepared.method).method,
            Study(run.path),
            judges=judges,
            done=lambda trained: plan.search_progress(trained, run.elapsed, started),
            display=job.display,
            tick=run.tick,
        )
    run.write_step("search", {"evaluated": sum(candidate.train_s is not None for candidate in found)})


def judges_of(job: Fit, task: ShortTraining) -> contextlib.AbstractContextManager[Judges]:
    """This process, or workers if the user asked for some."""
    settings = job.run.settings
    if settings.study is None and settings.workers == 1:
        return contextlib.nullcontext(InTurn(task))
    return hire(job.run, job.prepared, task)


def tabled_limit(job: Fit) -> float:
    """What the table may give a network so that the clock agrees: less than the limit where the table gives too little.

    One network, where the search starts or of average size, is exported and clocked beside its tabled latency.
    """
    known = job.run.read_step("gap")
    if known is None:
        network = job.prepared.middling()
        measured, tabled = job.host.measure_networks({"middling": network})["middling"], job.host.latency(network).ms
        known = job.run.write_step("gap", {"measured_over_tabled": measured / tabled})
        job.display.say(f"{network.name}: {format_ms(measured)} measured, {format_ms(tabled)} by the table")
    limit_ms = job.limit_ms / max(known["measured_over_tabled"], 1.0)
    space = job.prepared.space
    return limit_ms if space is None else max(limit_ms, job.host.latency(space.decode(smallest(space))).ms)


def measured_finalists(job: Fit) -> list[Candidate]:
    """The candidates with the best short accuracy whose exported files meet the budget by the clock.

    Raises:
        NotMetError: If no candidate does.
    """
    known = job.run.read_step("finalists")
    if known is not None:
        return msgspec.convert(known["finalists"], list[Candidate])
    study = Study(job.run.path)
    job.display.progress(0.9, "measuring finalists")
    found = choose_finalists(
        study.candidates("search"), job.host.measure_networks, limit_ms=job.limit_ms, count=FINALISTS
    )
    for candidate in found.clocked:  # what the clock says belongs beside what the table said
        study.record(msgspec.structs.replace(candidate, phase="search"))
    if not found.clocked:
        raise NotMetError(
            f"no network of {job.prepared.subject.name} within {format_ms(job.budget_ms)} was found and trained. Allow "
            "a little more latency or more time"
        )
    if not found.chosen:
        fastest = min(found.clocked, key=lambda candidate: candidate.measured_ms)
        raise NotMetError(
            f"no candidate meets {format_ms(job.budget_ms)} by the clock; the fastest is {fastest.name} with "
            f"{format_ms(fastest.measured_ms)} measured, {format_ms(fastest.estimated_ms)} by the table. Allow a "
            "little more latency or more time"
        )
    names = ", ".join(f"{c.name} ({format_ms(c.measured_ms)})" for c in found.chosen)
    job.display.say(
        f"Finalists: {names}; measured over tabled {found.gap:.2f} (median of {len(found.clocked)} clocked)"
    )
    chosen = list(found.chosen)
    if chosen[0].weights is not None:  # what inherited is trained on, and beside it from scratch: the images decide
        fresh = f"{chosen[0].name}-from-scratch"
        chosen = [chosen[0], msgspec.structs.replace(chosen[0], name=fresh, weights=None, parent=chosen[0].name)]
    job.run.write_step("finalists", {"finalists": msgspec.to_builtins(chosen), "gap": found.gap})
    return chosen


def train_all(job: Fit, plan: Plan, finalists: list[Candidate], rivals: list[Candidate]) -> list[Candidate]:
    """Train finalists and zoo networks alike: same recipe, same bound; the result of each is kept in the run folder."""
    contenders = finalists + rivals
    done = []
    for index, candidate in enumerate(contenders):
        known = job.run.read_step(f"trained-{candidate.name}")
        if known is None:
            known = _train_one(job, plan, candidate, index / len(contenders), 1 / len(contenders))
        candidate = msgspec.structs.replace(candidate, val_accuracy=known["val_accuracy"], train_s=known["seconds"])
        done.append(candidate)
        job.display.say(f"{candidate.name}: validation accuracy {candidate.val_accuracy:.4f}")
    return done


def _weights(job: Fit, given: str) -> str:
    """Weights of this run, or what the user gave."""
    own = job.run.path / given
    return str(own) if own.is_file() else weight_file(given)


def _train_one(job: Fit, plan: Plan, candidate: Candidate, base: float, share: float) -> dict[str, Any]:
    folder = job.run.training(candidate.name)

    def on_step(progress: float, record: dict[str, Any]) -> None:
        text = f"{candidate.name}: loss {record['loss']:.3f}"
        if "val_accuracy" in record:
            text += f", validation accuracy {record['val_accuracy']:.3f}"
        job.display.progress(base + share * progress, text)
        job.run.tick()

    data = job.prepared.data_for(candidate.network)
    set_training_threads(job.run, job.prepared)
    done = train(
        candidate.network,
        data,
        job.prepared.recipe_for(candidate),
        bound=plan.full(job.prepared.recipe_for(candidate)),
        seed=job.run.settings.seed,
        folder=folder,
        initial=None if candidate.weights is None else _weights(job, candidate.weights),
        on_step=on_step,
    )
    about = About(
        labels=job.prepared.dataset.classes,
        preprocessing=data.preprocessing,
        val_accuracy=done.val_accuracy,
        steps=done.steps,
        seconds=done.seconds,
    )
    save_training(folder, done.model, about)
    return job.run.write_step(
        f"trained-{candidate.name}",
        {"val_accuracy": done.val_accuracy, "seconds": done.seconds, "steps": done.steps},
    )
