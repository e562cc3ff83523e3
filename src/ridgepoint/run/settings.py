"""What a user asks of a verb that makes a run: checked, written into the folder, and told again as a command line.

A field's annotation says what it means and how it is typed: `typed("--time", unit="s", help="Train so long.")`. From
that come the verb's options and their help, checks, `command()`, and what a resume compares.
"""

import functools
import json
import math
import shlex
import typing
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from ridgepoint.errors import InputError, nearest
from ridgepoint.validation import told_wrong

R = TypeVar("R", bound="Request")
AtLeast0 = Annotated[int, msgspec.Meta(ge=0)]
AtLeast1 = Annotated[int, msgspec.Meta(ge=1)]
Above0 = Annotated[float, msgspec.Meta(gt=0)]


def typed(
    option: str | None = None,
    *,
    help: str | None = None,
    unit: str = "",
    place: bool = False,
    path: bool = False,
    held: bool = True,
) -> msgspec.Meta:
    """How a field is typed.

    Args:
        option: Its option, where that is not the field's name.
        help: What it means, to those who ask the command line.
        unit: What is written behind a number.
        place: Whether it names content that lies somewhere: a resume compares what is there, not the name.
        path: Whether it is the path of a file or folder, for shells that complete one.
        held: Whether the parser already refuses a whole number that is too small; else a check that knows more does.
    """
    extra = {"option": option, "unit": unit, "place": place, "path": path, "held": held}
    return msgspec.Meta(description=help, extra=extra)


BUSY = "Accept times that are in doubt, as on a busy machine or an emulated processor; told as doubtful."


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request. A verb's own derives from it, with a field `verb`."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The fields that are typed without an option, in their order."""
        return ()

    @property
    def stem(self) -> str:
        """What a run folder is called where the user named none."""
        raise NotImplementedError

    def usual(self) -> dict[str, Any]:
        """What the fields are that nobody typed; those that must be typed are missing."""
        fields = msgspec.structs.fields(type(self))
        return {field.name: defaults(field) for field in fields if not field.required}

    def command(self, *, out: str | None = None, resume: bool = False) -> str:
        """The command line that asks for the same, or goes on with it."""
        usual, options = self.usual(), ways(type(self))
        words = ["ridgepoint", self.verb, *(str(getattr(self, name)) for name in self.arguments)]  # type: ignore[attr-defined]
        for name, way in options.items():
            value = getattr(self, name)
            if name not in ("verb", *self.arguments) and (name == "seed" or value != usual.get(name)):
                words += _words(way, value)
        return shlex.join(words + (["--out", out] if out else []) + (["--resume"] if resume else []))


class Way(msgspec.Struct, frozen=True):
    """How a field is typed: see `typed`."""

    option: str
    help: str = ""
    unit: str = ""
    place: bool = False
    path: bool = False
    held: bool = True


@functools.cache
def ways(kind: type[Request]) -> dict[str, Way]:
    """How each field is typed."""
    found = {}
    hints = typing.get_type_hints(kind, include_extras=True)
    for name in kind.__struct_fields__:
        said = [meta for meta in getattr(hints[name], "__metadata__", ()) if meta.extra]
        way: dict[str, Any] = {**said[0].extra, "help": said[0].description or ""} if said else {}
        found[name] = Way(**{**way, "option": way.get("option") or "--" + name.replace("_", "-")})
    return found


def nothing_said(kind: type[R], verb: str) -> R:
    """A request of which nothing was typed but the verb; what must be typed is empty, and no value is checked."""
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    return kind(verb=verb, **dict.fromkeys(required, ""))


def request(kind: type[R], what: str, values: Mapping[str, Any]) -> R:
    """A request from plain values.

    Args:
        kind: Its type.
        what: What a message says it is about, the verb.
        values: By field.

    Raises:
        InputError: If a name is unknown or a value is not allowed.
    """
    for name in values:
        if name not in kind.__struct_fields__:
            raise InputError(f"{what} has no setting '{name}'; {nearest(name, kind.__struct_fields__)}")
    try:
        made = msgspec.convert(dict(values), kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{what}: {told_wrong(str(error), values, kind)}") from None
    for name in kind.__struct_fields__:
        value = getattr(made, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{what}: {name} is {value}. Allowed: a finite number")
    return made


def defaults(field: msgspec.structs.FieldInfo) -> Any:
    """The value of a field that nobody gave."""
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _words(way: Way, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [
            word
            for key, each in value.items()
            for word in (way.option, f"{key}={each if isinstance(each, str) else json.dumps(each)}")
        ]
    if isinstance(value, bool):
        return [way.option]
    if isinstance(value, tuple):
        return [word for each in value for word in (way.option, each)]
    return [way.option, f"{plain(value) if isinstance(value, float) else value}{way.unit}"]


def plain(number: float) -> str:
    """Digits that read back as the same number."""
    return repr(float(number)).removesuffix(".0")
