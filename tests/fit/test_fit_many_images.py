"""Of many images the first file sees some: as many as choose it, and no more."""

import numpy as np
import pytest
import torch

from ridgepoint.arch.zoo import load
from ridgepoint.data import Augmentation, Dataset, Preprocessing
from ridgepoint.data.images import ArraySource, Split
from ridgepoint.fit.early import data_for, some_data_for
from ridgepoint.fit.finish import shown_to
from ridgepoint.fit.opening import Opening
from ridgepoint.fit.policy import POLICY
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.train.recipe import load_recipe
from ridgepoint.train.start import StartWeights
from ridgepoint.workers.setup import TrainingSetup

SIDE = 8


def part(name: str, count: int) -> Split:
    """Images whose first pixel says which one it is."""
    pixels = np.zeros((count, SIDE, SIDE), np.uint8)
    pixels[:, 0, 0] = np.arange(count) % 251
    ids = tuple(f"{name}/{index}" for index in range(count))
    return Split(ids, np.arange(count) % 2, ArraySource(pixels))


def setup(train: int, val: int) -> TrainingSetup:
    preprocessing = Preprocessing(height=SIDE, width=SIDE, channels=1, resize=SIDE, mean=(0.5,), std=(0.5,))
    recipe = load_recipe("finetune", ())
    dataset = Dataset(
        name="many", kind="arrays", classes=("a", "b"), train=part("train", train), val=part("val", val),
        test=part("test", 4), skipped=(), notes=(), split_note="", split_seed=0, median_size=(SIDE, SIDE), grey=True,
        white=None,
    )  # fmt: skip
    return TrainingSetup(
        task=CLASSIFICATION, dataset=dataset, preprocessing=preprocessing, recipe=recipe, finetune=recipe,
        augmentation=Augmentation(), accelerator=torch.device("cpu"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def opening() -> Opening:
    network = load("mobilenetv3_small_050").at(height=SIDE, channels=1).with_classes(2)
    weights = StartWeights(name="mine", path="mine.safetensors", sha256="0" * 64, licence="mine", open_licence=True)
    return Opening(network=network, weights=weights, ms=1.0)


def test_a_classifier_sees_as_many_images_as_it_learns_from(opening: Opening) -> None:
    many = setup(POLICY.frozen_images + 500, POLICY.frozen_val + 500)
    found = some_data_for(many, opening, seed=0)
    assert (len(found.train), len(found.val)) == (POLICY.frozen_images, POLICY.frozen_val)
    assert not many.sizes, "everything was decoded"
    assert len(set(found.train.ids)) == POLICY.frozen_images
    for image, image_id in zip(found.train.images[:, 0, 0, 0].tolist(), found.train.ids, strict=True):
        assert image == int(image_id.split("/")[1]) % 251
    assert (
        found.train.ids
        == some_data_for(many, opening, seed=0).train.ids
        != some_data_for(many, opening, seed=1).train.ids
    )


def test_of_few_images_it_sees_all(opening: Opening) -> None:
    few = setup(30, 10)
    assert some_data_for(few, opening, seed=0).train.ids == data_for(few, opening).train.ids == few.dataset.train.ids


def test_only_the_last_file_is_checked_on_all_test_images() -> None:
    tests = part("test", POLICY.early_tests + 1)
    assert len(shown_to(tests, seed=0, last=False)) == POLICY.early_tests
    assert shown_to(tests, seed=0, last=True) is tests
    few = part("test", POLICY.early_tests)
    assert shown_to(few, seed=0, last=False) is few
