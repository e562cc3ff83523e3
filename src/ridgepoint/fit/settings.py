"""What a user asks of `fit` or `search`, checked; it is written into the run folder and read back by a resume."""

import json
import math
import shlex
from typing import Annotated, Any, Literal

import msgspec

from ridgepoint.errors import InputError, nearest
from ridgepoint.validation import told_wrong

Count = Annotated[int, msgspec.Meta(ge=1)]
DEFAULT_TIME_S = 600.0
OF_METHOD = "search."


class FitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Exactly one of `time_s` and `evaluations` bounds the search and the training.

    `space` is a search space, or a network for methods that change one. `search` is `fit` with both named by the user.
    `workers` processes of this machine judge candidates side by side, beside those elsewhere that take them from the
    `study`, a database. `changes` are of the recipe, and of the method's settings where their keys begin with
    `search.`.
    """

    verb: Literal["fit", "search"] = "fit"
    data: str
    latency_ms: Annotated[float, msgspec.Meta(gt=0)]
    device: str = "host"
    runtime: str = "onnxruntime"
    threads: Count = 1
    time_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    evaluations: Count | None = None
    method: str = "auto"
    space: str | None = None
    recipe: str | None = None
    changes: dict[str, Any] = {}
    size: Count | None = None
    weights: str | None = None
    baselines: Annotated[int, msgspec.Meta(ge=0)] = 3
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    table: str | None = None
    data_root: str | None = None
    workers: Annotated[int, msgspec.Meta(ge=0)] = 1
    accelerator: str = "auto"
    study: str | None = None

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """The changes that are meant for the recipe."""
        return {key: value for key, value in self.changes.items() if not key.startswith(OF_METHOD)}

    @property
    def method_changes(self) -> dict[str, Any]:
        """The changes that are meant for the search method."""
        return {key.removeprefix(OF_METHOD): self.changes[key] for key in self.changes if key.startswith(OF_METHOD)}

    def command(self, *, out: str | None = None) -> str:
        """The command line that asks for the same."""
        searched = [quote(self.space or "")] if self.verb == "search" else []
        words = ["ridgepoint", self.verb, *searched, quote(self.data), "--latency", f"{_plain(self.latency_ms)}ms"]
        defaults = FitSettings(data="", latency_ms=1.0, baselines=0 if searched else 3)
        for option, value, usual in (
            ("--device", self.device, defaults.device),
            ("--runtime", self.runtime, defaults.runtime),
            ("--threads", self.threads, defaults.threads),
            ("--time", f"{_plain(self.time_s)}s" if self.time_s else None, None),
            ("--evaluations", self.evaluations, None),
            ("--method", self.method, defaults.method),
            ("--space", None if searched else self.space, None),
            ("--recipe", self.recipe, None),
            ("--size", self.size, None),
            ("--weights", self.weights, None),
            ("--baselines", self.baselines, defaults.baselines),
            ("--table", self.table, None),
            ("--data-root", self.data_root, None),
            ("--workers", self.workers, defaults.workers),
            ("--accelerator", self.accelerator, defaults.accelerator),
            ("--study", self.study, None),
            ("--out", out, None),
        ):
            if value != usual:
                words += [option, quote(str(value))]
        for key, value in self.changes.items():
            words += ["--set", quote(f"{key}={value if isinstance(value, str) else json.dumps(value)}")]
        return " ".join([*words, "--seed", str(self.seed)])


def make_settings(**values: Any) -> FitSettings:
    """Settings from plain values.

    Raises:
        InputError: If a name is unknown or a value is not allowed.
    """
    names = [field.name for field in msgspec.structs.fields(FitSettings)]
    for name in values:
        if name not in names:
            raise InputError(f"{values.get('verb', 'fit')} has no setting '{name}'; {nearest(name, names)}")
    try:
        settings = msgspec.convert(values, FitSettings)
    except msgspec.ValidationError as error:
        raise InputError(f"fit: {told_wrong(str(error), values, FitSettings)}") from None
    for name in ("latency_ms", "time_s"):
        if not math.isfinite(getattr(settings, name) or 0.0):
            raise InputError(f"fit: {name} is {getattr(settings, name)}. Allowed: a finite number above 0")
    return settings


def _plain(number: float) -> str:
    """Digits that read back as the same number."""
    return repr(float(number)).removesuffix(".0")


def quote(word: str) -> str:
    """A word as a shell takes it."""
    return shlex.quote(word)
