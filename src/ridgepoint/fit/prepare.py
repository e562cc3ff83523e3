"""The first steps of a fit: what the data are, what to search, how to train."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ridgepoint.arch.closing import Closing
from ridgepoint.arch.network import Network
from ridgepoint.arch.scale import suited
from ridgepoint.arch.space import Choice, Space, kind_of, load_space
from ridgepoint.arch.zoo import load
from ridgepoint.cost.confidence import KNOWN, above
from ridgepoint.data import Preprocessing
from ridgepoint.data.resolution import LARGEST, SMALLEST
from ridgepoint.deploy.places.address import expect_answers, is_address, read_address
from ridgepoint.deploy.quantize import find_quantizer
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.display import Display
from ridgepoint.errors import InputError, nearest
from ridgepoint.fit.policy import POLICY
from ridgepoint.fit.settings import FitSettings
from ridgepoint.fit.target import predictable
from ridgepoint.fit.wanted import PRECISIONS, wanted
from ridgepoint.nn.hub import read_weights
from ridgepoint.run.folder import RunFolder
from ridgepoint.run.origin import Origin, digest, digest_file
from ridgepoint.search.draw import at_share
from ridgepoint.search.methods import find_method, make_method_settings, methods_for
from ridgepoint.search.methods.entry import Entry
from ridgepoint.search.shared_weights import check_shared
from ridgepoint.tasks.reading import read
from ridgepoint.train.accelerator import find_accelerator, told
from ridgepoint.train.folder import weight_file
from ridgepoint.train.recipe import SMALL_IMAGE, load_recipe
from ridgepoint.train.start import StartWeights, named_weights, start_from, start_of
from ridgepoint.units import format_duration
from ridgepoint.workers.setup import TrainingSetup

GIVEN = "given in Python, and a resume needs the same"


class Chosen(NamedTuple):
    """A search method by name, why it is that one, and what is known of it."""

    name: str
    reason: str
    entry: Entry


@dataclass(kw_only=True)
class Prepared(TrainingSetup):
    """Data, what is searched and how, and recipes of one fit.

    Exactly one of `space` and `network` is given, as the method takes it; `start` are the network's weights.
    """

    input_reason: str
    method: Chosen
    space: Space | None
    network: Network | None
    start: StartWeights | None = None

    @property
    def subject(self) -> Space | Network:
        """What is searched: a space, or the network to start from."""
        return self.space or self.network  # type: ignore[return-value]

    def origin(self, settings: FitSettings) -> Origin:
        """What a run begins on."""
        known = {
            "data": self.dataset.fingerprint,
            "space": digest(self.subject),
            "recipe": digest((self.recipe, self.finetune)),
        }
        asked = wanted(settings)
        if asked[0].predicted:
            known["device"] = digest(predictable(asked[0], settings))
        if further := [digest(predictable(each, settings)) for each in asked[1:] if each.predicted]:
            known["also"] = digest(further)
        given = named_weights(settings.weights)
        return known | ({"weights": digest_file(weight_file(given))} if given else {})

    def middling(self) -> Network:
        """A network of average size among those that the search will train."""
        return self._of_size(0.5)

    def of_several_sizes(self) -> dict[str, Network]:
        """A small, an average and a large network among those that may be searched, or the one to start from."""
        if self.space is None:
            return {"start": self.middling()}
        return {name: self._of_size(share) for name, share in (("small", 0.25), ("average", 0.5), ("large", 0.75))}

    def _of_size(self, share: float) -> Network:
        if self.space is None:
            assert self.network is not None
            return self.network
        return self.space.decode(at_share(self.space, share))


def check_settings(settings: FitSettings, given: Entry | None = None) -> None:
    """Refuse what cannot be asked, before anything is read or written; `given` is a method that is an object.

    Raises:
        InputError: Naming the option, what was given and what is allowed.
    """
    if settings.precision not in PRECISIONS:
        raise InputError(f"--precision is '{settings.precision}'; {nearest(settings.precision, PRECISIONS)}")
    check_wanted(settings)
    method, _, entry = choose_method(settings, given)
    if settings.time_s is not None and settings.evaluations is not None:
        raise InputError("--time and --evaluations are both given. Give one: the clock or the count bounds the run")
    if settings.size is not None and not SMALLEST <= settings.size <= LARGEST:
        raise InputError(f"--size is {settings.size}. Allowed: {SMALLEST} to {LARGEST} pixels, for example 96")
    if entry.takes == "network":
        load(settings.space or "")
    elif settings.space is not None:
        entry.check(load_space(settings.space))
    named = named_weights(settings.weights)
    if named is not None:
        read_weights(start_from(named).path)
    elif named is None and entry.trained:
        raise InputError(f"--method {settings.method} starts from a trained network: give its weights with --weights")
    if settings.study is not None:
        if entry.trained:
            raise InputError(
                f"--study: the candidates of --method {method} inherit weights that lie in the run folder, where other "
                "machines have none. Leave it out, or give --workers on this machine"
            )
    elif settings.workers == 0:
        raise InputError("--workers is 0, so nobody would train. Give 1 or more, or --study for workers elsewhere")
    find_accelerator(settings.accelerator)
    recipe = load_recipe(settings.recipe or "photographs", settings.recipe_changes)
    if entry.shared:
        check_shared(recipe)
    make_method_settings(method, settings.method_changes, entry)


def check_wanted(settings: FitSettings) -> None:
    """Refuse devices, runtimes and precisions that no network can be fitted to.

    Raises:
        InputError: Naming the option, what was given and what is allowed.
    """
    asked = wanted(settings)
    for each in asked:
        find_runtime(each.runtime).expect_running()
        if is_address(each.device):
            expect_answers(read_address(each.device))
        if each.predicted:
            above(predictable(each, settings).interval or (1.0, 1.0), settings.confidence)
        if each.precision != PRECISIONS[0]:
            find_quantizer(each.runtime)
    if settings.confidence != KNOWN and not any(each.predicted for each in asked):
        raise InputError(
            f"--confidence is of predictions, but --device is {settings.device}, which is measured. Leave it out"
        )


def prepare(run: RunFolder[FitSettings], display: Display, given: Entry | None = None) -> Prepared:
    """Detect the data, choose input, space and recipe, and say all of it; `given` is a method that is an object.

    Raises:
        DataError: If the data are missing, broken or too few.
    """
    settings = run.settings
    root = Path(settings.data_root) if settings.data_root else None
    task, dataset = read(settings.data, seed=settings.seed, root=root)
    for line in task.summary(dataset).splitlines():
        display.say(line)
    preprocessing, reason = task.input(dataset, settings.size)
    display.say(reason)
    space, network, closing = None, None, task.head(dataset)
    method = choose_method(settings, given)
    if method.entry.shared and closing.head is not None and closing.head.taps:
        why = f"networks for {task.name} take maps from within, which weights that a whole space shares do not give"
        if settings.method != "auto":
            raise InputError(f"--method {settings.method}: {why}. Give one that trains one by one: evolution")
        method = Chosen("evolution", why, find_method("evolution"))
    if method.entry.takes == "network":
        network = seed_network(closing, preprocessing, settings.space or "")
        display.say(f"Search starts from {network.name} at {preprocessing.height} px.")
    else:
        space, space_reason = choose_space(closing, preprocessing, settings.space, usual=method.entry.space)
        display.say(f"{space_reason} {space.size:.2g} networks.")
    display.say(f"Search method {method.name}: {method.reason}.")
    accelerator = find_accelerator(settings.accelerator)
    display.say(f"Training on: {told(accelerator)}.")
    start = None
    if network is not None:
        start = start_of(run, named_weights(settings.weights), network.name, display.say)
        preprocessing = preprocessing if start is None else start.prepared(preprocessing)
    size = max(preprocessing.height, preprocessing.width)
    recipe = load_recipe(settings.recipe or task.recipe(size, trained=False), settings.recipe_changes)
    return Prepared(
        task=task,
        dataset=dataset,
        preprocessing=preprocessing,
        input_reason=reason,
        method=method,
        space=space,
        network=network,
        recipe=recipe,
        finetune=load_recipe(settings.recipe or task.recipe(size, trained=True), settings.recipe_changes),
        augmentation=task.augmentation(dataset, preprocessing),
        accelerator=accelerator,
        start=start,
    )


def choose_method(settings: FitSettings, given: Entry | None = None) -> Chosen:
    """The search method, and why it is that one; `given` is one that is an object.

    Raises:
        InputError: If there is no such method, or it searches something else than what was given.
    """
    kind = "space" if settings.space is None else kind_of(settings.space)
    if settings.method == "auto":
        name, why = _usual_method(settings, kind)
        return Chosen(name, why, find_method(name))
    entry = given or find_method(settings.method)
    takes = entry.takes
    if kind in (takes, None):
        return Chosen(settings.method, "as asked" if given is None else GIVEN, entry)
    others = ", ".join(methods_for(kind))
    what = "no network" if settings.space is None else f"'{settings.space}', a {kind},"
    raise InputError(
        f"--method {settings.method} searches a {takes}, but {what} was given. Give a {takes}, or a method for a "
        f"{kind}: {others}"
    )


def _usual_method(settings: FitSettings, kind: str | None) -> tuple[str, str]:
    """Evolution where time is short; else what teaches a whole space at once, and suits it."""
    if kind == "network" and named_weights(settings.weights) is None:
        return "scaling", "a network without weights was given"
    if kind == "network":
        return "netadapt", "a trained network was given"
    least = f"{format_duration(POLICY.long_s)} or {POLICY.long_evaluations} evaluations"
    if (settings.time_s or 0.0) < POLICY.long_s and (settings.evaluations or 0) < POLICY.long_evaluations:
        return "evolution", f"no trained network was given, and to teach a whole space at once takes {least} or more"
    why = f"no trained network was given, and there are {least} or more to teach a whole space at once"
    try:
        find_method("slimming").check(load_space(settings.space or find_method("tunas").space))
    except InputError:
        return "tunas", why
    return "slimming", f"{why}; its choices are MetaFormer blocks and widths, which slimming was made for"


def seed_network(closing: Closing, preprocessing: Preprocessing, name: str) -> Network:
    """The network that a search starts from, at the data's size and channels, with the task's end."""
    return closing.close(
        suited(
            load(name),
            channels=preprocessing.channels,
            height=preprocessing.height,
            width=preprocessing.width,
            num_classes=closing.num_classes,
        )
    )


def choose_space(closing: Closing, preprocessing: Preprocessing, name: str | None, *, usual: str) -> tuple[Space, str]:
    """The space for an input size, closed for the data's channels and the task's end, and one sentence on why.

    Photographs may also be shown to the network smaller than they are: three resolutions are left open.

    Args:
        closing: The end of every network.
        preprocessing: Has the channels and the size.
        name: As the user named it, if at all.
        usual: Else this one, or its form for small images.
    """
    size = preprocessing.height
    small = size <= SMALL_IMAGE
    name = name or (f"{usual}_32px" if small else usual)
    sizes = [size] if small else sorted({max(64, round(size * share / 32) * 32) for share in (0.6, 0.8)} | {size})
    side = Choice("resolution", tuple(sizes)) if len(sizes) > 1 else size
    space = closing.close_space(load_space(name), input=[preprocessing.channels, side, side])
    reason = (
        f"Search space {name}: images of {size} px keep their resolution in the stem; total stride 8."
        if small
        else f"Search space {name}: stem with stride 2, total stride 32; resolutions {', '.join(map(str, sizes))} px."
    )
    return space, reason
