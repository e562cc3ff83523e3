"""What a training starts from, as `--weights` says it: nothing, published weights, a file, a hub id, a training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ridgepoint.arch.zoo import load
from ridgepoint.data import Preprocessing
from ridgepoint.errors import InputError, RunError, nearest, shown
from ridgepoint.files import exists
from ridgepoint.nn.hub import cached, fetch, is_hub_id, read_weights, repository_of
from ridgepoint.nn.published import (
    Normalisation,
    Published,
    find_published,
    known_by_file,
    published_weights,
    weights_of,
)
from ridgepoint.nn.reach import first_lying, reach
from ridgepoint.nn.weights import normalisation_of
from ridgepoint.run.folder import RunFolder
from ridgepoint.run.origin import digest_file
from ridgepoint.train.folder import ABOUT, ARCHITECTURE, read_about, training_of, weight_file

AUTO, HUB, NONE = "auto", "hub", "none"
BEGUN = ("checkpoint.pt", "study.db")
"""What lies in a run that has trained something."""
STEP = "start"
AUTO_PATIENCE_S = 60.0
"""How long the hub may take where nobody asked for weights by name."""


class StartWeights(msgspec.Struct, frozen=True, kw_only=True):
    """Weights as a file on this machine, and what they want of an input.

    Attributes:
        name: Of published weights; of others, as they were given.
        path: The file.
        sha256: Of the file.
        normalisation: None where nobody knows it: then it is ImageNet's for colour, as for most weights.
        network: The zoo's network of published weights; of a training the document of its network.
        licence: The terms of published weights.
        open_licence: Whether these terms are those of open source; True where they are not known.
    """

    name: str
    path: str
    sha256: str
    normalisation: Normalisation | None = None
    network: str | None = None
    licence: str | None = None
    open_licence: bool = True

    def told(self) -> str:
        """A sentence on what they are and how images are normalised for them."""
        licence = f" Their licence: {self.licence}." if self.licence else ""
        if self.normalisation is None:
            return (
                f"Starts from {self.name}. It does not say how images were normalised: ImageNet's mean and deviation "
                "are taken for colour. If that is wrong for these weights, accuracy is lost without a further word."
            )
        mean, std = (", ".join(f"{value:g}" for value in values) for values in _columns(self.normalisation))
        return f"Starts from {self.name}. Images are normalised as it wants: mean {mean}, deviation {std}.{licence}"

    def prepared(self, preprocessing: Preprocessing) -> Preprocessing:
        """A preprocessing that normalises as the weights want.

        Raises:
            DataError: If no image can be normalised like that.
        """
        if self.normalisation is None:
            return preprocessing
        wanted = self.normalisation.for_channels(preprocessing.channels)
        return msgspec.structs.replace(preprocessing, mean=wanted.mean, std=wanted.std)


def named_weights(given: str | None) -> str | None:
    """What the user named: nothing where it is `auto`, `hub` or `none`."""
    return None if given in (None, AUTO, HUB, NONE) else given


def start_from(given: str, *, network: str | None = None, patience_s: float | None = None) -> StartWeights:
    """Weights by what was typed, other than `auto`, `hub` and `none`.

    Args:
        given: A name or tag of published weights, a file, a hub id, or the folder of a training. Of a network that has
            several, those on this machine come first.
        network: The zoo's name of the network that is to start from them, where that is known.
        patience_s: How long the hub may take; as long as its own client waits if left open.

    Raises:
        InputError: If there is nothing of this kind, it cannot be had, or belongs to another network.
    """
    path = Path(given)
    if exists(path) and path.is_dir():
        return _of_training(path, given)
    if is_hub_id(given):
        repository = repository_of(given)
        known = find_published(repository.removeprefix("timm/"))
        if known is not None and known.repository == repository:
            return of_published(known, patience_s=patience_s)
        return _of_file(cached(repository) or fetch(repository, patience_s=patience_s), given)
    if (known := find_published(given, network=network)) is not None and not exists(path):
        if network is not None and known.network != network and _are_anothers(known, network):
            allowed = nearest(given, [row.tag for row in weights_of(network)])
            raise InputError(f"--weights {given}: these are weights of {known.network}, not of {network}; {allowed}")
        if given == known.network and (here := first_lying(weights_of(given))) is not None:
            known = here.published
        return of_published(known, patience_s=patience_s)
    if path.suffix not in (".safetensors", ".pth") and not exists(path) and "/" not in given:
        names = [row.name for row in published_weights() if network in (None, row.network)]
        raise InputError(f"--weights is {shown(given)}: no such file, folder or weights; {nearest(given, names)}")
    return _of_file(path, given)


def _are_anothers(known: Published, network: str) -> bool:
    """Whether weights cannot be a network's: of a classifier the name tells it, of a detector or segmenter, whose body
    other networks have too, the padding.
    """
    if network not in {row.network for row in published_weights()}:
        return False
    return known.task is None or known.padding != load(network).conventions.padding


def of_published(published: Published, *, patience_s: float | None = None) -> StartWeights:
    """Published weights, from wherever they can be had.

    Raises:
        InputError: If they cannot be had.
    """
    found = reach(published, patience_s=patience_s)
    return StartWeights(
        name=published.name,
        path=str(found.path),
        sha256=digest_file(str(found.path)),
        normalisation=published.normalisation,
        network=published.network,
        licence=published.licence.words,
        open_licence=published.licence.open,
    )


def start_of(
    run: RunFolder[Any], given: str | None, network: str | None, say: Callable[[str], None]
) -> StartWeights | None:
    """What a run starts from: looked for once; a resumed run starts from the same file.

    Args:
        run: The run; what it was begun with is in it.
        given: As typed.
        network: The zoo's name of what is trained.
        say: Is told.

    Raises:
        InputError: If what was asked for cannot be had.
        RunError: If the file of a run that goes on is not what it was.
    """
    if run.resumed and (known := run.read_step(STEP, Chosen)) is not None:
        if (start := known.weights) is not None and digest_file(start.path) != start.sha256:
            start = _found_again(run, given, network, start)
        return start
    if (named := named_weights(given)) is not None:
        start = start_from(named, network=network)
    elif given in (AUTO, HUB):
        start, why = _usual(network)
        if start is None:
            say(f"Starts from nothing: {why}")
            return None
    else:
        return None
    for note in read_weights(start.path).notes:
        say(f"{start.name}: {note}")
    if run.resumed and any((run.path / name).exists() for name in BEGUN):  # by a version that knew ImageNet's alone
        start = msgspec.structs.replace(start, normalisation=None)
    say(start.told())
    return start


class Chosen(msgspec.Struct, kw_only=True):
    """The step of a run that says what it starts from."""

    weights: StartWeights | None = None


def remember(run: RunFolder[Any], start: StartWeights | None) -> None:
    """Keep what a run starts from, once it is begun; a run by workers of which another one writes keeps nothing."""
    if run.begun and run.read_step(STEP, Chosen) is None:
        run.write_step(STEP, msgspec.to_builtins(Chosen(weights=start)))


def _usual(network: str | None) -> tuple[StartWeights | None, str]:
    """The first published weights of a network that can be had; else why there are none."""
    rows = weights_of(network or "")
    if not rows:
        return None, f"no published weights are known for {network or 'this network'}."
    why = ""
    for row in rows:
        try:
            return of_published(row, patience_s=AUTO_PATIENCE_S), ""
        except InputError as error:
            why = why or str(error)
    return None, why


def _found_again(run: RunFolder[Any], given: str | None, network: str | None, before: StartWeights) -> StartWeights:
    """The weights that a run was begun with, where they lie now; of those that were named, the run's origin tells.

    Raises:
        RunError: If published ones are gone or changed.
    """
    if (named := named_weights(given)) is not None:
        return start_from(named, network=network)
    again = f"Put {before.path} back, or start anew with another --out"
    try:
        start = start_from(before.name, network=network)
    except InputError as error:
        raise RunError(f"{run.path}: started from {before.path}, which is gone ({error}). {again}") from None
    if start.sha256 != before.sha256:
        raise RunError(f"{run.path}: started from {before.path}, and {start.path} is not what that was. {again}")
    return start


def _of_training(folder: Path, given: str) -> StartWeights:
    file = weight_file(given)
    training, wanted = training_of(folder), None
    if (training / ABOUT).is_file():
        preprocessing = read_about(training).preprocessing
        wanted = Normalisation(mean=preprocessing.mean, std=preprocessing.std)
    start = _of_file(Path(file), given, wanted)
    own = training / ARCHITECTURE
    return msgspec.structs.replace(start, network=str(own)) if own.is_file() else start


def _of_file(path: Path, given: str, wanted: Normalisation | None = None) -> StartWeights:
    """A file: what it says itself, then what published weights of its name want."""
    wanted = wanted or normalisation_of(read_weights(path))
    known = known_by_file(path)
    return StartWeights(
        name=given,
        path=str(path),
        sha256=digest_file(str(path)),
        normalisation=wanted or (known.normalisation if known else None),
        licence=known.licence.words if known else None,
        open_licence=known.licence.open if known else True,
    )


def _columns(normalisation: Normalisation) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation, one number where all channels have the same."""
    mean, std = normalisation.mean, normalisation.std
    return (mean[:1] if len(set(mean)) == 1 else mean), (std[:1] if len(set(std)) == 1 else std)
