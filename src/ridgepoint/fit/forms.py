"""The files that trained networks may ship as: in float and, where that is asked for, in int8 behind its gate.

An int8 form is a candidate of its own, with the validation accuracy of its file: it is clocked, chosen and told as any
other.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ridgepoint.deploy.companion import is_told
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.quantize.gate import INT8
from ridgepoint.deploy.runtimes import find_runtime, model_file
from ridgepoint.errors import InputError
from ridgepoint.fit.bound import left_s
from ridgepoint.fit.goals import Goal
from ridgepoint.fit.job import FitJob
from ridgepoint.run.quantised import Quantised
from ridgepoint.search.candidate import Candidate, int8_name
from ridgepoint.tasks.int8 import quantise_for
from ridgepoint.train.folder import TRAININGS, load_training

JUDGE = "val"


class Form(msgspec.Struct, kw_only=True):
    """The step of a run that says what came of quantising a network; `why` where it could not be quantised at all."""

    found: Quantised | None = None
    why: str = ""


def all_forms(job: FitJob, goal: Goal, trained: Sequence[Candidate]) -> tuple[list[Candidate], dict[str, Path]]:
    """Every file that may ship to a target, with its candidate; where only int8 may, float files if none passed.

    A network is quantised once per run; what was decided stays.
    """
    files = export_all(job, goal, trained)
    if goal.wanted.precision == "float32":
        return list(trained), files
    in_int8: list[Candidate] = []
    for index, candidate in enumerate(trained):
        job.display.progress(0.5 + 0.4 * index / len(trained), f"int8 of {candidate.name}")
        path = job.run.path / TRAININGS / candidate.name / goal.step(INT8) / files[candidate.name].name
        pending = len(trained) - index - 1
        found = _quantised(job, goal, candidate, files[candidate.name], path, pending=pending).found
        if found is not None and found.accepted:
            in_int8.append(_form(candidate, found))
            files[in_int8[-1].name] = path
    forms = in_int8 if in_int8 and goal.wanted.precision == INT8 else [*trained, *in_int8]
    return forms, {form.name: files[form.name] for form in forms}


def quantised_of(job: FitJob, goal: Goal, trainings: Sequence[str]) -> dict[str, Quantised]:
    """What is known of the int8 files of trainings for a target, by the training's name."""
    known = {name: job.run.read_step(_step(goal, name), Form) for name in trainings}
    return {name: form.found for name, form in known.items() if form is not None and form.found is not None}


def refusals(job: FitJob, trainings: Sequence[str]) -> list[str]:
    """A sentence on every network that does not ship in int8, where that was asked for."""
    said = []
    for goal, name in itertools.product(job.goals, trainings):
        form = job.run.read_step(_step(goal, name), Form)
        if form is not None and not (form.found and form.found.accepted):
            why = form.why or (f"{form.found.reason}. {form.found.advice}" if form.found else "")
            said.append(f"{name} does not ship in int8{f' on {goal.name}' if job.further else ''}: {why}")
    return said


def export_all(job: FitJob, goal: Goal, trained: Sequence[Candidate]) -> dict[str, Path]:
    """The exported float file of every trained network for a target's runtime, with labels and preprocessing inside."""
    files, runtime = {}, find_runtime(goal.wanted.runtime)
    for index, candidate in enumerate(trained):
        job.display.progress(0.5 * index / len(trained), f"exporting {candidate.name}")
        path = job.run.path / TRAININGS / candidate.name / model_file(runtime.name)
        if not is_told(path, runtime):
            model, about = load_training(path.parent)
            export_artefact(
                model,
                path,
                runtime=runtime.name,
                network=candidate.network,
                preprocessing=about.preprocessing,
                labels=job.prepared.dataset.classes,
                trained_on=about.data,
                task=job.prepared.task.name,
                outputs=job.prepared.task.outputs,
            )
        files[candidate.name] = path
    return files


def _quantised(job: FitJob, goal: Goal, candidate: Candidate, source: Path, target: Path, *, pending: int) -> Form:
    """What comes of quantising a network, before so many others."""
    settings, runtime, step = job.run.settings, find_runtime(goal.wanted.runtime), _step(goal, candidate.name)
    known = job.run.read_step(step, Form)
    if known is not None and _stays(known, whole=is_told(target, runtime)):
        return known
    model, about = load_training(source.parent)
    try:
        found = quantise_for(
            job.prepared.task,
            job.prepared.dataset,
            about.preprocessing,
            source,
            target,
            runtime=runtime,
            parts=(JUDGE,),
            strict=False,  # what the images cannot tell decides nothing: the choice is made on this file's own accuracy
            seed=settings.seed,
            threads=settings.threads,
            busy=settings.busy,
            place=goal.target.place,
            module=model,
            time_left=lambda: left_s(job.run, networks=pending) > 0,
        )
        form = Form(found=found)
    except InputError as error:  # a network that the tool cannot take still ships in float
        form = Form(why=str(error))
    job.run.write_step(step, msgspec.to_builtins(form))
    said = form.why or (form.found.reason if form.found else "")
    job.display.say(f"{candidate.name} in int8: {said}")
    return form


def _stays(form: Form, *, whole: bool) -> bool:
    """Whether what is known is not tried again: its file is there, or it was refused for more than a busy machine."""
    if form.found is None or form.found.accepted:
        return form.found is None or whole
    return form.found.outcome != "cannot be clocked"


def _form(candidate: Candidate, found: Quantised) -> Candidate:
    """The candidate that the int8 file is."""
    assert found.change is not None and candidate.val_accuracy is not None
    return msgspec.structs.replace(
        candidate,
        name=int8_name(candidate.name),
        parent=candidate.name,
        val_accuracy=min(max(candidate.val_accuracy + found.change.value, 0.0), 1.0),
        note=f"{candidate.note or 'as trained'}, in 8-bit integers",
    )


def _step(goal: Goal, name: str) -> str:
    return goal.step(f"int8-{name}")
