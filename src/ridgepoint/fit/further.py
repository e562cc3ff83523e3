"""The further targets of a fit, those of `--also`: what ships there, in what time, and what their budgets cost."""

import dataclasses
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from ridgepoint.data import decode
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.companion import write_entry
from ridgepoint.deploy.export import copy_artefact
from ridgepoint.deploy.quantize.gate import INT8
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.deploy.timing import doubts
from ridgepoint.deploy.verify import compare
from ridgepoint.files import make_folder
from ridgepoint.fit.choosing import choose
from ridgepoint.fit.clocking import times_once
from ridgepoint.fit.forms import all_forms, quantised_of
from ridgepoint.fit.goals import Goal, shares
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.opening import STEP as OPENING
from ridgepoint.fit.opening import Opened
from ridgepoint.fit.steps import Rivals
from ridgepoint.fit.target import as_candidate, meets
from ridgepoint.run.result import Agreement, Alone, FitResult, OnTarget, Rival, Told
from ridgepoint.search.candidate import Candidate
from ridgepoint.train.folder import TRAININGS, load_training
from ridgepoint.train.loop import logits

FOLDER = "also"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shipped:
    """What of every training would ship to one target: the form, its file and its time there, by the training's name.

    A training that has no form there, as where only int8 may ship and was refused, is not in it.
    """

    goal: Goal
    forms: Mapping[str, Candidate]
    files: Mapping[str, Path]
    times: Mapping[str, Told]

    def ms(self, training: str) -> float:
        """What it takes there; endless where nothing ships."""
        return self.times[training].ms if training in self.times else math.inf

    def met(self, training: str) -> bool:
        """Whether the budget holds."""
        return training in self.times and meets(self.times[training], self.goal.budget_ms)


def ship(job: FitJob, goal: Goal, trained: Sequence[Candidate], *, patience_s: float) -> Shipped:
    """Export every training for a target, clock or predict it, and take the form of each that is best there."""
    forms, files = all_forms(job, goal, trained)
    networks = {form.name: form.network for form in forms if form.training == form.name}
    times = times_once(job, goal, files, networks, patience_s=patience_s)
    if goal.wanted.precision == INT8:
        forms = [form for form in forms if form.training != form.name]
    return shipped(goal, forms, files, times)


def shipped(goal: Goal, forms: Sequence[Candidate], files: Mapping[str, Path], times: Mapping[str, Told]) -> Shipped:
    """Of the forms of each training the one that a fit to this target alone would choose."""
    of_training: dict[str, list[Candidate]] = {}
    for form in forms:
        timed = msgspec.structs.replace(form, **as_candidate(times[form.name]))
        of_training.setdefault(form.training, []).append(timed)
    best = {training: choose(every, goal.allowed_ms) for training, every in of_training.items()}
    return Shipped(
        goal=goal,
        forms=best,
        files={training: files[form.name] for training, form in best.items()},
        times={training: times[form.name] for training, form in best.items()},
    )


def tightest_ms(goals: Sequence[Goal], further: Sequence[Shipped]) -> Callable[[Candidate], float]:
    """What a candidate takes on the target that is tightest for it, in milliseconds of the first budget.

    A target to which nothing ships at all, which is missed whatever is chosen, does not choose.
    """
    asked = [(factor, each) for factor, each in zip(shares(goals)[1:], further, strict=True) if each.times]

    def ms(candidate: Candidate) -> float:
        return max([candidate.final_ms, *(factor * each.ms(candidate.training) for factor, each in asked)])

    return ms


def add_targets(
    job: FitJob, result: FitResult, winner: Candidate, trained: Sequence[Candidate], every: Sequence[Shipped]
) -> None:
    """Tell of every target in a result that tells of the first one; the files for the others go into the run's folder.

    Args:
        job: The fit.
        result: Is changed where there are several targets.
        winner: What was chosen.
        trained: What it was chosen from.
        every: What ships to each target, the first one first.

    Raises:
        ParityError: If a file disagrees with its source.
    """
    first, *further = every
    if not further:
        return
    forms = {**first.forms, winner.training: winner}
    every = [dataclasses.replace(first, forms=forms), *further]
    for rival in result.finalists + result.baselines:
        _elsewhere(rival, trained, further)
    result.targets = [_on_target(job, result, winner, each, every) for each in every]
    result.met = result.met and all(target.met for target in result.targets)
    for each in further:
        doubted = [f"{each.goal.name}: {text}" for text in doubts(each.times.values(), accepted=job.run.settings.busy)]
        (result.warnings if job.run.settings.busy else result.doubts).extend(doubted)
    result.met = result.met and not result.doubts
    known = [target.alone.ratio for target in result.targets if target.alone is not None]
    result.universality = min(known) if len(known) == len(result.targets) else None


def _elsewhere(rival: Rival, trained: Sequence[Candidate], further: Sequence[Shipped]) -> None:
    training = next(each.training for each in trained if each.name == rival.name)
    rival.elsewhere = {each.goal.name: each.times[training] for each in further if training in each.times}
    rival.met = rival.met and all(each.met(training) for each in further)


def _on_target(job: FitJob, result: FitResult, winner: Candidate, here: Shipped, every: Sequence[Shipped]) -> OnTarget:
    """The chosen network on one target, and what its budget cost."""
    goal, training = here.goal, winner.training
    told = OnTarget(
        name=goal.name,
        runtime=goal.wanted.runtime,
        precision=_precision(here, training),
        budget_ms=goal.budget_ms,
        latency=here.times.get(training),
        met=result.met if goal.number == 1 else here.met(training),
        artefact=Path(result.artefact).name,
        accuracy=result.accuracy.artefact,
        parity=result.parity,
        alone=_best_alone(job, here, winner, every),
        cost=_cost(job, winner, here, every),
    )
    if goal.number == 1:
        return told
    if training not in here.files:
        return msgspec.structs.replace(told, artefact="", accuracy=None, parity=None)
    return _with_file(job, told, here, winner)


def _with_file(job: FitJob, told: OnTarget, here: Shipped, winner: Candidate) -> OnTarget:
    """The file that ships there: the run's own where it is the same, else one beside it, checked there."""
    goal, form, source = here.goal, here.forms[winner.training], here.files[winner.training]
    folder = job.run.path / FOLDER / f"{goal.number}-{re.sub('[^A-Za-z0-9_.]+', '-', goal.name)[:60]}"
    same = goal.wanted.runtime == job.first.wanted.runtime and form.name == winner.name
    if same and goal.target.place is job.first.target.place and form.training == form.name:
        shutil.rmtree(folder, ignore_errors=True)
        return told
    runtime, task = find_runtime(goal.wanted.runtime), job.prepared.task
    make_folder(folder)
    path = folder / source.name
    about = copy_artefact(source, path, runtime)
    artefact = load_artefact(path, runtime=runtime.name, place=goal.target.place)
    tests = decode(job.prepared.dataset.test, artefact.preprocessing, train=False)
    outputs = artefact.logits(tests.images.numpy())
    model, _ = load_training(job.run.path / TRAININGS / winner.training)
    answers = logits(model, tests.images, artefact.preprocessing).numpy()
    parity = compare(answers, outputs, path, agree=task.agree, exact=form.training == form.name)
    known = quantised_of(job, goal, [winner.training]).get(winner.training) if form.training != form.name else None
    write_entry(path, about, runtime, parity=parity.document(), quantisation=known)
    return msgspec.structs.replace(
        told,
        artefact=path.relative_to(job.run.path).as_posix(),
        accuracy=task.score(outputs, tests.labels).value,
        parity=msgspec.convert(parity.document(), Agreement),
    )


def _precision(here: Shipped, training: str) -> str:
    """Of the file, whatever a prediction holds for; what was asked for where nothing ships."""
    form = here.forms.get(training)
    return here.goal.wanted.precision if form is None else "float32" if form.training == form.name else INT8


def _best_alone(job: FitJob, here: Shipped, winner: Candidate, every: Sequence[Shipped]) -> Alone | None:
    """The best for one target alone; None where the run had no time to look at what that might be."""
    if not _is_compared(job, here.goal.name, every):
        return None
    of_trained = _alone(here, winner)
    of_looked = best_looked_at(job.run.read_step(OPENING, Opened), here.goal.name)
    return of_looked if of_trained is None or (of_looked and of_looked.ratio < of_trained.ratio) else of_trained


def _is_compared(job: FitJob, target: str, every: Sequence[Shipped]) -> bool:
    """Whether what should be best for a target alone was looked at, or trained, or is within all budgets anyway."""
    opened, rivals = job.run.read_step(OPENING, Opened), job.run.read_step("rivals", Rivals)
    strongest = None if rivals is None else rivals.get("alone", {}).get(target)
    trained = strongest is not None and (strongest["within"] or strongest["network"] in every[0].forms)
    return trained or (opened is not None and opened.compared_for(target))


def _alone(here: Shipped, winner: Candidate) -> Alone | None:
    """The best for this target alone among what was trained; None where nothing meets its budget."""
    best = choose(list(here.forms.values()), here.goal.allowed_ms) if here.forms else None
    if best is None or not here.met(best.training) or not best.val_accuracy:
        return None
    mine = here.forms[winner.training].val_accuracy if winner.training in here.forms else 0.0
    ratio = min((mine or 0.0) / best.val_accuracy, 1.0)
    ms = here.ms(best.training)
    return Alone(network=best.name, score=best.val_accuracy, by="validation images", ms=ms, ratio=ratio)


def best_looked_at(opened: Opened | None, name: str) -> Alone | None:
    """The same among the published networks that the run looked at before it took one; None where none was better."""
    if opened is None or opened.opening is None or not opened.opening.promise:
        return None
    mine = opened.opening.promise
    for each in opened.alone:
        if name in each.best_for and (score := each.promise or 0.0) > mine:
            told = f"{each.network.name} at {each.network.input[1]} px"
            return Alone(network=told, score=score, by="frozen features", ms=each.ms, ratio=mine / score)
    return None


def _cost(job: FitJob, winner: Candidate, here: Shipped, every: Sequence[Shipped]) -> float | None:
    """By how much the best network that meets all other budgets is more accurate.

    None where not all budgets are met, or where nothing was looked at that this one alone forbids, and might have been.
    """
    if not all(each.met(winner.training) for each in every):
        return None
    others = [each for each in every if each is not here]
    free = [form for name, form in every[0].forms.items() if all(each.met(name) for each in others)]
    only = others[0].goal.name if len(others) == 1 else None
    forbidden = any(not here.met(form.training) for form in free)
    if not (forbidden or (only is not None and _is_compared(job, only, every))):
        return None
    cost = max([form.val_accuracy or 0.0 for form in free]) - (winner.val_accuracy or 0.0)
    looked = None if only is None else best_looked_at(job.run.read_step(OPENING, Opened), only)
    return cost if looked is None else max(cost, looked.score * (1 - looked.ratio))
