"""A network of the zoo that learns boxes or maps from nothing, beside what starts from weights.

Nothing tells beforehand which learns more in minutes: weights know photographs, and a network that is quick to train
does several times the steps. Seen on 174 photographs of blood cells, 150 CPU seconds, mAP50-95: MobileNetV2 from
ImageNet at 160 px 0.436 after 487 steps, MobileNetV4-Conv-S from nothing at 224 px 0.498 after 548.
"""

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.errors import DivergedError
from ridgepoint.fit.bound import seconds_allowed
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.learning import most_macs
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.ranking import largest_within, sizes_for
from ridgepoint.fit.share import kept_s
from ridgepoint.fit.steps import TrainedOne, as_trained
from ridgepoint.fit.teach import teach
from ridgepoint.fit.threads import pace
from ridgepoint.run.folder import Seconds
from ridgepoint.search.candidate import Candidate
from ridgepoint.train.loop import Bound

STEP, NETWORK = "fresh", "mobilenetv4_conv_small"


class Fresh(msgspec.Struct, kw_only=True):
    """The step of a run that says which network learns from nothing beside the weights, if any is within the budget."""

    network: Network | None
    seconds: Seconds


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
    return Fresh(network=found and found[0], seconds=left_s())
