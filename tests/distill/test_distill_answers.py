"""A teacher's answers: what is kept, and the probabilities that come of it, by hand."""

import math

import pytest
import torch

from ridgepoint.distill.answers import encode, probabilities
from ridgepoint.errors import InputError


def test_the_best_classes_share_all_of_the_probability():
    """Of logits 1, 3, 0, 2 the best two are classes 1 and 3: e^0 / (e^0 + e^-1) and the rest."""
    answers = encode(torch.tensor([[1.0, 3.0, 0.0, 2.0]]), topk=2)
    assert answers.values.tolist() == [[0.0, -1.0]] and answers.values.dtype == torch.float16
    assert answers.classes is not None and answers.classes.tolist() == [[1, 3]]
    high = 1 / (1 + math.exp(-1))
    torch.testing.assert_close(probabilities(answers, 4), torch.tensor([[0.0, high, 0.0, 1 - high]]))


def test_temperature_by_hand():
    """Logits 0 and ln 16 at temperature 2: odds of the square root, 4 to 1."""
    answers = encode(torch.tensor([[0.0, math.log(16)]]), topk=None)
    assert answers.classes is None
    expected = torch.tensor([[0.2, 0.8]])
    torch.testing.assert_close(probabilities(answers, 2, temperature=2.0), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("topk", [None, 1, 10, 1000])
def test_probabilities_sum_to_one_and_are_nearly_the_teachers(topk: int | None):
    logits = 8 * torch.randn(64, 1000) + 100  # a common offset is no answer
    soft = probabilities(encode(logits, topk), 1000, temperature=1.0)
    torch.testing.assert_close(soft.sum(1), torch.ones(64))
    assert torch.equal(soft.argmax(1), logits.argmax(1))
    if topk in (None, 1000):
        torch.testing.assert_close(soft, logits.softmax(1), atol=2e-3, rtol=0)


def test_many_classes_are_numbered_without_overflow():
    answers = encode(torch.arange(40_000.0)[None], topk=2)
    assert answers.classes is not None and answers.classes.tolist() == [[39_999, 39_998]]


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="not finite"):
        encode(torch.tensor([[0.0, float("nan")]]), topk=None)
