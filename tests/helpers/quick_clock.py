"""Importing this makes clocks quick: few short turns, beside one small reference network in place of three.

For tests that ask what is done with a time, which are nearly all; those of how good it is say how many turns they want.
"""

import pytest
from train_helpers import small_network

from ridgepoint.deploy import bench, measure, parts, reference

TURNS = {"rounds": 8, "round_s": 0.004}
CLOCKS = (measure.measure, measure.clock)
USUAL = [clock.__kwdefaults__ for clock in CLOCKS], parts.ROUND_S
REFERENCES = reference.networks


def take_time(patch: pytest.MonkeyPatch) -> None:
    """For a test, turns are as many and as long as users have them."""
    of_clocks, of_parts = USUAL
    for clock, usual in zip(CLOCKS, of_clocks, strict=True):
        patch.setattr(clock, "__kwdefaults__", usual)
    patch.setattr(parts, "ROUND_S", of_parts)


def take_references(patch: pytest.MonkeyPatch) -> None:
    """For a test, the reference networks are those that users have."""
    patch.setattr(reference, "networks", REFERENCES)


for clock in CLOCKS:
    clock.__kwdefaults__ = {**clock.__kwdefaults__, **TURNS}
bench.bench.__kwdefaults__ = {**bench.bench.__kwdefaults__, "round_s": TURNS["round_s"]}
parts.ROUND_S = TURNS["round_s"]
reference.networks = lambda: (small_network(),)
