"""What there is time to learn: how many steps fine-tuning wants, and how large a network leaves time for them."""

from ridgepoint.arch.network import Network
from ridgepoint.cost.count import cost
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.threads import pace
from ridgepoint.search.candidate import Candidate
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.recipe import Recipe


def steps_wanted(prepared: Prepared, recipe: Recipe) -> float:
    """Steps of a recipe that there should be time for: of few images no more than its epochs have."""
    images = len(prepared.dataset.train)
    batch = min(recipe.batch_size, images)
    least = POLICY.finetuning_steps if prepared.task is CLASSIFICATION else POLICY.located_images / batch
    return min(least, recipe.epochs * images / batch)


def hardly_learnt(prepared: Prepared, settings: FitSettings, winner: Candidate) -> list[str]:
    """A warning where a fit's time left a network of boxes or maps next to nothing to learn from."""
    if prepared.task is CLASSIFICATION or settings.evaluations is not None or winner.epochs is None:
        return []
    seen, least = round(winner.epochs * len(prepared.dataset.train)), POLICY.located_whole * POLICY.located_images
    if seen >= least:
        return []
    return [
        f"{winner.name} has hardly learnt: there was time for {seen:,} images, and should be for {least:,.0f} at "
        "least. Give more --time, and another --out"
    ]


def most_macs(prepared: Prepared, network: Network, recipe: Recipe, *, seconds: float) -> float:
    """MACs of the largest network that does so many steps in so many seconds; a step takes time by its MACs.

    Seen on 174 photographs of blood cells, 150 CPU seconds, MobileNetV2 from ImageNet: at 320 px 57 steps and an
    mAP50-95 of 0.199, at 224 px 125 and 0.352, at 160 px 270 and 0.434.

    Args:
        prepared: Data and task.
        network: Its steps are timed.
        recipe: How it learns.
        seconds: There are.
    """
    return cost(network).macs * seconds / (steps_wanted(prepared, recipe) * pace(prepared, network, recipe))
