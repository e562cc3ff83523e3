"""A network of the zoo that learns boxes or maps from nothing, beside weights or where there are none.

Nothing tells beforehand which learns more in minutes: weights know photographs, and a network that is quick to train
does several times the steps. Seen on 174 photographs of blood cells, 150 CPU seconds, mAP50-95: MobileNetV2 from
ImageNet at 160 px 0.436 after 487 steps, MobileNetV4-Conv-S from nothing at 224 px 0.497 after 548.
"""

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.errors import DivergedError
from ridgepoint.fit.bound import measure_ending, seconds_allowed
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.learning import most_macs
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.ranking import largest_within, sizes_for
from ridgepoint.fit.share import kept_s, search_follows
from ridgepoint.fit.steps import TrainedOne, as_trained
from ridgepoint.fit.teach import teach
from ridgepoint.fit.threads import pace
from ridgepoint.run.folder import Seconds
from ridgepoint.search.candidate import Candidate
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.loop import Bound

STEP, ALONE, NETWORK = "fresh", "fresh-alone", "mobilenetv4_conv_small"


class Fresh(msgspec.Struct, kw_only=True):
    """The step of a run that says which network learns from nothing beside the weights, if any is within the budget."""

    network: Network | None
    seconds: Seconds


class Alone(msgspec.Struct, kw_only=True):
    """The step of a run that says whether nothing else learns."""

    taken: bool


def fresh(job: FitJob, *, made: int) -> Candidate | None:
    """Train it for the time that is left; None where there is none within the budget, no time, or it diverged.

    Args:
        job: The fit.
        made: Networks that are trained already.
    """
    run, prepared, display = job.run, job.prepared, job.display
    known = run.read_step(STEP, Fresh)
    if known is None:
        known = _chosen(job, made)
        run.write_step(STEP, msgspec.to_builtins(known))
    if known.network is None or known.seconds < POLICY.finetuning_least_s:
        return None
    candidate = Candidate(
        name=f"{known.network.name}-{known.network.input[1]}px-fresh",
        phase="baseline",
        network=known.network,
        seed=run.settings.seed,
        note="a zoo network, from nothing",
    )
    done = run.read_step(f"trained-{candidate.name}", TrainedOne)
    if done is None:
        pace(prepared, known.network, prepared.recipe)  # which sets the threads
        try:
            data, bound = prepared.data_for(known.network), Bound(seconds=known.seconds)
            done = teach(
                run, prepared, candidate, data, recipe=prepared.recipe, bound=bound, initial=None, told=display.progress
            )
        except DivergedError as error:
            display.warn(f"{candidate.name}: {error}")
            return None
    display.say(f"{candidate.name}: validation {prepared.task.metric} {done['val_accuracy']:.4f}")
    return as_trained(candidate, done)


def learns_alone(job: FitJob) -> bool:
    """Whether it is all that there is time for where there are no weights: of boxes and maps, if no search follows.

    Seen: a fit of 150 seconds that searched left 14 to each training, and nothing was learnt. Decided once per run.
    """
    run, settings = job.run, job.run.settings
    known = run.read_step(ALONE, Alone)
    if known is None:
        asked = settings.evaluations is not None or settings.space is not None or settings.method != "auto"
        other = job.prepared.task is CLASSIFICATION or job.prepared.network is not None
        begun = run.read_step("plan") is not None  # by a version that searched at once
        left_s = seconds_allowed(settings) - run.elapsed
        known = Alone(taken=not (asked or other or begun) and not search_follows(settings, left_s))
        run.write_step(ALONE, msgspec.to_builtins(known))
    return known.taken


def learn_alone(job: FitJob) -> list[Candidate]:
    """Train it for all the time; nothing where none is within the budget."""
    found = fresh(job, made=0)
    return [] if found is None else [found]


def _chosen(job: FitJob, made: int) -> Fresh:
    """The largest input within the budget at which there is time for enough steps, and how long it learns."""
    run, prepared = job.run, job.prepared
    closing, zoo, channels = prepared.task.head(prepared.dataset), load(NETWORK), prepared.preprocessing.channels

    def at(size: int) -> Network:
        sized = suited(zoo, channels=channels, height=size, width=size, num_classes=closing.num_classes)
        return closing.close(sized)

    def left_s() -> float:
        return max(seconds_allowed(run.settings) - run.elapsed - kept_s(run, made=made), 0.0)

    networks = [at(size) for size in sizes_for(run.settings, prepared, zoo.input[1])]
    most = most_macs(prepared, networks[len(networks) // 2], prepared.recipe, seconds=left_s())
    found = largest_within(
        [each for each in networks if cost(each).macs <= most] or networks[:1], job.target, job.limit_ms
    )
    if found is None:
        return Fresh(network=None, seconds=0.0)
    measure_ending(run, prepared, job.target, found[0])
    return Fresh(network=found[0], seconds=left_s())
