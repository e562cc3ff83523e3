"""What a step sees: order, repeats, mixing, the growing resolution."""

from collections import Counter
from dataclasses import replace

import msgspec
import pytest
import torch
from timm.data.distributed_sampler import RepeatAugSampler
from train_helpers import quick

from ridgepoint.arch.zoo import load
from ridgepoint.data import Augmentation, AutoAugment
from ridgepoint.errors import InputError
from ridgepoint.train.batches import AugmentedBatches, TrainingData, repeated_order
from ridgepoint.train.curriculum import Phase, expect_sizes
from ridgepoint.train.loop import Bound, train
from ridgepoint.train.mixing import Mixing


def batches(data: TrainingData, seed: int = 0, **changes: object) -> AugmentedBatches:
    return AugmentedBatches(data, quick(**changes), num_classes=10, seed=seed)


def test_a_batch_follows_from_seed_and_step(data: TrainingData):
    mixing = Mixing(mixup=0.8, cutmix=1.0)
    first, second = batches(data, mixing=mixing), batches(data, mixing=mixing)
    second.batch(3, 0.1)
    one, other = first.batch(20, 0.5), second.batch(20, 0.5)
    assert torch.equal(one.images, other.images) and torch.equal(one.targets, other.targets) and one.ids == other.ids
    assert not torch.equal(one.images, batches(data, 1, mixing=mixing).batch(20, 0.5).images)


def test_an_epoch_shows_every_image_once_and_the_next_in_another_order(data: TrainingData):
    source = batches(data)
    epochs = [
        [name for step in range(source.steps_per_epoch) for name in source.batch(start + step, 0.0).ids]
        for start in (0, source.steps_per_epoch)
    ]
    for names in epochs:
        assert len(names) == len(set(names)) == source.steps_per_epoch * 64
    assert epochs[0] != epochs[1]


def test_balanced_sampling_shows_as_many_images_of_every_class(data: TrainingData):
    kept = torch.cat([(data.train.labels == 0).nonzero()[:, 0], (data.train.labels == 1).nonzero()[:10, 0]])
    few = replace(
        data.train, images=data.train.images[kept], labels=data.train.labels[kept],
        ids=tuple(data.train.ids[index] for index in kept.tolist()),
    )  # fmt: skip
    seen = {}
    for sampling in ("each", "balanced"):
        source = batches(replace(data, train=few), sampling=sampling, batch_size=len(kept))
        targets = torch.cat([source.batch(step, 0.0).targets for step in range(20)])
        seen[sampling] = float((targets == 1).float().mean())
    assert seen["each"] == pytest.approx(10 / len(kept)) and seen["balanced"] == pytest.approx(0.5, abs=0.03)
    several = replace(few, labels=few.labels.float())
    with pytest.raises(InputError, match="sampling=each"):
        batches(replace(data, train=several), sampling="balanced")


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_repeated_order_against_timm(repeats: int):
    """50 epochs. timm draws from a generator seeded by the epoch, and ends on a whole multiple of 256."""
    for epoch in range(50):
        theirs = RepeatAugSampler(range(1079), num_replicas=1, rank=0, num_repeats=repeats)
        theirs.set_epoch(epoch)
        ours = repeated_order(1079, repeats, torch.Generator().manual_seed(epoch)).tolist()
        expected = list(theirs)
        assert len(expected) == 1024 and ours[:1024] == expected


def test_repeats_are_side_by_side_and_varied_anew(data: TrainingData):
    batch = batches(data, repeats=3, batch_size=30).batch(0, 0.0)
    assert set(Counter(batch.ids).values()) == {3}
    for start in range(0, 30, 3):
        assert len(set(batch.ids[start : start + 3])) == 1
        assert not torch.equal(batch.images[start], batch.images[start + 1])


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.8), Mixing(cutmix=1.0), Mixing(mixup=0.8, cutmix=1.0)], ids=str)
def test_mixed_targets_are_shares_that_sum_to_one(data: TrainingData, mixing: Mixing):
    source, plain = batches(data, mixing=mixing), batches(data)
    for step in range(10):
        targets = source.batch(step, 0.0).targets
        assert targets.shape == (64, 10) and targets.min() >= 0
        torch.testing.assert_close(targets.sum(1), torch.ones(64))
        labels = plain.batch(step, 0.0).targets
        partner = labels.roll(1)  # the share of an image's own label is the batch's, but where both labels are one
        own = targets[torch.arange(64), labels][labels != partner]
        assert own.std() < 1e-6 and (targets > 0).sum(1).max() <= 2


def test_how_often_a_batch_is_mixed_and_how(data: TrainingData):
    def kinds(mixing: Mixing) -> Counter[str]:
        source, plain = batches(data, mixing=mixing), batches(data)
        found: Counter[str] = Counter()
        for step in range(60):
            mixed, whole = source.batch(step, 0.0), plain.batch(step, 0.0)
            pasted = (mixed.images == whole.images) | (mixed.images == whole.images.roll(1, 0))
            found["none" if mixed.targets.dim() == 1 else "cutmix" if pasted.all() else "mixup"] += 1
        return found

    half = kinds(Mixing(mixup=0.8, cutmix=1.0, probability=0.5))
    assert 18 <= half["none"] <= 42 and half["mixup"] and half["cutmix"]
    assert set(kinds(Mixing(mixup=0.8, cutmix=1.0, switch=1.0))) == {"cutmix"}
    assert set(kinds(Mixing(mixup=0.8, cutmix=1.0, switch=0.0))) == {"mixup"}
    assert set(kinds(Mixing(mixup=0.8, probability=0.0))) == {"none"}


def test_resolution_and_strength_grow_as_the_curriculum_says(data: TrainingData):
    phases = (Phase(start=0.0, resolution=0.5, strength=0.0), Phase(start=0.25, strength=0.5), Phase(start=0.5))
    policy = AutoAugment(policy="svhn")
    photo = replace(data, augmentation=Augmentation(policy=policy))
    source = batches(photo, curriculum=phases)
    assert [source.batch(0, progress).images.shape[-1] for progress in (0.0, 0.2, 0.25, 0.5, 1.0)] == [8, 8, 16, 16, 16]
    whole = data.preprocessing.normalize(data.train.images)
    by_name = dict(zip(data.train.ids, whole, strict=True))

    def untouched(progress: float) -> int:
        seen = [source.batch(step, progress) for step in range(4)]
        return sum(torch.equal(image, by_name[name]) for b in seen for image, name in zip(b.images, b.ids, strict=True))

    assert untouched(0.3) > untouched(0.6) + 30


@pytest.mark.parametrize("size, resolution, expected", [(224, 160 / 224, 160), (224, 192 / 224, 192), (16, 0.1, 8)])
def test_a_phase_has_whole_multiples_of_eight_pixels(data: TrainingData, size: int, resolution: float, expected: int):
    preprocessing = msgspec.structs.replace(data.preprocessing, height=size, width=size, resize=size)
    assert Phase(start=0, resolution=resolution).at(preprocessing).height == expected


def test_a_network_with_other_layers_for_smaller_images_is_refused_before_it_learns(data: TrainingData):
    """MobileViT's patches: at 48 px its last maps are brought to a multiple of two, at 64 px they are one."""
    preprocessing = msgspec.structs.replace(data.preprocessing, height=64, width=64, resize=64)
    recipe = quick(curriculum=(Phase(start=0.0, resolution=0.75), Phase(start=0.5)))
    network = load("mobilevit_xxs").at(height=64, width=64)
    with pytest.raises(InputError, match=r"mobilevit_xxs has other layers for images of 48 x 48 .* multiples of 64 px"):
        train(network, replace(data, preprocessing=preprocessing), recipe, bound=Bound(epochs=1), seed=0)
    for name in ("efficientformer_l1", "mobilenetv4_hybrid_medium"):
        expect_sizes(load(name).at(height=64, width=64), recipe.curriculum, preprocessing)
