"""What there is time to learn: how many steps fine-tuning wants, and how large a network leaves time for them."""

import math

from ridgepoint.arch.network import Network
from ridgepoint.cost.count import cost
from ridgepoint.fit.bound import seconds_allowed
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.threads import pace
from ridgepoint.run.folder import RunFolder
from ridgepoint.tasks.classification import CLASSIFICATION


def steps_wanted(prepared: Prepared) -> float:
    """Steps of fine-tuning that there should be time for: of few images no more than the recipe's epochs have."""
    images, recipe = len(prepared.dataset.train), prepared.finetune
    batch = min(recipe.batch_size, images)
    least = POLICY.finetuning_steps if prepared.task is CLASSIFICATION else POLICY.finetuning_located / batch
    return min(least, recipe.epochs * images / batch)


def most_macs(run: RunFolder[FitSettings], prepared: Prepared, network: Network) -> float:
    """MACs of the largest network that leaves time for as many steps as boxes or maps want; a step takes time by them.

    Of classes frozen features tell something without any step, and the size is chosen once they have: no bound. Seen
    on 174 photographs of blood cells, 150 CPU seconds, MobileNetV2 from ImageNet: at 320 px 57 steps and an mAP50-95
    of 0.199, at 224 px 125 and 0.352, at 160 px 270 and 0.434.

    Args:
        run: Has the clock.
        prepared: Data and recipe.
        network: Its steps are timed.
    """
    if prepared.task is CLASSIFICATION or run.settings.evaluations is not None or run.settings.size is not None:
        return math.inf
    left_s = POLICY.finetuning_share * max(seconds_allowed(run.settings) - run.elapsed, 0.0)
    return cost(network).macs * left_s / (steps_wanted(prepared) * pace(prepared, network, prepared.finetune))
