"""What every task must do; `check` tries all of it, `CHECKS` one by one.

    from ridgepoint.testing.tasks import Example, check

    def test_my_task():
        check(Example(task=TASK, folder=Path("tests/small")))

The task must be found by its name, by an entry point of the group `ridgepoint.tasks`. The example is a small folder of
its data, of at least twenty images. Nothing is trained but a few steps of a tiny network.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ridgepoint.arch.document import parse_network
from ridgepoint.arch.network import Network
from ridgepoint.arch.space import parse_space
from ridgepoint.cost.count import cost
from ridgepoint.data import Dataset
from ridgepoint.data.arrays import ArraySplit
from ridgepoint.errors import DataError
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.report.parts.find import find_part
from ridgepoint.tasks.reading import find_task
from ridgepoint.tasks.task import Task
from ridgepoint.testing.laws import hold, laws_of
from ridgepoint.train.accelerator import CPU
from ridgepoint.train.batches import Batches, TrainingData, training_data
from ridgepoint.train.recipe import Recipe, load_recipe

SIZE, STEPS = 16, 12


class Example(NamedTuple):
    """A task with some of its data."""

    task: Task
    folder: Path


def check(example: Example) -> None:
    """Try everything that a task must do.

    Raises:
        AssertionError: Naming what it does not do.
    """
    hold(example, CHECKS, called=f"task '{example.task.name}'")


def is_found_by_its_name(example: Example, folder: Path) -> None:
    """With words that may stand in a sentence, names for its outputs, and a part of the report that loads."""
    task = example.task
    assert find_task(task.name) is task, "find_task gives another one: register it"
    assert task.metric and task.outputs and len(set(task.outputs)) == len(task.outputs)
    find_part(task.name)


def reads_its_own_data_and_leaves_others(example: Example, folder: Path) -> None:
    """What is none of its formats is None or a DataError; the whole of it is all images."""
    task, data = example.task, _data(example)
    assert task.summary(data), "it says nothing of the data"
    (folder / "empty").mkdir()
    try:
        assert task.read(folder / "empty", seed=0, root=folder, download=False) is None, "it reads an empty folder"
    except DataError as error:
        assert str(error)
    whole = task.whole(example.folder, data.classes, root=folder)
    ids = {*data.train.ids, *data.val.ids, *data.test.ids}
    assert ids <= set(whole.ids), "the whole lacks some image of the parts"


def says_how_images_go_in(example: Example, folder: Path) -> None:
    """With a reason; a size that the user gives is kept, and one that nobody can want is refused."""
    task, data = example.task, _data(example)
    for size in (None, SIZE):
        found, reason = task.input(data, size)
        assert reason and found.channels in (1, 3) and min(found.height, found.width) > 0
        assert size is None or (found.height, found.width) == (size, size), f"size {size} became {found.height}"
        task.augmentation(data, found)
        for trained in (False, True):
            load_recipe(task.recipe(found.height, trained=trained))
    try:
        task.input(data, 10**6)
    except DataError as error:
        assert str(error)
    else:
        raise AssertionError("a size of a million pixels is taken")


def ends_networks_and_spaces_alike(example: Example, folder: Path) -> None:
    """Either can be counted, built and run, and has one end."""
    closing = example.task.head(_data(example))
    raw = _raw(_channels(example))
    network = closing.close(parse_network(raw, source="kit"))
    space = parse_space({**raw, "conventions": {"activation": {"choice": ["relu", "relu6"]}}}, source="kit")
    closed = closing.close_space(space).decode({space.choices[0].name: 0})
    assert (closed.head, closed.num_classes) == (network.head, network.num_classes), "a space ends otherwise"
    assert cost(network).params == sum(each.numel() for each in build(network).parameters())


def teaches(example: Example, folder: Path) -> None:
    """Equal steps give equal batches, the loss is a number that reaches the weights, and steps along it lower it."""
    recipe, batches = _recipe(), _batches(example, 5)
    for step in (0, 7):
        first, again = (each.batch(step, 0.5) for each in (batches, _batches(example, 5)))
        assert first.ids == again.ids and torch.equal(first.images, again.images), f"step {step} is another one now"
        assert torch.equal(first.targets, again.targets) and len(first.ids) == len(first.images)
        assert len(example.task.words(first.targets, _data(example).classes)) == len(first.ids), "words for each image"
    model, loss = _model(example).train(), example.task.loss(recipe)
    batch = batches.batch(0, 0.0)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    values = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss(model, batch)
        assert value.dim() == 0 and bool(torch.isfinite(value)), f"the loss is {value}"
        value.backward()
        values.append(value.item())
        optimizer.step()
    reached = [bool(each.grad is not None and each.grad.any()) for each in model.parameters()]
    assert any(reached), "the loss reaches no weight"
    assert min(values[1:]) < values[0], f"{STEPS} steps on one batch leave the loss at {values[0]:.3g}"


def scores_answers(example: Example, folder: Path) -> None:
    """From 0 to 1, the same whatever the order of the images and of tensors as of arrays, and told in lines."""
    task, (split, outputs) = example.task, _answers(example)
    score = task.score(outputs, split.labels)
    assert 0.0 <= score.value <= 1.0 and score.count == len(split), f"{score.value:g} of {score.count}"
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(1))
    turned = task.score(outputs[order], split.labels[order])
    assert abs(turned.value - score.value) < 1e-6, "the order of the images decides"
    assert abs(task.score(outputs.numpy(), split.labels.numpy()).value - score.value) < 1e-6, "arrays score otherwise"
    assert all(isinstance(line, str) for line in task.tell(score, _data(example).classes))
    assert bool(score.by_label) <= bool(task.by_label), "numbers by label have no name"
    json.dumps(score.told(task.by_label, _data(example).classes))


def compares_two_networks(example: Example, folder: Path) -> None:
    """Equal answers agree wholly, those to other images do not; the share is one."""
    _, outputs = _answers(example)
    same = example.task.agree(outputs.numpy(), outputs.numpy())
    assert same.name and same.share == 1.0, f"a network agrees with itself to {same.share}"
    noise = np.random.default_rng(0).normal(0, 10, outputs.shape).astype(np.float32)
    other = example.task.agree(outputs.numpy(), noise)
    assert 0.0 <= other.share < 1.0, f"noise agrees with a network to {other.share}"


def puts_answers_into_words(example: Example, folder: Path) -> None:
    """One prediction for every image: a text and a JSON document; what the report needs is written into the folder."""
    split, outputs = _answers(example)
    labels = _data(example).classes
    said = example.task.decode(outputs.numpy(), labels, top=2)
    assert len(said) == len(split) and all(each.text for each in said)
    json.dumps([each.document for each in said])
    example.task.write_evaluation(folder, labels, split, outputs.numpy())


CHECKS = laws_of(
    is_found_by_its_name,
    reads_its_own_data_and_leaves_others,
    says_how_images_go_in,
    ends_networks_and_spaces_alike,
    teaches,
    scores_answers,
    compares_two_networks,
    puts_answers_into_words,
)
"""By names that say what they ask for."""


@lru_cache(maxsize=4)
def _data(example: Example) -> Dataset:
    found = example.task.read(example.folder, seed=0, root=None, download=False)
    assert found is not None, f"it does not know {example.folder} for its own"
    return found


@lru_cache(maxsize=4)
def _decoded(example: Example) -> TrainingData:
    data = _data(example)
    preprocessing, _ = example.task.input(data, SIZE)
    return training_data(data, preprocessing, augmentation=example.task.augmentation(data, preprocessing))


def _recipe() -> Recipe:
    return load_recipe("small_images", {"batch_size": 8})


def _batches(example: Example, seed: int) -> Batches:
    outputs = example.task.head(_data(example)).num_classes
    return example.task.batches(_decoded(example), _recipe(), outputs=outputs, seed=seed, accelerator=CPU)


def _channels(example: Example) -> int:
    return example.task.input(_data(example), SIZE)[0].channels


def _raw(channels: int) -> dict[str, object]:
    row = {"block": "conv", "stride": 2, "out_channels": 8}
    return {"name": "kit", "input": [channels, SIZE, SIZE], "stem": [row], "stages": [{"blocks": [row]}]}


def _model(example: Example) -> BuiltNetwork:
    torch.manual_seed(0)
    network: Network = example.task.head(_data(example)).close(parse_network(_raw(_channels(example)), source="kit"))
    return build(network)


@torch.no_grad()
def _answers(example: Example) -> tuple[ArraySplit, Tensor]:
    """The validation images and what an untrained network says of them."""
    data = _decoded(example)
    outputs: Tensor = _model(example).eval()(data.preprocessing.normalize(data.val.images))
    return data.val, outputs
