"""What honest and hostile peers write into a study's database."""

from functools import cache
from typing import Any

import msgspec

from ridgepoint.arch.document import parse_network
from ridgepoint.arch.network import Network
from ridgepoint.data import detect
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.judges import Job
from ridgepoint.search.method import Proposal
from ridgepoint.train.loop import Bound
from ridgepoint.train.recipe import load_recipe
from ridgepoint.workers.terms import VERSION, Terms

TINY = {
    "name": "candidate-000",
    "input": [1, 16, 16],
    "stem": [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": 8}],
    "stages": [{"blocks": [{"block": "uib", "start_kernel": 3, "middle_kernel": 3, "expand_ratio": 2, "stride": 2,
                            "out_channels": 8}]}],
    "num_classes": 10,
}  # fmt: skip


@cache
def network() -> Network:
    """One of digits that trains in a moment."""
    return parse_network(TINY, source="tiny")


def job(place: int = 0) -> Job:
    """An honest one."""
    candidate = Candidate(
        name=f"candidate-{place:03d}", phase="search", network=network(), seed=0, tabled_ms=1.0 + place
    )
    return Job(candidate=candidate, proposal=Proposal(network=network()))


@cache
def terms() -> Terms:
    """Honest ones."""
    recipe = load_recipe("small_images", {"batch_size": 512})
    return Terms(
        version=VERSION, data="digits", fingerprint=detect("digits").fingerprint, size=16, seed=0, accelerator="cpu",
        recipe=recipe, finetune=recipe, bound=Bound(epochs=1), limit_ms=5.0,
    )  # fmt: skip


def plain(value: Any) -> dict[str, Any]:
    """A value as JSON would hold it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def changed(content: dict[str, Any], path: str, value: object) -> str:
    """The JSON of a content in which one value, its keys joined by dots, is another."""
    copy = plain(content)
    *way, last = path.split(".")
    inner = copy
    for step in way:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    inner[int(last) if isinstance(inner, list) else last] = value
    return msgspec.json.encode(copy).decode()
