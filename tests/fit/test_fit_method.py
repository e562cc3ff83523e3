"""Which method `fit` takes when it is left to it, and the reason that it gives."""

import pytest

from ridgepoint.fit.prepare import choose_method
from ridgepoint.fit.settings import FitSettings
from ridgepoint.search.methods import find_method


@pytest.mark.parametrize(
    ("given", "method", "why"),
    [
        ({}, "evolution", "no trained network was given, and to teach a whole space at once takes"),
        ({"time_s": 3599.0}, "evolution", "or 100 evaluations or more"),
        ({"time_s": 3600.0}, "tunas", "no trained network was given, and there are"),
        ({"evaluations": 99}, "evolution", "no trained network"),
        ({"evaluations": 100, "space": "mobilenetv3"}, "tunas", "no trained network"),
        ({"evaluations": 100, "space": "metaformer"}, "slimming", "which slimming was made for"),
        ({"evaluations": 10, "space": "metaformer"}, "evolution", "no trained network"),
        ({"space": "mobilenetv3_small_050"}, "scaling", "a network without weights"),
        ({"space": "mobilenetv3_small_050", "weights": "w.pth", "time_s": 9e9}, "netadapt", "a trained network"),
        ({"method": "random", "time_s": 9e9}, "random", "as asked"),
    ],
)
def test_the_method_follows_from_what_there_is(given: dict[str, object], method: str, why: str):
    chosen, reason, entry = choose_method(FitSettings(data="digits", latency_ms=1.0, **given))
    assert chosen == method and why in reason and entry == find_method(method)
