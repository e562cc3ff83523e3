"""Mixtures: what is typed, what is drawn, and batches that follow from the step alone."""

from collections import Counter

import numpy as np
import pytest
import torch
from distill_helpers import CLASSES, lessons, preprocessing

from ridgepoint.data import Augmentation, RandAugment
from ridgepoint.distill.mixture import MixtureBatches, Targets, parse_mixture, variations
from ridgepoint.errors import InputError


def mixture(text: str, *, batch_size: int = 8, replicas: int = 2, seed: int = 0, **targets: object) -> MixtureBatches:
    weights = parse_mixture(text)
    counts = {"D1": 40, "D2": 40, "D3": 25}
    return MixtureBatches(
        {name: lessons(name, count=counts[name]) for name in weights},
        weights,
        preprocessing=preprocessing(),
        targets=Targets(**targets),
        replicas=replicas,
        batch_size=batch_size,
        seed=seed,
    )


def test_a_mixture_is_read():
    assert parse_mixture("D1:1, D2:0.5") == {"D1": 1.0, "D2": 0.5}
    assert parse_mixture("D2") == {"D2": 1.0}


@pytest.mark.parametrize(
    "text, told",
    [
        ("D4:1", "unknown set 'D4'"),
        ("", "unknown set ''"),
        ("D1:x", "cannot read"),
        ("D1:1,D1:2", "each set once"),
        *((f"D1:{weight}", "weight above 0") for weight in ("0", "-1", "inf", "nan")),
    ],
)
def test_a_mixture_that_cannot_be_read_is_refused(text: str, told: str):
    with pytest.raises(InputError, match=told):
        parse_mixture(text)


def test_sets_are_the_papers():
    photograph = variations(Augmentation(horizontal_flip=0.5, color_jitter=0.2), preprocessing(96))
    crop = Augmentation(crop_scale=(0.08, 1.0), crop_ratio=(0.75, 4 / 3), horizontal_flip=0.5)
    assert photograph["D2"].augmentation == crop and photograph["D2"].mixup
    for name, magnitude in (("D1", 9), ("D3", 5)):
        made = photograph[name]
        assert made.augmentation.policy == RandAugment(operations=2, magnitude=magnitude)
        assert made.augmentation.crop_scale == crop.crop_scale and not made.mixup
    small = variations(Augmentation(crop_scale=(0.8, 1.2)), preprocessing(16))
    assert small["D2"].augmentation.crop_scale == (0.8, 1.2)


def test_each_sample_is_drawn_by_the_weights():
    """4,000 draws at 1:1:2; three standard deviations of a share of a half are 2.4 %."""
    made = mixture("D1:1,D2:1,D3:2", batch_size=40)
    counts = np.bincount(np.concatenate([made.sets(step) for step in range(100)]), minlength=3) / 4000
    assert counts == pytest.approx([0.25, 0.25, 0.5], abs=0.024)
    assert len({tuple(made.sets(step)) for step in range(10)}) == 10, "drawn anew at each step"


def test_an_epoch_shows_every_image_once_whatever_set_it_comes_from():
    made = mixture("D1:1,D2:1")
    assert made.steps_per_epoch == 5
    for epoch in range(2):
        ids = Counter(name for step in range(5) for name in made.batch(5 * epoch + step, 0.0).ids)
        assert ids == Counter({f"painted/{index}": 1 for index in range(40)})


def test_a_set_of_another_size_goes_round_on_its_own():
    """25 extra images, 8 a step: after 25 steps, 200 samples, each was shown 8 times."""
    made = mixture("D3")
    ids = Counter(name for step in range(25) for name in made.batch(step, 0.0).ids)
    assert set(ids.values()) == {8} and len(ids) == 25


def test_a_batch_follows_from_the_step():
    first, again, other = mixture("D1:1,D2:1"), mixture("D1:1,D2:1"), mixture("D1:1,D2:1", seed=1)
    for step in (7, 2):
        one, two = first.batch(step, 0.0), again.batch(step, 1.0)
        assert torch.equal(one.images, two.images) and torch.equal(one.targets, two.targets) and one.ids == two.ids
        assert other.batch(step, 0.0).ids != one.ids


def test_the_next_epoch_shows_the_next_replica_and_then_the_first_again():
    made = mixture("D1", batch_size=40)
    seen = []
    for step in range(3):
        batch = made.batch(step, 0.0)
        seen.append(batch.images[np.argsort(batch.ids)])
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])


def test_images_stay_with_their_targets_and_names():
    """In a mixture the samples are those that each set alone would give at the same places."""
    both = mixture("D1:1,D2:1").batch(3, 0.0)
    alone = {0: mixture("D1").batch(3, 0.0), 1: mixture("D2").batch(3, 0.0)}
    sets = mixture("D1:1,D2:1").sets(3)
    assert set(sets.tolist()) == {0, 1}
    for place, number in enumerate(sets.tolist()):
        assert torch.equal(both.images[place], alone[number].images[place])
        assert torch.equal(both.targets[place], alone[number].targets[place])
        assert both.ids[place] == alone[number].ids[place]


def test_targets_are_the_teachers_probabilities():
    soft = mixture("D1:1,D2:1").batch(0, 0.0).targets
    softer = mixture("D1:1,D2:1", temperature=4.0).batch(0, 0.0).targets
    torch.testing.assert_close(soft.sum(1), torch.ones(8))
    torch.testing.assert_close(softer.sum(1), torch.ones(8))
    assert (softer.amax(1) < soft.amax(1)).all() and torch.equal(softer.argmax(1), soft.argmax(1))


def test_hard_targets_are_the_label_and_the_teachers_class():
    soft, hard = mixture("D1").batch(0, 0.0), mixture("D1", hard=True).batch(0, 0.0)
    labels = [int(name.split("/")[1]) % CLASSES for name in hard.ids]
    assert hard.targets.shape == (8, 2, CLASSES)
    assert hard.targets[:, 0].argmax(1).tolist() == labels
    assert torch.equal(hard.targets[:, 1].argmax(1), soft.targets.argmax(1))
    torch.testing.assert_close(hard.targets.sum(2), torch.ones(8, 2))
