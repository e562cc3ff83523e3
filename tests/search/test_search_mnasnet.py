"""The controller as a distribution over a space, what a batch teaches it, and whether it finds the good networks."""

import math

import numpy as np
import pytest
import torch
from planted import Planted, PlantedJudge, PlantedLatency, planted_members, planted_space

from ridgepoint.search.candidate import Candidate
from ridgepoint.search.controller import Controller
from ridgepoint.search.driver import run_search
from ridgepoint.search.method import Problem
from ridgepoint.search.methods.mnasnet import Settings, mnasnet
from ridgepoint.search.methods.random import random
from ridgepoint.search.reward import Hard
from ridgepoint.search.study import Study

torch.set_num_threads(1)


def problem(seed: int, **given: object) -> Problem:
    """The planted problem, its budget the median of the members' latencies."""
    planted = Planted(planted_space(), seed=seed)
    budget = float(np.median([planted.latency_ms(member) for member in planted_members()]))
    more = {"latency": PlantedLatency(planted), "judge": PlantedJudge(planted), "evaluations": 48, "budget_ms": budget}
    return Problem(seed=seed, space=planted.space, **{**more, **given})


def moved(controller: Controller) -> Controller:
    """With weights so large that decisions differ."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in controller.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return controller


def test_the_probabilities_of_all_networks_add_up_to_one():
    """Of all 810, each decided choice by choice, some without the choices of a third row."""
    for controller in (Controller(planted_space(), seed=3), moved(Controller(planted_space(), seed=3))):
        log_p_BT, entropy_BT, real_BT = controller.decisions(planted_members())
        assert log_p_BT.sum(1).exp().sum().item() == pytest.approx(1.0, abs=1e-4)
        assert real_BT.sum(1).tolist() == [len(member) for member in planted_members()]
        assert (log_p_BT[~real_BT] == 0).all() and (entropy_BT[~real_BT] == 0).all()
        assert entropy_BT.max().item() <= math.log(3) + 1e-5


def test_networks_are_drawn_as_often_as_they_are_probable():
    controller, rng = moved(Controller(planted_space(rows=2), seed=0)), np.random.default_rng(0)
    drawn = [tuple(controller.sample(rng).items()) for _ in range(600)]
    distinct = list(dict.fromkeys(drawn))
    probable = controller.decisions([dict(each) for each in distinct])[0].sum(1).exp().tolist()
    for each, probability in zip(distinct, probable, strict=True):
        assert drawn.count(each) / 600 == pytest.approx(probability, abs=0.09)


def test_it_learns_where_the_good_networks_are():
    """Two problems: its last networks are better than its first and than random ones, and so is the best of them."""
    gained, over_chance, best = [], [], []
    for seed in (2, 3):
        mine, chance = (
            [each.short_accuracy for each in run_search(problem(seed), method, Study())] for method in (mnasnet, random)
        )
        gained.append(np.mean(mine[-16:]) - np.mean(mine[:16]))
        over_chance.append(np.mean(mine[24:]) - np.mean(chance))
        best.append(max(mine) - max(chance))
    assert np.mean(gained) > 0.02 and np.mean(over_chance) > 0.02
    assert np.mean(best) > 0.0


def test_one_update_is_reinforce_and_more_of_them_stay_within_the_clip():
    """By hand: the gradient of the mean of gain times log-probability; later, no decision moves far beyond 20 %."""
    members, gains_B = planted_members()[::160], torch.tensor([1.0, -0.5, 0.3, -2.0, 0.7, 1.1])
    settings = Settings(entropy=0.0)
    by_hand, learnt = (Controller(planted_space(), seed=1) for _ in range(2))
    (-(by_hand.decisions(members)[0].sum(1) * gains_B).mean()).backward()
    before_BT = learnt.decisions(members)[0].detach()
    learnt.loss(members, before_BT, gains_B, clip=settings.clip, entropy=0.0).backward()
    for mine, other in zip(learnt.parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-6)
    far = before_BT - 1.0  # so every ratio is e, far beyond the clip
    learnt.zero_grad()
    learnt.loss(members, far, gains_B.abs(), clip=settings.clip, entropy=0.0).backward()
    assert all(weight.grad.abs().max() == 0 for weight in learnt.parameters())


def test_candidates_are_timed_where_there_is_a_clock_and_rewarded_by_it():
    """Twice as slow by the clock as by the table: over the target, where the hard reward falls."""
    given = problem(0, evaluations=8, settings=Settings(reward=Hard()))
    clocked: list[str] = []

    def clock(networks):
        clocked.extend(networks)
        return {name: 2 * given.ms(network) for name, network in networks.items()}

    timed = problem(0, evaluations=8, settings=Settings(reward=Hard()), clock=clock)
    found: list[Candidate] = run_search(timed, mnasnet, Study())
    assert clocked == [candidate.name for candidate in found] and len(found) == 8
    for candidate in found:
        assert candidate.measured_ms == 2 * candidate.estimated_ms and candidate.estimated_ms <= timed.budget_ms
