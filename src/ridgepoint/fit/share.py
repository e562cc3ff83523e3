"""How the time of a fit that reaches weights is divided: how long each network learns, and at which input size."""

from typing import Annotated

import msgspec

from ridgepoint.fit.bound import ENDING, Ending, decoding_s, seconds_allowed
from ridgepoint.fit.folds import FOLDS
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.learning import steps_wanted
from ridgepoint.fit.opening import Opening
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.prepare import Prepared
from ridgepoint.fit.ranking import sizes_for
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.steps import Count
from ridgepoint.fit.threads import pace, set_training_threads
from ridgepoint.run.folder import RunFolder, Seconds
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.loop import Bound
from ridgepoint.train.recipe import Recipe

FIRST_FILE = "first-file"  # a step: how long export, check and clock took
EACH = 0.4  # of the seconds that the end takes with one network, for each further one


class Ended(msgspec.Struct, kw_only=True):
    """Seconds that export, check and clock of the first file took, `further_s` if with all test images; met?

    `share` is how much of the budget it took.
    """

    seconds: Seconds
    further_s: Seconds = 0.0
    met: bool = True
    share: Annotated[float, msgspec.Meta(gt=0.0)] = 1.0

    @property
    def over(self) -> bool:
        """Whether it is over the budget: a file within it meets nothing where int8 is asked for and was refused."""
        return not self.met and self.share > 1


class Share(msgspec.Struct, kw_only=True):
    """How long weights are fine-tuned; whether others are after them, and a search.

    Seconds, or else epochs, which are the recipe's if neither is given. `size` is that of the images, in pixels of a
    side, where it is not the one that the network opened with. `fresh` says that another learns from nothing after it.
    """

    seconds: Seconds | None = None
    epochs: Count | None = None
    size: Count | None = None
    finetuned: bool = True
    more: bool = False
    searched: bool = True
    fresh: bool = False

    def bound(self, recipe: Recipe) -> Bound:
        """When fine-tuning ends. Where nothing is left of the time, after a moment: never by the recipe's epochs."""
        if self.seconds is None:
            return Bound(epochs=self.epochs or recipe.epochs)
        return Bound(seconds=max(self.seconds, POLICY.shortest_s))


def kept_s(run: RunFolder[FitSettings], *, made: int) -> float:
    """Seconds that the end takes with so many networks beside the first.

    By what the first file took; of boxes and maps, which have none before weights are fine-tuned, by a trial.
    """
    ended, tried = run.read_step(FIRST_FILE, Ended), run.read_step(ENDING, Ending)
    if ended is not None:
        return (ended.seconds + ended.further_s) * (1 + EACH * made)
    return 0.0 if tried is None else tried.seconds(1 + made)


def search_follows(settings: FitSettings, left_s: float) -> bool:
    """Whether a search from nothing gets enough of what is left after what learns first."""
    asked = settings.space is not None or settings.method != "auto"
    least_s = POLICY.search_asked_s if asked else POLICY.search_least_s
    return (1 - POLICY.finetuning_share) * left_s >= least_s


def share_of_time(job: FitJob, opening: Opening, number: int, count: int, *, made: int) -> Share:
    """How the time from here on is divided; decided once per network and run.

    As many networks are fine-tuned as get the recipe's epochs each; a single one gets all there is. A search from
    nothing follows where it gets an hour or so, or where the user asked for one by space or method.

    Args:
        job: The fit.
        opening: The network that is next.
        number: Of it, from 0.
        count: How many there are.
        made: Networks that are trained already.
    """
    run, prepared, settings = job.run, job.prepared, job.run.settings
    step = "finetuning" if number == 0 else f"finetuning-{number + 1}"
    known = run.read_step(step, Share)
    if known is not None:
        set_training_threads(run, prepared)
        return known
    if settings.evaluations is not None:
        set_training_threads(run, prepared)
        share = Share()
    else:
        images, judges, recipe = len(prepared.dataset.train), len(prepared.dataset.val), prepared.finetune
        step_s = pace(prepared, opening.network, recipe)
        epoch_s = step_s * images / min(recipe.batch_size, images)
        judged_s = step_s * judges / recipe.batch_size / 2  # at the very end, forward alone
        if opening.network.input[1:] not in prepared.sizes:
            judged_s += decoding_s(prepared, images + judges)
        left_s = max(seconds_allowed(settings) - run.elapsed - kept_s(run, made=made) - judged_s, 0.0)
        searched = search_follows(settings, left_s)
        usable_s = (POLICY.finetuning_share if searched else 1.0) * left_s
        times = min(max(int(usable_s / (recipe.epochs * epoch_s)), 1), count - number)
        seconds = usable_s / times
        if (size := smaller_to_learn(prepared, settings, opening, steps=seconds / step_s)) is not None:
            seconds = max(seconds - decoding_s(prepared, images + judges), 0.0)
            step_s, epoch_s = (each * (size / opening.network.input[1]) ** 2 for each in (step_s, epoch_s))
        classes = prepared.task is CLASSIFICATION
        fresh = not classes and not searched and seconds / 2 >= POLICY.finetuned_next_s
        seconds /= 2 if fresh else 1
        share = Share(seconds=seconds, size=size, more=times > 1, searched=searched, fresh=fresh)
        fewest = POLICY.finetuning_fewest * steps_wanted(prepared, prepared.finetune) if classes else 0.0
        share.finetuned = seconds >= max(POLICY.finetuning_least_s, fewest * step_s)
        if classes and judges < POLICY.few_images:  # it learns in parts, then in whole for as long: by epochs
            epochs = min(int(seconds / (FOLDS * epoch_s)), POLICY.few_epochs)
            share.seconds, share.epochs, share.finetuned = None, max(epochs, 1), epochs > 0
    run.write_step(step, msgspec.to_builtins(share))
    return share


def smaller_to_learn(prepared: Prepared, settings: FitSettings, opening: Opening, *, steps: float) -> int | None:
    """The largest input at which there is time to learn, in pixels of a side; None where that is the network's own.

    A step takes time by its pixels. Seen on 2,608 photographs, one slow core, four minutes: MobileNetV2 at 160 px has
    learnt for 69 steps and tells 84.3 %, less than its frozen features; at 128 px for 130 and 86.5; at 112 px for 188
    and 89.3; at 96 px for 289 and 88.3; at 64 px for 654 and 85.7. After that it tells less of larger images.

    Args:
        prepared: Data and recipe.
        settings: Where the user named a size, it stays.
        opening: The network at the size that the budget allows.
        steps: For so many there is time at that size.
    """
    least, own = steps_wanted(prepared, prepared.finetune), opening.network.input[1]
    if steps >= least or prepared.task is not CLASSIFICATION:
        return None
    sizes = [size for size in sizes_for(settings, prepared, own) if size < own and opening.knows(size)]
    return max((size for size in sizes if (own / size) ** 2 * steps >= least), default=min(sizes, default=None))
