"""The search methods by name."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from ridgepoint.arch.space import Space
from ridgepoint.errors import InputError, nearest
from ridgepoint.search import draw
from ridgepoint.search.method import Method
from ridgepoint.search.methods import mnasnet, slimming, tunas
from ridgepoint.search.methods.evolution import evolution
from ridgepoint.search.methods.metapath import metapath
from ridgepoint.search.methods.netadapt import netadapt, netadapt_original
from ridgepoint.search.methods.nsga2 import nsga2
from ridgepoint.search.methods.random import random
from ridgepoint.search.methods.scaling import scaling
from ridgepoint.search.methods.tunas_method import tunas_one_stage, tunas_two_stages
from ridgepoint.validation import filled


class Entry(msgspec.Struct, frozen=True):
    """A method, and what it searches: a space, or a network that it changes, `trained` or not.

    Attributes:
        candidates: About how many trainings it divides a time limit into.
        space: Where the user names no space, this one or its form for small images.
        check: Raises InputError for a space that the method cannot search.
        settings: What `--set search.KEY=VALUE` changes.
    """

    method: Method
    takes: Literal["space", "network"]
    trained: bool = False
    candidates: int = 24
    space: str = "mobilenetv4_conv"
    check: Callable[[Space], object] = lambda space: None
    settings: type[msgspec.Struct] | None = None


METHODS = {
    "evolution": Entry(evolution, "space", settings=draw.Settings),
    "mnasnet": Entry(mnasnet.mnasnet, "space", settings=mnasnet.Settings),
    "netadapt": Entry(netadapt, "network", trained=True, candidates=240),
    "netadapt_original": Entry(netadapt_original, "network", trained=True, candidates=240),
    "nsga2": Entry(nsga2, "space"),
    "random": Entry(random, "space", settings=draw.Settings),
    "scaling": Entry(scaling, "network"),
    "slimming": Entry(slimming.slimming, "space", space="metaformer", check=metapath, settings=slimming.Settings),
    "tunas": Entry(tunas_two_stages, "space", settings=tunas.Settings),
    "tunas_one_stage": Entry(tunas_one_stage, "space", settings=tunas.Settings),
}


def find_method(name: str) -> Entry:
    """A method by name.

    Raises:
        InputError: If there is none; the nearest is suggested.
    """
    if name not in METHODS:
        raise InputError(f"--method is '{name}'; {nearest(name, ['auto', *METHODS])}")
    return METHODS[name]


def make_method_settings(name: str, changes: Mapping[str, Any]) -> msgspec.Struct | None:
    """A method's settings with some fields changed, keys of nested ones dotted; None if it has no settings.

    Raises:
        InputError: If the method has no such setting, or a value is not allowed.
    """
    kind = find_method(name).settings
    if kind is None:
        for key in changes:
            having = ", ".join(name for name, entry in METHODS.items() if entry.settings)
            raise InputError(f"--set search.{key}: --method {name} has no settings. Methods that have some: {having}")
        return None
    return filled(kind, msgspec.to_builtins(kind()), changes, what=f"--method {name}")
