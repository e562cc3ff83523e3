"""Where the last clock refuses every file: what was learnt ships at a smaller input, at which it meets the budget."""

import time
from collections.abc import Callable, Sequence
from math import sqrt

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import total_stride
from ridgepoint.data import decode
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.steps import TrainedOne
from ridgepoint.fit.teach import keep
from ridgepoint.nn.build import build
from ridgepoint.nn.weights import load_weights
from ridgepoint.search.candidate import Candidate, Name
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.folder import TRAININGS, WEIGHTS, read_about
from ridgepoint.train.loop import logits
from ridgepoint.train.recipe import SMALL_IMAGE
from ridgepoint.units import format_ms

STEP = "smaller"
STEP_PX = 8


class Smaller(msgspec.Struct, kw_only=True):
    """The step of a run that says what was learnt is taken at which smaller inputs, the last one the smallest."""

    source: Name
    candidates: list[Candidate] = []


def smaller_inputs(job: FitJob) -> list[Candidate]:
    """What the run has taken at smaller inputs so far."""
    known = job.run.read_step(STEP, Smaller)
    return [] if known is None else known.candidates


def at_smaller_input(job: FitJob, forms: Sequence[Candidate], ms: Callable[[Candidate], float]) -> Candidate | None:
    """The most accurate of what was learnt, at the largest input at which its time should be within the limit.

    Time goes by pixels, and a little less at small inputs; so what is still over the budget is taken smaller again.
    Nothing is learnt for it; it has the validation accuracy that it has at that input.

    Args:
        job: The fit, whose step keeps what was taken.
        forms: Everything that was clocked, none of it within the budget.
        ms: What it takes.

    Returns:
        None where inputs stay: those that the user chose, of other tasks than classes, as small as they may be.
    """
    known = job.run.read_step(STEP, Smaller)
    if known is None:
        source = max(forms, key=lambda each: each.val_accuracy or 0.0).training
        known = Smaller(source=source)
    last = known.candidates[-1].training if known.candidates else known.source
    fastest = min((form for form in forms if form.training == last), key=ms, default=None)
    if fastest is None or len(known.candidates) == POLICY.smaller_inputs:  # none, where its int8 file was refused
        return None
    if (size := _size(job, fastest.network, ms(fastest))) is None:
        return None
    job.display.say(
        f"{fastest.name}: {format_ms(ms(fastest))} by the last clock, over the budget; is tried at {size} px, too"
    )
    candidate = _taken(job, next(form for form in forms if form.training == known.source), size)
    known.candidates.append(candidate)
    job.run.write_step(STEP, msgspec.to_builtins(known))
    return candidate


def _size(job: FitJob, network: Network, ms: float) -> int | None:
    _, height, width = network.input
    if job.prepared.task is not CLASSIFICATION or job.run.settings.size is not None or height != width:
        return None
    size = int(height * sqrt(job.limit_ms / ms)) // STEP_PX * STEP_PX
    size = min(size, height - STEP_PX)
    return size if size >= max(2 * total_stride(network), SMALL_IMAGE) else None


def _taken(job: FitJob, source: Candidate, size: int) -> Candidate:
    """The source's weights at another input, as a training of its own that had no steps more."""
    prepared, started, folder = job.prepared, time.monotonic(), job.run.path / TRAININGS / source.training
    channels, height, _ = source.network.input
    network = source.network.at(channels=channels, height=size, width=size)
    about = read_about(folder)
    candidate = msgspec.structs.replace(
        source,
        name=f"{source.training}-at-{size}px",
        parent=source.training,
        network=network,
        note=f"what {source.training} learnt, at {size} instead of {height} px",
    )
    model = build(network)
    load_weights(model, folder / WEIGHTS)
    model.eval()
    preprocessing = msgspec.structs.replace(
        prepared.preprocessing_for(network), mean=about.preprocessing.mean, std=about.preprocessing.std
    )
    val = decode(prepared.dataset.val, preprocessing, train=False)
    found: TrainedOne = {
        "val_accuracy": prepared.task.score(logits(model, val.images, preprocessing), val.labels).value,
        "seconds": time.monotonic() - started,
        "steps": 0,
    }
    keep(job.run, prepared, candidate, model, preprocessing, found)
    return msgspec.structs.replace(candidate, val_accuracy=found["val_accuracy"])
