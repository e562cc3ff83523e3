"""The search methods by name."""

from typing import Literal

import msgspec

from ridgepoint.errors import InputError, nearest
from ridgepoint.search.evolution import evolution
from ridgepoint.search.method import Method
from ridgepoint.search.netadapt import netadapt, netadapt_original
from ridgepoint.search.nsga2 import nsga2
from ridgepoint.search.random import random
from ridgepoint.search.scaling import scaling
from ridgepoint.search.tunas_method import tunas_one_stage, tunas_two_stages


class Entry(msgspec.Struct, frozen=True):
    """A method, and what it searches: a space, or a network that it changes, `trained` or not.

    `candidates` is about how many trainings it divides a time limit into.
    """

    method: Method
    takes: Literal["space", "network"]
    trained: bool = False
    candidates: int = 24


METHODS = {
    "evolution": Entry(evolution, "space"),
    "netadapt": Entry(netadapt, "network", trained=True, candidates=240),
    "netadapt_original": Entry(netadapt_original, "network", trained=True, candidates=240),
    "nsga2": Entry(nsga2, "space"),
    "random": Entry(random, "space"),
    "scaling": Entry(scaling, "network"),
    "tunas": Entry(tunas_two_stages, "space"),
    "tunas_one_stage": Entry(tunas_one_stage, "space"),
}


def find_method(name: str) -> Entry:
    """A method by name.

    Raises:
        InputError: If there is none; the nearest is suggested.
    """
    if name not in METHODS:
        raise InputError(f"--method is '{name}'; {nearest(name, ['auto', *METHODS])}")
    return METHODS[name]
