"""Accuracy over all images and by class, beside scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score

from ridgepoint.train.accuracy import score_classes


def test_by_hand():
    found = score_classes(np.eye(3)[[0, 0, 0, 0, 1]], np.array([0, 0, 0, 1, 1]))
    assert (found.value, found.count) == (0.8, 5) and found.parts == {"balanced": 0.75, "majority": 0.6}
    assert found.by_label == (1.0, 0.5, None)
    assert found.told("recall", ("many", "few", "none"))["recall"] == {"many": 1.0, "few": 0.5, "none": None}


@pytest.mark.parametrize("seed", range(5))
def test_as_scikit_learn_counts(seed: int):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.choice(4, 200, p=[0.7, 0.2, 0.07, 0.03])])
    predicted = np.where(rng.random(len(labels)) < 0.6, labels, rng.integers(0, 4, len(labels)))
    found = score_classes(np.eye(4)[predicted], labels)
    assert found.value == pytest.approx((predicted == labels).mean())
    assert found.parts["balanced"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert list(found.by_label) == pytest.approx(list(recall_score(labels, predicted, average=None)))
