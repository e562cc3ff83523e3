"""Accuracy over all images and by class, beside scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score

from ridgepoint.train.accuracy import accuracy_of


def test_by_hand():
    found = accuracy_of(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 1]), ("many", "few", "none"))
    assert (found.accuracy, found.balanced, found.majority, found.count) == (0.8, 0.75, 0.6, 5)
    assert found.recall == {"many": 1.0, "few": 0.5, "none": None}


@pytest.mark.parametrize("seed", range(5))
def test_as_scikit_learn_counts(seed: int):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.choice(4, 200, p=[0.7, 0.2, 0.07, 0.03])])
    predicted = np.where(rng.random(len(labels)) < 0.6, labels, rng.integers(0, 4, len(labels)))
    found = accuracy_of(predicted, labels, "abcd")
    assert found.accuracy == pytest.approx((predicted == labels).mean())
    assert found.balanced == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert list(found.recall.values()) == pytest.approx(list(recall_score(labels, predicted, average=None)))
