"""What a user asks of `fit` or `search`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ridgepoint.deploy.runtimes import DEFAULT
from ridgepoint.run.settings import Request, request, typed

Count = Annotated[int, msgspec.Meta(ge=1)]
Above0 = Annotated[float, msgspec.Meta(gt=0)]
DEFAULT_TIME_S = 600.0
OF_METHOD = "search."


class FitSettings(Request, frozen=True, kw_only=True):
    """One request. Exactly one of `time_s` and `evaluations` bounds the search and the training.

    `space` is a search space, or a network for methods that change one. `search` is `fit` with both named by the user.
    `workers` processes of this machine judge candidates side by side, beside those elsewhere that take them from the
    `study`, a database. `changes` are of the recipe, and of the method's settings where their keys begin with
    `search.`. `busy` accepts times taken while the machine is busy.
    """

    verb: Literal["fit", "search"] = "fit"
    data: Annotated[str, typed(place=True)]
    latency_ms: Annotated[Above0, typed("--latency", unit="ms")]
    device: str = "host"
    runtime: str = DEFAULT
    threads: Count = 1
    time_s: Annotated[Above0 | None, typed("--time", unit="s")] = None
    evaluations: Count | None = None
    method: str = "auto"
    space: Annotated[str | None, typed(place=True)] = None
    recipe: Annotated[str | None, typed(place=True)] = None
    changes: Annotated[dict[str, Any], typed("--set")] = msgspec.field(default_factory=dict)
    size: Count | None = None
    weights: Annotated[str | None, typed(place=True)] = None
    baselines: Annotated[int, msgspec.Meta(ge=0)] = 3
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    table: str | None = None
    data_root: Annotated[str | None, typed(place=True)] = None
    workers: Annotated[int, msgspec.Meta(ge=0)] = 1
    accelerator: str = "auto"
    study: str | None = None
    busy: bool = False

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
        data = Path(self.data).resolve().name if "/" in self.data or "." in self.data else self.data
        method = self.method.rpartition(":")[2]
        return f"{Path(self.space or '').stem}-{method}-{data}" if self.verb == "search" else data

    def usual(self) -> dict[str, Any]:
        """A search compares with no zoo networks, unless it is asked to."""
        return super().usual() | ({"baselines": 0} if self.verb == "search" else {})

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
