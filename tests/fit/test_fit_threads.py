"""The trial that chooses how many threads train takes real steps of the recipe, whatever that asks for."""

from types import SimpleNamespace

import pytest
import torch
from train_helpers import small_network

from ridgepoint.fit import threads
from ridgepoint.run.process import as_found
from ridgepoint.train.accelerator import CPU
from ridgepoint.train.clip import AdaptiveClip
from ridgepoint.train.optimizer import SGD
from ridgepoint.train.recipe import Recipe

RECIPES = {
    "usual": {},
    "half": {"precision": "bfloat16"},
    "compiled": {"compile": True},
    "frozen": {"frozen": 0.5, "optimizer": SGD(lr=0.1)},
    "clipped": {"clip": AdaptiveClip()},
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_trial_ends_with_the_threads_that_it_chose(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(threads, "ALL_THREADS", 2)
    tried: list[int] = []
    step_s = threads._step_s
    monkeypatch.setattr(threads, "_step_s", lambda *given: tried.append(given[-1]) or step_s(*given))
    prepared = SimpleNamespace(
        recipe=Recipe(name="trial", batch_size=16, **RECIPES[name]), accelerator=CPU, middling=small_network
    )
    run = SimpleNamespace(settings=SimpleNamespace(evaluations=None))
    with as_found():
        chosen = threads.set_training_threads(run, prepared)
        assert tried == [1, 2] and chosen in tried and torch.get_num_threads() == chosen
