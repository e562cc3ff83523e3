"""Whether a run goes on as it was begun: field by field, and by what lies behind the names."""

from collections.abc import Collection
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

import msgspec

from ridgepoint.errors import RunError, shortened, shown
from ridgepoint.run.origin import Origin
from ridgepoint.run.records import read_record
from ridgepoint.run.settings import Request, ways

R = TypeVar("R", bound=Request)


class _Verb(msgspec.Struct):
    verb: str = ""


def read_settings(path: Path, name: str, kind: type[R]) -> R:
    """The settings in a run folder.

    Raises:
        RunError: If there are none, they are damaged, or those of another verb.
    """
    if not (path / name).is_file():
        raise RunError(f"{path}: holds no run to resume (no {name}). Give the folder that --out named")
    otherwise = "Start anew with another --out"
    verb = read_record(path / name, _Verb, otherwise=otherwise).verb
    allowed = get_args(get_type_hints(kind)["verb"])
    if verb and verb not in allowed:
        raise RunError(f"{path}: holds a run of `ridgepoint {verb}`. Go on with it by that verb, or {_ANEW}")
    return read_record(path / name, kind, otherwise=otherwise)


def agreed(path: Path, stored: R, given: R, asked: Collection[str] | None) -> R:
    """The settings that a run goes on with: those it was begun with, at the places that are given now.

    Args:
        path: The run folder.
        stored: What it was begun with.
        given: What is asked now.
        asked: The fields that the user named; by default those that are not as usual. The others are as stored.

    Raises:
        RunError: If what is asked is something else; with the command that goes on.
    """
    usual, how, places = given.usual(), ways(type(stored)), {}
    for name in stored.__struct_fields__:
        then, now = getattr(stored, name), getattr(given, name)
        named = name in asked if asked is not None else name not in usual or now != usual[name]
        if (not named and name != "verb") or now == then:
            continue
        if not how[name].place or None in (then, now):
            raise RunError(_other(path, stored, name, now))
        places[name] = now
    return msgspec.structs.replace(stored, **places)


def check_origin(path: Path, stored: Request, given: Request, then: Origin, now: Origin) -> None:
    """Refuse to go on with other content than a run was begun on.

    Args:
        path: The run folder.
        stored: The settings that lie there.
        given: The settings that it would go on with.
        then: Digests of what it was begun on.
        now: Of what is there now.

    Raises:
        RunError: Naming the field.
    """
    for name, found in now.items():
        if then.get(name, found) == found:
            continue
        if getattr(stored, name) != getattr(given, name):
            raise RunError(_other(path, stored, name, getattr(given, name)))
        told = getattr(stored, name)
        what = name if told is None else f"{name} {_told(told)}"
        raise RunError(f"{path}: {what} is not what it was when the run was begun. Put it back, or {_ANEW}")


def _other(path: Path, stored: Request, name: str, now: object) -> str:
    then, command = getattr(stored, name), stored.command(out=str(path), resume=True)
    return f"{path}: was begun with {name} {_told(then)}, not {_told(now)}. Go on with: {command}, or {_ANEW}"


def _told(value: object) -> str:
    """A value of the settings; a path is of use only whole."""
    return shortened(repr(value), 300) if isinstance(value, str) else shown(value)


_ANEW = "start anew with another --out"
