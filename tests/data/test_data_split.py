import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridgepoint.data.split import plan_split, stratified
from ridgepoint.errors import DataError


@given(st.lists(st.integers(3, 40), min_size=2, max_size=6), st.integers(0, 2**32))
def test_every_index_once_and_every_class_everywhere(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    plan, _ = plan_split({"all": labels}, [str(i) for i in range(len(counts))], seed)
    indices = [plan[part][1] for part in ("train", "val", "test")]
    assert sorted(np.concatenate(indices)) == list(range(len(labels)))
    for part in indices:
        assert set(labels[part]) == set(range(len(counts)))


@given(st.lists(st.integers(2, 9), min_size=2, max_size=6))
def test_carving_leaves_every_class_on_both_sides(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    plan, _ = plan_split({"train": labels, "test": labels}, [str(i) for i in range(len(counts))], 0)
    for part in ("train", "val"):
        assert set(labels[plan[part][1]]) == set(range(len(counts)))


def test_shares_by_hand():
    labels = np.repeat([0, 1], [100, 10])
    train, val, test = stratified(labels, [0.2, 0.2], seed=0)
    assert [np.bincount(labels[part]).tolist() for part in (train, val, test)] == [[60, 6], [20, 2], [20, 2]]


@pytest.mark.parametrize(("count", "expected"), [(9_999, 0.2), (10_000, 0.1)])
def test_large_sets_keep_more_for_training(count, expected):
    labels = np.arange(count) % 3
    plan, note = plan_split({"all": labels}, "abc", seed=0)
    assert len(plan["test"][1]) / count == pytest.approx(expected, abs=0.001)
    assert f"{expected:.0%}" in note


def test_the_split_is_the_same_tomorrow():
    # Written down once: a change here gives every user another split, and a resumed run other data.
    labels = np.arange(12) % 2
    assert [part.tolist() for part in stratified(labels, [0.2, 0.2], seed=0)] == [
        [0, 1, 2, 3, 5, 7, 8, 10],
        [6, 9],
        [4, 11],
    ]


def test_given_parts_need_every_class():
    with pytest.raises(DataError, match="'b' has 0"):
        plan_split({part: np.zeros(5, int) for part in ("train", "val", "test")}, "ab", 0)
