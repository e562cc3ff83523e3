"""Views: the same pixels at every replay, in any company; mixup and balanced classes by hand."""

import numpy as np
import pytest
import torch
from distill_helpers import CLASSES, painted, rows, views

from ridgepoint.distill.views import balanced_rows


@pytest.mark.parametrize("name", ["D1", "D2", "D3"])
@pytest.mark.parametrize("size, channels", [(16, 1), (32, 3), (80, 3)])
def test_a_view_is_the_same_in_any_company(name: str, size: int, channels: int):
    made = views(name, 40, size, channels=channels)
    everyone = np.arange(40)
    seeds = made.seeds(everyone, everyone % 3)
    whole = made.images(everyone, seeds)
    assert whole.shape == (40, channels, size, size) and whole.dtype == torch.uint8
    for chosen in (rows(7), rows(39, 0, 7), everyone[::-1], everyone[5:22]):
        assert torch.equal(made.images(chosen, seeds[chosen]), whole[chosen.copy()])
    torch.manual_seed(99)  # whatever else has drawn numbers
    again = views(name, 40, size, channels=channels)
    assert torch.equal(again.images(everyone, again.seeds(everyone, everyone % 3)), whole)


def test_threads_do_not_change_a_view():
    made = views("D1", 40, 80)
    everyone = np.arange(40)
    seeds = made.seeds(everyone, np.zeros_like(everyone))
    alone = made.images(everyone, seeds)
    torch.set_num_threads(2)
    try:
        assert torch.equal(made.images(everyone, seeds), alone)
    finally:
        torch.set_num_threads(1)


def test_replicas_and_seeds_give_other_views():
    made, other = views(), views(seed=1)
    seeds = np.concatenate([made.seeds(rows(0, 1, 0), rows(0, 0, 1)), other.seeds(rows(0), rows(0))])
    assert len(set(seeds.tolist())) == 4
    first, second = made.images(rows(0, 0), made.seeds(rows(0, 0), rows(0, 1)))
    assert not torch.equal(first, second)


def test_mixup_by_hand():
    """With the partners' cuts known from a set without mixup, the mix is share * a + (1 - share) * b, rounded."""
    made = views("D2")
    everyone = np.arange(40)
    seeds = made.seeds(everyone, np.zeros_like(everyone))
    partners, share = made._mix(seeds)
    assert partners.min() >= 0 and partners.max() < 40 and len(set(partners.tolist())) > 20
    assert share.min() < 0.15 and share.max() > 0.85, "any share from 0 to 1"
    labels = made.labels(everyone, seeds)
    for index in range(40):
        expected = torch.zeros(CLASSES)
        expected[index % CLASSES] += share[index]
        expected[partners[index] % CLASSES] += 1 - share[index]
        torch.testing.assert_close(labels[index], expected)
    torch.testing.assert_close(labels.sum(1), torch.ones(40))
    extreme = int(share.argmax())
    alone = views("D2")
    alone.variation = alone.variation.__class__(augmentation=alone.variation.augmentation)
    first = alone.images(everyone, seeds)[extreme].float()
    mixed = made.images(everyone, seeds)[extreme].float()
    assert (mixed - first).abs().max() <= 255 * (1 - share[extreme]) + 0.5


def test_balanced_rows_by_hand():
    """Classes of 4, 2 and 3 images, and one that is not there: 4 rows each; nobody comes oftener than rounding asks."""
    labels = torch.tensor([0, 0, 1, 2, 0, 2, 1, 0, 2, 4])
    chosen = balanced_rows(labels, seed=0)
    assert np.bincount(labels.numpy()[chosen]).tolist() == [4, 4, 4, 0, 4]
    times = np.bincount(chosen, minlength=10).tolist()
    assert [times[index] for index in (0, 1, 4, 7)] == [1, 1, 1, 1]
    assert [times[index] for index in (2, 6)] == [2, 2]
    assert sorted(times[index] for index in (3, 5, 8)) == [1, 1, 2]
    assert times[9] == 4
    assert painted(3).ids[2] == "painted/2"
