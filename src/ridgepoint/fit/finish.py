"""The last steps of a fit: export every trained network, clock them side by side, choose, check, and write it down."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from ridgepoint.arch.document import dump_network
from ridgepoint.arch.words import in_words
from ridgepoint.cost.count import cost
from ridgepoint.data import ArraySplit, Split, decode
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.companion import write_entry
from ridgepoint.deploy.export import copy_artefact
from ridgepoint.deploy.runtimes import find_runtime, model_file
from ridgepoint.deploy.timing import doubts
from ridgepoint.deploy.verify import Parity, compare
from ridgepoint.files import write_atomic
from ridgepoint.fit.bound import LEAST_PATIENCE_S, final_patience_s
from ridgepoint.fit.choosing import choose
from ridgepoint.fit.clocking import times_once
from ridgepoint.fit.forms import all_forms, quantised_of, refusals
from ridgepoint.fit.further import add_targets, ship, shipped, tightest_ms
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.learning import hardly_learnt
from ridgepoint.fit.opening import STEP as OPENING
from ridgepoint.fit.opening import Opened
from ridgepoint.fit.plan import Plan
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.smaller import at_smaller_input, smaller_inputs
from ridgepoint.fit.steps import Found
from ridgepoint.fit.target import as_candidate, meets
from ridgepoint.run.folder import DAMAGED, RESULT, RunFolder
from ridgepoint.run.records import read_record, write_record
from ridgepoint.run.result import (
    Accuracy,
    Agreement,
    Bound,
    Chosen,
    Data,
    FitResult,
    LookedAt,
    Phase,
    Rival,
    Scored,
    Search,
    Stage,
    Told,
)
from ridgepoint.search.candidate import Candidate
from ridgepoint.seeds import seed_for
from ridgepoint.tasks.decoding import decoding_ms
from ridgepoint.train.accelerator import told
from ridgepoint.train.folder import TRAININGS, load_training, read_about
from ridgepoint.train.loop import logits
from ridgepoint.train.score import Score
from ridgepoint.units import format_duration

NOT_SEARCHED = (
    f"No shape was searched from nothing: that takes {format_duration(POLICY.search_least_s)} of what is left. "
    "--space or --method asks for a search all the same."
)
PHASE = "Export, check, measure"
PACKAGES = ("ridgepoint", "torch", "torchvision", "optuna", "numpy")


def finish(job: FitJob, plan: Plan | None, trained: list[Candidate], *, last: bool = True) -> dict[str, Any]:
    """Export, measure, choose, verify, evaluate; write `result.json` and what the report needs.

    Args:
        job: The fit.
        plan: How the time of search and training was divided, where there were any.
        trained: What may be chosen.
        last: Whether the run ends here; else it has something to show for now, and waits for no calm machine.

    Raises:
        ParityError: If the chosen file disagrees with its source.
    """
    given, trained = trained, [*trained, *smaller_inputs(job)]
    taught = [each.name for each in trained]
    patience_s = final_patience_s(job.run) if last else LEAST_PATIENCE_S
    further = [ship(job, goal, trained, patience_s=patience_s) for goal in job.further]
    trained, files = all_forms(job, job.first, trained)
    networks = {c.name: c.network for c in trained if c.training == c.name}
    latencies = times_once(job, job.first, files, networks, patience_s=patience_s)
    trained = [msgspec.structs.replace(c, **as_candidate(latencies[c.name])) for c in trained]
    ms, sure = tightest_ms(job.goals, further), job.run.settings.busy or not doubts(latencies.values())
    winner = choose(trained, job.allowed_ms, ms=ms)
    if last and sure and ms(winner) > job.allowed_ms and at_smaller_input(job, trained, ms):
        return finish(job, plan, given)
    path, runtime = job.run.path, find_runtime(job.run.settings.runtime)
    artefact = path / files[winner.name].name
    about = copy_artefact(files[winner.name], artefact, runtime)
    write_atomic(path / "architecture.yaml", dump_network(winner.network))
    write_atomic(path / "labels.txt", "".join(f"{label}\n" for label in job.prepared.dataset.classes))
    job.display.progress(0.8, "checking the exported file on the test images")
    shown = shown_to(job.prepared.dataset.test, seed=job.run.settings.seed, last=last)
    parity, accuracies, score, after_ms = check(job, winner, trained, files, shown)
    quantisation = quantised_of(job, job.first, taught).get(winner.training) if winner.training != winner.name else None
    write_entry(artefact, about, runtime, parity=parity.document(), quantisation=quantisation)
    trained = [msgspec.structs.replace(c, test_accuracy=accuracies[c.name].artefact) for c in trained]
    if last:
        for candidate in trained:
            phase = "winner" if candidate.name == winner.name else candidate.phase
            job.study.record(msgspec.structs.replace(candidate, phase=phase))
    if job.stages or not last or plan is None:
        for each in trained:
            what = each.note or ("a zoo network, from nothing" if each.phase == "baseline" else "found by the search")
            at_s, accuracy = job.run.elapsed, each.val_accuracy
            job.passed(Stage(name=each.name, what=what, at_s=at_s, val_accuracy=accuracy, ms=each.final_ms))
    result = describe(job, plan, winner, trained, latencies, accuracies, score, parity, after_ms)
    add_targets(job, result, winner, trained, [shipped(job.first, trained, files, latencies), *further])
    result.int8, result.finished = quantised_of(job, job.first, taught), last
    result.warnings += [*refusals(job, taught), *hardly_learnt(job.prepared, job.run.settings, winner)]
    if last:
        result.notes += not_searched(job)
    write_record(path / RESULT, result)
    plain: dict[str, Any] = msgspec.to_builtins(result)
    return plain


def conclude(job: FitJob, trained: list[Candidate]) -> dict[str, Any]:
    """End with what there is to show already, where that is all that was trained and its times are not in doubt.

    Of boxes and maps there is nothing to show until weights are fine-tuned.
    """
    if not (job.run.path / RESULT).exists():
        return finish(job, None, trained)
    known = read_record(job.run.path / RESULT, FitResult, otherwise=DAMAGED)
    told = {rival.name: rival for rival in known.baselines}
    forms, _ = all_forms(job, job.first, trained)
    all_tests = known.accuracy.count == len(job.prepared.dataset.test)
    if known.doubts or known.tightest_share > 1.0 or not all_tests or told.keys() != {each.name for each in forms}:
        return finish(job, None, trained)
    for each in forms:
        latency, test = told[each.name].latency, told[each.name].accuracy.artefact
        phase = "winner" if each.name == known.network.name else each.phase
        job.study.record(msgspec.structs.replace(each, **as_candidate(latency), test_accuracy=test, phase=phase))
    known.notes += not_searched(job)
    known.finished, known.phases, known.wall_s = True, _phases(job.run), job.run.elapsed
    write_record(job.run.path / RESULT, known)
    plain: dict[str, Any] = msgspec.to_builtins(known)
    return plain


def shown_to(tests: Split, *, seed: int, last: bool) -> Split:
    """The test images that files are checked on: in the end all of them, until then no more than tell something."""
    if last or len(tests) <= POLICY.early_tests:
        return tests
    generator = np.random.default_rng(seed_for(seed, "early tests"))
    return tests.at(np.sort(generator.permutation(len(tests))[: POLICY.early_tests]))


def check(
    job: FitJob, winner: Candidate, trained: list[Candidate], files: dict[str, Path], shown: Split
) -> tuple[Parity, dict[str, Accuracy], Score, float]:
    """Parity of the winner on the test images, every artefact's test score in the real runtime, the winner's whole.

    Last, what making answers of the winner's outputs takes.
    """
    runtime, task, classes = job.run.settings.runtime, job.prepared.task, job.prepared.dataset.classes
    tests: dict[tuple[int, ...], ArraySplit] = {}
    accuracies: dict[str, Accuracy] = {}
    for candidate in trained:
        artefact = load_artefact(files[candidate.name], runtime=runtime, place=job.first.target.place)
        preprocessing = artefact.preprocessing
        size = candidate.network.input[1:]
        if size not in tests:
            tests[size] = decode(shown, preprocessing, train=False)
        outputs = artefact.logits(tests[size].images.numpy())
        found = task.score(outputs, tests[size].labels)
        accuracies[candidate.name] = Accuracy(
            artefact=found.value,
            balanced=found.parts.get("balanced"),
            majority=found.parts.get("majority"),
            val=candidate.val_accuracy,
            split="test",
            count=found.count,
        )
        if candidate.name == winner.name:
            model, _ = load_training(job.run.path / TRAININGS / candidate.training)
            answers, best = logits(model, tests[size].images, preprocessing), found
            exact = candidate.training == candidate.name
            parity = compare(answers.numpy(), outputs, files[candidate.name], agree=task.agree, exact=exact)
            accuracies[candidate.name].trained = task.score(answers, tests[size].labels).value
            task.write_evaluation(job.run.path, classes, tests[size], outputs)
            after_ms = decoding_ms(task, outputs, classes)
    return parity, accuracies, best, after_ms


def describe(
    job: FitJob,
    plan: Plan | None,
    winner: Candidate,
    trained: list[Candidate],
    latencies: Mapping[str, Told],
    accuracies: dict[str, Accuracy],
    score: Score,
    parity: Parity,
    after_ms: float,
) -> FitResult:
    """The content of `result.json`."""
    settings, prepared, dataset, path = job.run.settings, job.prepared, job.prepared.dataset, job.run.path.resolve()
    model, runtime = model_file(settings.runtime), find_runtime(settings.runtime)
    command, doubted = settings.command(out=str(job.run.path)), doubts(latencies.values(), accepted=settings.busy)
    return FitResult(
        command=command,
        reproduce=[command, f"ridgepoint report {job.run.path}", f"ridgepoint eval {job.run.path}/{model} DATA"],
        name=job.run.path.name,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        run=str(path),
        data=Data(
            name=dataset.name,
            kind=dataset.kind,
            classes=list(dataset.classes),
            counts={name: len(getattr(dataset, name)) for name in ("train", "val", "test")},
            summary=prepared.task.summary(dataset),
            split_note=dataset.split_note,
            skipped=list(dataset.skipped),
            input_reason=prepared.input_reason,
            preprocessing=msgspec.to_builtins(read_about(job.run.training(winner.training)).preprocessing),
        ),
        architecture=str(path / "architecture.yaml"),
        artefact=str(path / model),
        labels=str(path / "labels.txt"),
        report=str(path / "report.html"),
        network=Chosen(**_network(winner), training=winner.training if winner.training != winner.name else ""),
        budget_ms=settings.latency_ms,
        latency=latencies[winner.name],
        decoding_ms=after_ms,
        met=meets(latencies[winner.name], settings.latency_ms)
        and (settings.busy or not doubted)
        and (settings.precision != "int8" or winner.training != winner.name),
        task=prepared.task.name,
        metric=prepared.task.metric,
        accuracy=accuracies[winner.name],
        recall=dict(zip(dataset.classes, score.by_label, strict=True)) if prepared.task.by_label == "recall" else {},
        score=Scored(value=score.value, parts=score.parts, by_label=score.labelled(dataset.classes)),
        parity=msgspec.convert(parity.document(), Agreement),
        baselines=rivals(trained, "baseline", latencies, accuracies, settings.latency_ms),
        finalists=rivals(trained, "finalist", latencies, accuracies, settings.latency_ms),
        search=None if plan is None else _search(job),
        bound=Bound(time_s=settings.time_s if plan is None or plan.full_s else None, evaluations=settings.evaluations),
        plan={} if plan is None else msgspec.to_builtins(plan),
        policy=POLICY.rules(),
        recipe=msgspec.to_builtins(prepared.recipe),
        seed=settings.seed,
        accelerator=told(prepared.accelerator),
        phases=_phases(job.run),
        versions={
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
            **runtime.versions(),
        },
        doubts=[] if settings.busy else doubted,
        warnings=doubted if settings.busy else [],
        notes=[*notes(winner, trained, searched=plan is not None), *notes_on_stages(job.stages, prepared.task.metric)],
        wall_s=job.run.elapsed,
        stages=job.stages,
        looked_at=looked_at(job.run.read_step(OPENING, Opened)),
    )


def looked_at(opened: Opened | None) -> list[LookedAt]:
    """What a fit looked at before it took the first of them."""
    found = [] if opened is None or opened.opening is None else [opened.opening, *opened.others]
    return [
        LookedAt(
            network=each.network.name,
            weights=each.weights.name,
            size=each.network.input[1],
            ms=each.ms,
            promise=each.promise,
        )
        for each in found
    ]


def _search(job: FitJob) -> Search:
    prepared = job.prepared
    return Search(
        space=prepared.subject.name,
        space_size=float(prepared.space.size) if prepared.space else None,
        method=prepared.method.name,
        reason=prepared.method.reason,
        evaluations=sum(c.train_s is not None for c in job.study.candidates("search")),
        gap=finalists["gap"] if (finalists := job.run.read_step("finalists", Found)) else None,
        seconds=job.run.phases.get("Search"),
    )


def notes_on_stages(stages: Sequence[Stage], metric: str) -> list[str]:
    """Where the score came from, a sentence a stage."""
    return [
        f"{stage.name} ({stage.what}): validation {metric} {100 * stage.val_accuracy:.1f} %, there after "
        f"{format_duration(stage.at_s)}."
        for stage in stages
        if stage.val_accuracy is not None and stage.at_s is not None
    ]


def not_searched(job: FitJob) -> list[str]:
    """Why there was no search, where there was none."""
    return [NOT_SEARCHED] if job.run.read_step("plan") is None else []


def rivals(
    trained: Sequence[Candidate],
    phase: Literal["baseline", "finalist"],
    latencies: Mapping[str, Told],
    accuracies: Mapping[str, Accuracy],
    budget_ms: float,
) -> list[Rival]:
    """The networks of a phase, the winner included, each with what its own exported file measured."""
    return [
        Rival(
            **_network(candidate),
            role="zoo" if phase == "baseline" else phase,
            weights=candidate.weights,
            latency=latencies[candidate.name],
            met=meets(latencies[candidate.name], budget_ms),
            accuracy=accuracies[candidate.name],
        )
        for candidate in trained
        if candidate.phase == phase
    ]


def notes(winner: Candidate, trained: Sequence[Candidate], *, searched: bool) -> list[str]:
    """What people should know of where the chosen network comes from; `searched`, whether there was a search."""
    if winner.weights is not None:
        return [f"The result started from the weights {winner.weights}."]
    if winner.phase == "baseline" and any(each.weights for each in trained):
        return ["A zoo network that learnt from nothing beat what started from weights; it is the result."]
    if winner.phase == "baseline" and searched:
        return ["A zoo network beat everything that the search found; it is the result."]
    return []


def _phases(run: RunFolder[FitSettings]) -> list[Phase]:
    """The time of every phase: this one, which is not over, has what the others leave of the whole."""
    known = {name: seconds for name, seconds in run.phases.items() if name != PHASE}
    known[PHASE] = max(run.elapsed - sum(known.values()), 0.0)
    return [Phase(name=name, seconds=seconds) for name, seconds in known.items()]


def _network(candidate: Candidate) -> dict[str, Any]:
    """What `Chosen` and `Rival` tell alike."""
    network = candidate.network
    return {
        "name": candidate.name,
        "digest": network.digest,
        "about": in_words(network),
        "input": list(network.input),
        "params": cost(network).params,
        "deploy_params": cost(network, form="deploy").params,
        "macs": cost(network, form="deploy").macs,
        "steps": candidate.steps,
        "epochs": candidate.epochs,
        "train_s": candidate.train_s,
    }
