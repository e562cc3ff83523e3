"""Zero-cost scores on networks small enough to count by hand, and as a filter of what is drawn."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import load
from ridgepoint.errors import InputError
from ridgepoint.search.draw import Settings
from ridgepoint.search.methods import make_method_settings
from ridgepoint.search.scores import SCORES, ExampleLoss, grad_norm, naswot, score, synflow
from ridgepoint.testing.problems import Formula, journal, make_problem, middle, search, small_space

torch.set_num_threads(1)


def unasked(model: nn.Module) -> Tensor:
    raise AssertionError("the score says nothing about labels")


def linear(*weights: list[list[float]]) -> list[nn.Linear]:
    layers = []
    for rows in weights:
        layer = nn.Linear(len(rows[0]), len(rows), bias=False)
        layer.weight.data = torch.tensor(rows)
        layers.append(layer)
    return layers


@pytest.mark.parametrize("switch", [nn.ReLU(inplace=True), nn.Hardswish()])
def test_naswot_by_hand(switch: nn.Module):
    """Codes 10, 01 and 11: equal bits [[2, 0, 1], [0, 2, 1], [1, 1, 2]], whose determinant is 2 * 3 + 1 * (0 - 2)."""
    model = nn.Sequential(*linear([[1.0, 0.0], [0.0, 1.0]]), switch)
    images = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    assert naswot(model, images, unasked) == pytest.approx(math.log(4.0))
    assert naswot(model, images[[0, 0, 1]], unasked) == -math.inf, "two images that switch everything alike"


def test_synflow_by_hand():
    """(1 + 2) * (3 + 4) = 21 passes through either layer: with weights and signs as they are, and without the norm."""
    first, second = linear([[1.0, -2.0]], [[3.0], [-4.0]])
    image = torch.full((1, 2), -7.0)
    assert synflow(nn.Sequential(first, nn.ReLU(), second), image, unasked) == pytest.approx(42.0)
    first, second = linear([[1.0, -2.0]], [[3.0], [-4.0]])
    with_norm = nn.Sequential(first, nn.LayerNorm(1), second)
    assert synflow(with_norm, image, unasked) == pytest.approx(42.0)


def test_grad_norm_by_hand():
    """Both classes equally probable: rows -+(3, 4) / 2, whose norm is sqrt(2 * 6.25)."""
    (layer,) = linear([[0.0, 0.0], [0.0, 0.0]])
    image = torch.tensor([[3.0, 4.0]])
    found = grad_norm(nn.Sequential(layer), image, lambda model: cross_entropy(model(image), torch.tensor([0])))
    assert found == pytest.approx(math.sqrt(12.5))


class Showing(Formula):
    """A formula with eight random images."""

    def examples(self, network: Network) -> tuple[Tensor, ExampleLoss]:
        images = torch.randn(8, *network.input, generator=torch.Generator().manual_seed(0))
        return images, lambda model: cross_entropy(model(images), torch.arange(8) % network.num_classes)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("family", ["mobilenetv3_small_050", "mobilenetv4_hybrid_medium", "efficientformer_l1"])
def test_every_family_has_finite_scores_that_repeat(name: str, family: str):
    network = load(family).at(height=32).with_classes(10)
    state = torch.get_rng_state()
    found = score(name, network, Showing(), seed=0)
    assert math.isfinite(found) and found == score(name, network, Showing(), seed=0)
    assert torch.equal(state, torch.get_rng_state()), "trainings draw what they would have drawn"


@pytest.mark.parametrize("method", ["random", "evolution"])
def test_a_prefilter_proposes_what_scores_higher_and_repeats(method: str):
    given = {"budget_ms": middle(method), "evaluations": 12}
    judge = Showing()
    plain, once, again = (
        search(method, make_problem(method, judge=judge, settings=settings, **given))
        for settings in (None, Settings(prefilter="synflow"), Settings(prefilter="synflow"))
    )
    assert journal(once) == journal(again)
    mine, theirs = (
        [math.log(score("synflow", each.network, judge, seed=0)) for each in found] for found in (once, plain)
    )
    assert np.mean(mine) > np.mean(theirs) + 0.5 and len(once) == 12
    assert all(small_space().contains(each.network) for each in once)


def test_prefilters_are_settings_of_the_methods_that_draw():
    assert make_method_settings("random", {"prefilter": "naswot", "draws": 4}) == Settings(prefilter="naswot", draws=4)
    with pytest.raises(InputError, match=r"prefilter is 'naswott'"):
        make_method_settings("evolution", {"prefilter": "naswott"})
    with pytest.raises(InputError, match="has no settings"):
        make_method_settings("nsga2", {"prefilter": "naswot"})
