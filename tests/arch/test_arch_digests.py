"""What was shipped once stays what it is: digests of networks of the zoo, and of what the spaces hold."""

import hashlib
import json
from pathlib import Path

import numpy as np

from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import list_models, list_spaces, load

KNOWN = json.loads((Path(__file__).parent / "digests.json").read_text())


def test_the_zoo_and_the_spaces_are_as_ever():
    found = {name: load(name).digest for name in list_models()}
    for name in list_spaces():
        space, rng = load_space(name), np.random.default_rng(0)
        about = [space.size, [choice.name for choice in space.choices], [space.sample(rng).digest for _ in range(5)]]
        found[name] = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    assert {name: found.get(name) for name in KNOWN} == KNOWN
