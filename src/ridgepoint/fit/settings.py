"""What a user asks of `fit` or `search`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ridgepoint.cost.confidence import KNOWN
from ridgepoint.deploy.runtimes import DEFAULT
from ridgepoint.run.settings import BUSY, Above0, AtLeast0, AtLeast1, Request, request, typed
from ridgepoint.tasks.asked import parted

DEFAULT_TIME_S = 600.0
OF_METHOD = "search."
MOST_FURTHER = 8
OF_SEARCH: dict[str, Any] = {"baselines": 0, "weights": None}
"""What is usual of a `search` and not of a `fit`."""


class FitSettings(Request, frozen=True, kw_only=True):
    """One request. Exactly one of `time_s` and `evaluations` bounds the search and the training.

    `search` is `fit` with space and method named by the user. A new option of both is a field here.
    """

    verb: Literal["fit", "search"] = "fit"
    data: Annotated[
        str,
        typed(
            place=True,
            help="A folder of class folders, or of images with boxes or masks; 'digits', or a torchvision data set "
            "such as CIFAR10.",
        ),
    ]
    latency_ms: Annotated[Above0, typed("--latency", unit="ms", help="The budget for one image, for example 5ms.")]
    device: Annotated[
        str,
        typed(
            help="What it must run on: 'host', this machine, ssh://USER@HOST or adb://SERIAL/PYTHON, all measured; a "
            "device of `ridgepoint devices` or a device file, predicted."
        ),
    ] = "host"
    also: Annotated[
        tuple[str, ...],
        msgspec.Meta(max_length=MOST_FURTHER),
        typed(
            help="A further device that it must run on, with a budget of its own: DEVICE[/RUNTIME[/PRECISION]]=BUDGET, "
            "for example pixel6-cpu=10ms. Every budget must hold. May be given several times."
        ),
    ] = ()
    confidence: Annotated[
        Above0,
        typed(help="Of a predicted device: the budget holds for the upper end of the interval of such a share."),
    ] = KNOWN
    runtime: Annotated[str, typed(help="The runtime that loads the exported file.")] = DEFAULT
    threads: Annotated[AtLeast1, typed(help="Threads inside one inference.")] = 1
    precision: Annotated[
        str,
        typed(help="What ships: float32; int8, where it is as good, faster and smaller; auto, whichever is better."),
    ] = "float32"
    time_s: Annotated[
        Above0 | None, typed("--time", unit="s", help="Wall-clock bound of the whole command.  [default: 10m]")
    ] = None
    evaluations: Annotated[
        AtLeast1 | None, typed(help="Bound the search by trained candidates instead: this reproduces.")
    ] = None
    method: Annotated[str, typed(help="How to search: auto, or a method of `search`.")] = "auto"
    space: Annotated[
        str | None, typed(place=True, help="A search space, or a network to start from.  [default: by size]")
    ] = None
    recipe: Annotated[str | None, typed(place=True, help="How to train, by name or YAML file.  [default: by size]")] = (
        None
    )
    changes: Annotated[
        dict[str, Any], typed("--set", help="Change a field of the recipe; of the method with search.KEY.")
    ] = msgspec.field(default_factory=dict)
    size: Annotated[AtLeast1 | None, typed(held=False, help="Input size in pixels.  [default: from the images]")] = None
    weights: Annotated[
        str | None,
        typed(
            place=True,
            help="What networks may start from: auto (the best published ones on this machine), hub (also "
            "downloads some), none, a name of `ridgepoint weights`, a .safetensors or .pth file, a hub id, a run's "
            "folder.",
        ),
    ] = "auto"
    baselines: Annotated[AtLeast0, typed(help="How many zoo networks the winner has to beat.")] = 3
    seed: Annotated[AtLeast0, typed(help="Of splits, weights, proposals and augmentation.")] = 0
    table: Annotated[
        str | None, typed(path=True, help="The machine's latency table.  [default: in the user's cache folder]")
    ] = None
    data_root: Annotated[str | None, typed(place=True, path=True, help="Where torchvision data sets lie or go.")] = None
    workers: Annotated[AtLeast0, typed(help="Processes of this machine that train candidates side by side.")] = 1
    accelerator: Annotated[
        str, typed(help="Where training computes: cpu, cuda, or auto, a GPU where there is one.")
    ] = "auto"
    study: Annotated[
        str | None, typed(help="postgresql://host/database: for 'ridgepoint worker' on other machines.")
    ] = None
    busy: Annotated[bool, typed(help=BUSY)] = False

    def __post_init__(self) -> None:
        """No settings hold a password, so nothing that shows or keeps them does."""
        if self.study is not None:
            from ridgepoint.search.address import check_study

            check_study(self.study)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The space comes first where it must be named."""
        return ("space", "data") if self.verb == "search" else ("data",)

    @property
    def stem(self) -> str:
        """The data's name; of a search, those of all that it is about."""
        _, data = parted(self.data)
        data = Path(data).resolve().name if "/" in data or "." in data else data
        method = self.method.rpartition(":")[2]
        return f"{Path(self.space or '').stem}-{method}-{data}" if self.verb == "search" else data

    def usual(self) -> dict[str, Any]:
        """A search compares with no zoo networks and takes no published weights, unless it is asked to."""
        return super().usual() | (OF_SEARCH if self.verb == "search" else {})

    def command(self, *, out: str | None = None, resume: bool = False) -> str:
        """The command line that asks for the same; the call in Python where the method is an object."""
        module, given, method = self.method.rpartition(":")
        if not given:
            return super().command(out=out, resume=resume)
        usual, first = self.usual(), {name: repr(getattr(self, name)) for name in self.arguments}
        named = {name: getattr(self, name) for name in self.__struct_fields__ if name not in (*first, "verb", "method")}
        named = {name: value for name, value in named.items() if name == "seed" or value != usual.get(name)}
        named |= ({"out": out} if out else {}) | ({"resume": True} if resume else {})
        words = [*first.values(), f"method={method}", *(f"{name}={value!r}" for name, value in named.items())]
        return f"rp.{self.verb}({', '.join(words)})  # {method} of {module}"

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """The changes that are meant for the recipe."""
        return {key: value for key, value in self.changes.items() if not key.startswith(OF_METHOD)}

    @property
    def method_changes(self) -> dict[str, Any]:
        """The changes that are meant for the search method."""
        return {key.removeprefix(OF_METHOD): self.changes[key] for key in self.changes if key.startswith(OF_METHOD)}


def make_settings(**values: Any) -> FitSettings:
    """Settings from plain values.

    Raises:
        InputError: If a name is unknown or a value is not allowed.
    """
    return request(FitSettings, str(values.get("verb", "fit")), values)
