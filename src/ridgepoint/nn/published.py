"""Which weights others published for the zoo's networks, and what these want: `published_weights.yaml`, checked.

Nothing here asks a disk or a network whether they can be had: `ridgepoint.nn.reach` does.
"""

import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec

from ridgepoint.arch.zoo import list_models, load
from ridgepoint.documents import read_document
from ridgepoint.errors import InputError, nearest

TABLE = Path(__file__).parent / "published_weights.yaml"
LABELS = Path(__file__).parent / "labels"
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Colours = tuple[float, float, float]


class Normalisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What weights want of an input: (x/255 - mean) / std, one value a channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def for_channels(self, channels: int) -> "Normalisation":
        """For images of one channel the mean over the colours: weights for RGB are summed for these."""
        if channels == len(self.mean):
            return self
        mean, std = (round(sum(values) / len(values), 6) for values in (self.mean, self.std))
        return Normalisation(mean=(mean,) * channels, std=(std,) * channels)


class Licence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terms of weights; `open` where whatever came of them may be shipped with a notice."""

    words: str
    open: bool


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One file of weights.

    Attributes:
        network: The zoo's name of the network.
        tag: What tells it from others of the same network.
        size: Input height and width in pixels that they were trained or are best at.
        normalisation: What an input must be.
        licence: The terms.
        file: What the file is called in a folder, without its suffix.
        repository: At the hub; None where it has none.
        origin: Where else it comes from.
        classes: Of its classifier; 0 if it has none.
        sha256: Of the file, where that is known beforehand.
        task: What its answers are, where they are of use as they are.
        labels: Then one name a class.
    """

    network: str
    tag: str
    size: int
    normalisation: Normalisation
    licence: Licence
    file: str
    repository: str | None
    origin: str | None
    classes: int
    sha256: Sha256 | None
    task: str | None = None
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Network and tag, as `--weights` takes it."""
        return f"{self.network}.{self.tag}"

    @property
    def padding(self) -> str:
        """How the network pads."""
        return load(self.network).conventions.padding


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"origin": "from"}):
    tag: str
    size: Annotated[int, msgspec.Meta(ge=1)]
    input: str = "imagenet"
    licence: str = "apache-2.0"
    file: str | None = None
    origin: str | None = None
    classes: Annotated[int, msgspec.Meta(ge=0)] = 1000
    sha256: Sha256 | None = None
    task: str | None = None
    labels: Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]+$")] | None = None


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    normalisations: dict[str, Normalisation]
    licences: dict[str, Licence]
    weights: dict[str, list[_Row]]


@lru_cache(maxsize=1)
def published_weights() -> tuple[Published, ...]:
    """All that is known for networks of the zoo, by network; a network's first is what `pretrained=True` takes."""
    table = msgspec.convert(read_document(TABLE), _Table)
    known = set(list_models())
    return tuple(
        Published(
            network=network,
            tag=row.tag,
            size=row.size,
            normalisation=table.normalisations[row.input],
            licence=table.licences[row.licence],
            file=row.file or f"{network}.{row.tag}",
            repository=None if row.origin else f"timm/{network}.{row.tag}",
            origin=row.origin,
            classes=row.classes,
            sha256=row.sha256,
            task=row.task,
            labels=_labels(row.labels) if row.labels else (),
        )
        for network, rows in table.weights.items()
        if network in known
        for row in rows
    )


def _labels(name: str) -> tuple[str, ...]:
    """One name a line."""
    return tuple((LABELS / f"{name}.txt").read_text(encoding="utf-8").splitlines())


def weights_of(network: str) -> tuple[Published, ...]:
    """Those of one network, the usual ones first."""
    return tuple(row for row in published_weights() if row.network == network)


def list_weights(pattern: str = "*") -> list[Published]:
    """Those whose name matches a glob such as ``mobilenetv4*``."""
    return [row for row in published_weights() if fnmatch.fnmatch(row.name, pattern)]


def licences(network: str) -> tuple[Licence, ...]:
    """The terms of a network's published weights, each once; none where there are no weights."""
    return tuple(dict.fromkeys(row.licence for row in weights_of(network)))


def find_published(text: str, *, network: str | None = None) -> Published | None:
    """Published weights by name (`mobilenetv2_100.ra_in1k`) or file, by network, or by tag where the network is given.

    None where nothing is known by that text.
    """
    for row in published_weights():
        if text in (row.name, row.file) or (network == row.network and text == row.tag):
            return row
    return next(iter(weights_of(text)), None)


def known_by_file(path: Path) -> Published | None:
    """The published weights that a file is by its name, or by that of its folder where it is called as on the hub."""
    stem = path.parent.name if path.stem in ("model", "pytorch_model") else path.stem
    return next((row for row in published_weights() if stem in (row.file, row.name)), None)


def usual_weights(network: str) -> Published:
    """What `pretrained=True` takes.

    Raises:
        InputError: If none are published for a network.
    """
    rows = weights_of(network)
    if not rows:
        names = {row.network for row in published_weights()}
        raise InputError(
            f"no published weights are known for '{network}': give a file or a hub id as pretrained=, or take another "
            f"network; {nearest(network, names)}"
        )
    return rows[0]
