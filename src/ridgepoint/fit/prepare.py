"""The first steps of a fit: what the data are, what to search, how to train."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Choice, Space, load_space
from ridgepoint.data import (
    Augmentation,
    Dataset,
    Preprocessing,
    choose_input,
    decode,
    default_augmentation,
    detect,
)
from ridgepoint.data.resolution import LARGEST, SMALLEST
from ridgepoint.display import Display
from ridgepoint.errors import InputError, RunError, nearest
from ridgepoint.fit.folder import RunFolder
from ridgepoint.fit.settings import FitSettings
from ridgepoint.nn.hub import read_weights
from ridgepoint.search.candidate import Candidate
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.recipe import Recipe, load_recipe

SMALL_IMAGE = 64
METHODS = ("auto", "evolution")
DEVICES = ("host",)


@dataclass(kw_only=True)
class Prepared:
    """Data, space and recipe of one fit; images are decoded once per resolution."""

    dataset: Dataset
    preprocessing: Preprocessing
    input_reason: str
    space: Space
    space_reason: str
    recipe: Recipe
    finetune: Recipe
    augmentation: Augmentation
    _decoded: dict[tuple[int, int], TrainingData] = field(default_factory=dict)

    def recipe_for(self, candidate: Candidate) -> Recipe:
        """The run's recipe; `finetune` for what starts from weights, unless the user named a recipe."""
        return self.recipe if candidate.weights is None else self.finetune

    def preprocessing_for(self, network: Network) -> Preprocessing:
        """The data's preprocessing at a network's input size."""
        _, height, width = network.input
        resize = round(self.preprocessing.resize * min(height, width) / self.preprocessing.height)
        return msgspec.structs.replace(self.preprocessing, height=height, width=width, resize=resize)

    def data_for(self, network: Network) -> TrainingData:
        """Decoded training and validation images at a network's input size."""
        size = network.input[1:]
        if size not in self._decoded:
            preprocessing = self.preprocessing_for(network)
            self._decoded[size] = TrainingData(
                train=decode(self.dataset.train, preprocessing, train=True),
                val=decode(self.dataset.val, preprocessing, train=False),
                preprocessing=preprocessing,
                augmentation=self.augmentation,
            )
        return self._decoded[size]


def check_settings(settings: FitSettings) -> None:
    """Refuse what cannot be asked, before anything is read or written.

    Raises:
        InputError: Naming the option, what was given and what is allowed.
    """
    from ridgepoint.deploy.runtimes import runtime_version

    runtime_version(settings.runtime)
    for option, value, allowed in (("method", settings.method, METHODS), ("device", settings.device, DEVICES)):
        if value not in allowed:
            raise InputError(f"--{option} is '{value}'; {nearest(value, allowed)}")
    if settings.time_s is not None and settings.evaluations is not None:
        raise InputError("--time and --evaluations are both given. Give one: the clock or the count bounds the run")
    if settings.size is not None and not SMALLEST <= settings.size <= LARGEST:
        raise InputError(f"--size is {settings.size}. Allowed: {SMALLEST} to {LARGEST} pixels, for example 96")
    if settings.space is not None:
        load_space(settings.space)
    if settings.weights is not None:
        read_weights(settings.weights)
    load_recipe(settings.recipe or "photographs", dict(settings.changes))


def read_data(settings: FitSettings) -> Dataset:
    """The images that the request names.

    Raises:
        DataError: If they are missing, broken or too few.
    """
    root = Path(settings.data_root) if settings.data_root else None
    return detect(settings.data, seed=settings.seed, data_root=root)


def prepare(run: RunFolder, display: Display, dataset: Dataset | None = None) -> Prepared:
    """Detect the data (unless that is done), choose input, space and recipe, and say all of it.

    Raises:
        DataError: If the data are missing, broken or too few.
        RunError: If a resumed run finds other data than it was begun with.
    """
    settings = run.settings
    dataset = dataset or read_data(settings)
    for line in dataset.summary().splitlines():
        display.say(line)
    _check_same_data(run, dataset)
    preprocessing, reason = choose_input(dataset, size=settings.size)
    display.say(reason)
    space, space_reason = choose_space(dataset, preprocessing, settings.space)
    display.say(f"{space_reason} {space.size:.2g} networks.")
    size = max(preprocessing.height, preprocessing.width)
    recipe = load_recipe(
        settings.recipe or ("small_images" if size <= SMALL_IMAGE else "photographs"), dict(settings.changes)
    )
    return Prepared(
        dataset=dataset,
        preprocessing=preprocessing,
        input_reason=reason,
        space=space,
        space_reason=space_reason,
        recipe=recipe,
        finetune=load_recipe(settings.recipe or "finetune", dict(settings.changes)),
        augmentation=default_augmentation(dataset, preprocessing),
    )


def choose_space(dataset: Dataset, preprocessing: Preprocessing, name: str | None) -> tuple[Space, str]:
    """The space for an input size, closed for the data's channels and classes, and one sentence on why.

    Photographs may also be shown to the network smaller than they are: three resolutions are left open.
    """
    size = preprocessing.height
    small = size <= SMALL_IMAGE
    name = name or ("mobilenetv4_conv_32px" if small else "mobilenetv4_conv")
    sizes = [size] if small else sorted({max(64, round(size * share / 32) * 32) for share in (0.6, 0.8)} | {size})
    side = Choice("resolution", tuple(sizes)) if len(sizes) > 1 else size
    space = load_space(name).closed(input=[preprocessing.channels, side, side], num_classes=len(dataset.classes))
    reason = (
        f"Search space {name}: images of {size} px keep their resolution in the stem; total stride 8."
        if small
        else f"Search space {name}: stem with stride 2, total stride 32; resolutions {', '.join(map(str, sizes))} px."
    )
    return space, reason


def _check_same_data(run: RunFolder, dataset: Dataset) -> None:
    known = run.read_step("data")
    if known is None:
        run.write_step("data", {"fingerprint": dataset.fingerprint})
    elif known["fingerprint"] != dataset.fingerprint:
        raise RunError(
            f"{run.path}: was begun with other data than {run.settings.data} holds now. Start anew with another --out"
        )
