"""The trial that chooses how many threads train takes real steps of the recipe, whatever that asks for."""

from pathlib import Path
from types import SimpleNamespace

import box_helpers as boxes
import pytest
import torch
from mask_helpers import write_discs
from train_helpers import small_network

from ridgepoint.arch.document import parse_network
from ridgepoint.data import detect
from ridgepoint.fit import threads
from ridgepoint.run.process import as_found
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.tasks.detection import DETECTION
from ridgepoint.tasks.segmentation import SEGMENTATION
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


def of(task, dataset, **recipe) -> SimpleNamespace:
    """What a trial needs of a prepared fit."""
    prepared, _ = task.input(dataset, 32)
    found = Recipe(name="trial", batch_size=16, **recipe)
    return SimpleNamespace(
        recipe=found, accelerator=CPU, task=task, dataset=dataset, preprocessing_for=lambda network: prepared
    )


@pytest.mark.parametrize("task", [DETECTION, SEGMENTATION], ids=lambda task: task.name)
def test_a_trial_is_of_what_the_task_minimises(task, tmp_path: Path):
    """Boxes and maps are no classes; fewer images than a batch has are taken again."""
    folder = write_discs(tmp_path, 8, side=32) if task is SEGMENTATION else tmp_path
    if task is DETECTION:
        boxes.make(folder)
    dataset = task.read(folder, seed=0, root=None)
    raw = {"block": "conv", "stride": 2, "out_channels": 8}
    own = {"name": "t", "input": [3, 32, 32], "stem": [raw], "stages": [{"blocks": [raw]}]}
    network = task.head(dataset).close(parse_network(own, source="t"))
    with as_found():
        assert 0 < threads.pace(of(task, dataset), network, Recipe(name="trial", batch_size=16)) < 60


@pytest.mark.parametrize("name", RECIPES)
def test_a_trial_ends_with_the_threads_that_it_chose(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(threads, "ALL_THREADS", 2)
    tried: list[int] = []
    step_s = threads._step_s
    monkeypatch.setattr(threads, "_step_s", lambda *given: tried.append(given[-1]) or step_s(*given))
    prepared = of(CLASSIFICATION, detect("digits", seed=0), **RECIPES[name])
    prepared.middling = small_network
    run = SimpleNamespace(settings=SimpleNamespace(evaluations=None))
    with as_found():
        chosen = threads.set_training_threads(run, prepared)
        assert tried == [1, 2] and chosen in tried and torch.get_num_threads() == chosen
