"""From the fields of a request to a command line: options, their help and their checks all stand in the Struct."""

import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import typer

from ridgepoint.run.settings import Request, Way, nothing_said, request, ways
from ridgepoint.units import parse_quantity, spelled_duration

R = TypeVar("R", bound=Request)


@dataclass(frozen=True, kw_only=True)
class Asked(Generic[R]):
    """What a user typed.

    Attributes:
        settings: The request.
        named: Its fields that the command line names: a resumed run is held to these alone.
        since: When it was read, by `time.monotonic`.
    """

    settings: R
    named: frozenset[str]
    since: float


def asks(
    kind: type[R], verb: str, *, first: Sequence[str] = (), help: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a verb that takes an `Asked` request, and maybe options of its own, which come last.

    Args:
        kind: The request's type; its own fields come before those that it inherits.
        verb: Its name.
        first: Fields whose options come before the others.
        help: What some fields mean to this verb, where it is not what they mean to others.
    """
    order = _order(kind, verb, first)
    fields = {field.name: field for field in msgspec.inspect.type_info(kind).fields}  # type: ignore[attr-defined]
    blank = nothing_said(kind, verb)
    usual, how = blank.usual(), ways(kind)
    texts = {name: (help or {}).get(name, how[name].help) for name in order}

    def option(name: str) -> Parameter:
        argument = name in blank.arguments
        default = Parameter.empty if argument or name not in usual else _spelled(usual[name], how[name])
        return _parameter(fields[name], how[name], texts[name], argument=argument, default=default)

    def decorate(carry_out: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(carry_out).parameters.values())[1:]

        @functools.wraps(carry_out)
        def read(context: typer.Context, **typed: Any) -> None:
            since = time.monotonic()
            given = {name: typed.pop(name) for name in order}
            named = frozenset(name for name in order if _was_typed(context, name))
            settings = request(kind, verb, {"verb": verb, **_values(given, how, usual)})
            carry_out(Asked(settings=settings, named=named, since=since), **typed)

        parameters = [Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context), *map(option, order), *own]
        parameters = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters]
        read.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        read.__annotations__ = {each.name: each.annotation for each in parameters}
        return read

    return decorate


def _order(kind: type[Request], verb: str, first: Sequence[str]) -> list[str]:
    """Arguments, then the fields that come first, then the type's own, then those that it inherits."""
    own = inspect.get_annotations(kind)
    fields = [*nothing_said(kind, verb).arguments, *first, *own, *kind.__struct_fields__]
    return [name for name in dict.fromkeys(fields) if name in kind.__struct_fields__ and name != "verb"]


def _parameter(field: Any, way: Way, text: str, *, argument: bool, default: Any) -> Parameter:
    """A parameter as typer reads it."""
    kind, more = (str, {}) if argument else _typed(field.type, way)
    told = typer.Argument(help=text) if argument else typer.Option(way.option, help=text, **more)
    annotation: Any = kind if default is not None else kind | None
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, told])


def _typed(told: Any, way: Way) -> tuple[Any, dict[str, Any]]:
    """What a field is on a command line, and what more an option says of it."""
    plain = _plain(told)
    if isinstance(plain, msgspec.inspect.DictType):
        return list[str], {"metavar": "KEY=VALUE"}
    if isinstance(plain, msgspec.inspect.VarTupleType):
        return list[str], {}
    if isinstance(plain, msgspec.inspect.BoolType):
        return bool, {}
    if way.unit:
        return str, {}
    if way.path:
        return Path, {}
    if isinstance(plain, msgspec.inspect.IntType):
        return int, {"min": plain.ge} if way.held and plain.ge is not None else {}
    return (float if isinstance(plain, msgspec.inspect.FloatType) else str), {}


def _plain(told: Any) -> Any:
    """The type of a field without what is said about it, and without None."""
    while isinstance(told, msgspec.inspect.Metadata):
        told = told.type
    if isinstance(told, msgspec.inspect.UnionType):
        return _plain(next(each for each in told.types if not isinstance(each, msgspec.inspect.NoneType)))
    return told


def _spelled(value: Any, way: Way) -> Any:
    """A default as it would be typed; None where nothing is."""
    if isinstance(value, Mapping | tuple):
        return None
    return spelled_duration(value) if way.unit == "s" and value is not None else value


def _values(given: Mapping[str, Any], how: Mapping[str, Way], usual: Mapping[str, Any]) -> dict[str, Any]:
    """The fields' values from what was typed; what loads much comes last."""
    values = dict(given)
    for name, value in given.items():
        if how[name].unit and value is not None:
            values[name] = parse_quantity(value, what=how[name].option, unit=how[name].unit)
        elif isinstance(value, Path):
            values[name] = str(value)
    for name, value in given.items():
        if isinstance(usual.get(name), Mapping):
            from ridgepoint.train.recipe import parse_changes

            values[name] = parse_changes(value or [])
        elif isinstance(usual.get(name), tuple):
            values[name] = tuple(value or ())
    return values


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
