"""The search methods by name: those that come with the package, and those of entry points in `ridgepoint.methods`.

Nothing is imported before a method is asked for, so `--help` can list them all.
"""

import functools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from ridgepoint.errors import InputError, nearest
from ridgepoint.search.methods.entry import Entry, Takes, entry_of, is_reference
from ridgepoint.validation import filled

GROUP = "ridgepoint.methods"
# A method is a module here, with an `Entry` in it, and a line.
OF_SPACES = {
    "evolution": "evolution:EVOLUTION",
    "mnasnet": "mnasnet:MNASNET",
    "nsga2": "nsga2:NSGA2",
    "random": "random:RANDOM",
    "slimming": "slimming:SLIMMING",
    "tunas": "tunas_method:TUNAS",
    "tunas_one_stage": "tunas_method:TUNAS_ONE_STAGE",
}
OF_NETWORKS = {
    "netadapt": "netadapt:NETADAPT",
    "netadapt_original": "netadapt:NETADAPT_ORIGINAL",
    "scaling": "scaling:SCALING",
}
OWN = (*OF_SPACES, *OF_NETWORKS)


@functools.cache
def installed() -> dict[str, EntryPoint]:
    """Methods of other packages; none takes the place of one of ours."""
    return {each.name: each for each in entry_points(group=GROUP) if each.name not in OWN}


def told_installed() -> str:
    """What `--help` says of them; nothing where there are none."""
    return f"Of other packages: {', '.join(installed())}." if installed() else ""


def method_names() -> list[str]:
    """All names, ours first."""
    return [*OWN, *installed()]


def find_method(name: str) -> Entry:
    """A method by name.

    Raises:
        InputError: If there is none (the nearest is suggested), it cannot be loaded, or it was given as an object.
    """
    if is_reference(name):
        given = name.rpartition(":")[2]
        raise InputError(
            f"--method {name} is a function that was given in Python, so only Python can go on: "
            f"rp.search(..., method={given}, out=..., resume=True)"
        )
    if name in OWN:
        where = (OF_SPACES | OF_NETWORKS)[name]
        return entry_of(EntryPoint(name, f"{__name__}.{where}", GROUP).load())
    if name not in installed():
        raise InputError(f"--method is '{name}'; {nearest(name, ['auto', *method_names()])}")
    point = installed()[name]
    try:
        return entry_of(point.load())
    except Exception as error:  # whatever a stranger's module raises
        package = point.dist.name if point.dist else "a package"
        raise InputError(
            f"--method {name}: {point.value} of {package} cannot be loaded ({type(error).__name__}: {error}). Mend or "
            "remove that package, or take another method"
        ) from None


def methods_for(takes: Takes) -> list[str]:
    """The names of all methods that search a space, or change a network."""
    return [name for name, entry in _entries() if entry.takes == takes]


def make_method_settings(name: str, changes: Mapping[str, Any], entry: Entry | None = None) -> msgspec.Struct | None:
    """A method's settings with some fields changed, keys of nested ones dotted; None if it has no settings.

    `entry` is that of a method which was given as an object.

    Raises:
        InputError: If the method has no such setting, or a value is not allowed.
    """
    kind = (entry or find_method(name)).settings
    if kind is None:
        for key in changes:
            having = ", ".join(name for name, entry in _entries() if entry.settings)
            raise InputError(f"--set search.{key}: --method {name} has no settings. Methods that have some: {having}")
        return None
    return filled(kind, msgspec.to_builtins(kind()), changes, what=f"--method {name}")


def _entries() -> Iterator[tuple[str, Entry]]:
    """All that can be loaded."""
    for name in method_names():
        with suppress(InputError):
            yield name, find_method(name)
