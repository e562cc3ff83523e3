"""Slimming on problems whose answer is known, and on shared weights that learn digits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import Planted, members

from ridgepoint.arch.choice import Assignment
from ridgepoint.arch.network import Network
from ridgepoint.arch.space import Space, load_space
from ridgepoint.cost.latency import TabledLatency
from ridgepoint.data import choose_input, detect
from ridgepoint.errors import InputError
from ridgepoint.search import one_shot
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.driver import run_search
from ridgepoint.search.method import Judgement, Problem, Proposal
from ridgepoint.search.methods import make_method_settings
from ridgepoint.search.methods.metapath import ATTENTION, POOL, metapath
from ridgepoint.search.methods.slimming import Settings, Temperature, at_resolution, slimming
from ridgepoint.search.methods.slimming_actions import Slimmer
from ridgepoint.search.policy import Policy
from ridgepoint.search.shared_weights import SharedWeights
from ridgepoint.search.study import Study
from ridgepoint.testing import problems
from ridgepoint.train import resumable
from ridgepoint.train.accelerator import CPU, find_accelerator
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.loop import Bound
from ridgepoint.train.optimizer import AdamW
from ridgepoint.train.recipe import Recipe

torch.set_num_threads(1)
CONV = {"block": "conv", "out_channels": {"choice": [8]}}
POOLING = {"block": POOL, "expand_ratio": 2}
ATTENDING = {"block": ATTENTION, "expand_ratio": 2, "heads": 2, "key_dim": 4, "value_dim": 8}
TOKENS = {"conventions": {"layer_scale": 0.1}, "head": {"head": "tokens", "distilled": False}}


def planted_space() -> Space:
    """As the method's own example, but no two slots alike, so that a network tells which of them it has."""

    def slot(ratio: int, *kinds: dict) -> dict:
        return {"choice": [None, *({**kind, "expand_ratio": ratio} for kind in kinds)]}

    first = {"block": "conv", "kernel": 3, "out_channels": {"choice": [16, 32, 48, 64]}}
    second = {"block": "conv", "kernel": 3, "out_channels": {"choice": [32, 48, 64, 80]}, "stride": 2}
    early = [slot(ratio, POOLING) for ratio in (2, 3, 4)]
    late = [slot(ratio, POOLING, ATTENDING) for ratio in (2, 3)]
    return problems.make_space([{"blocks": [first, *early]}, {"blocks": [second, *late]}], **TOKENS)


SPACE = planted_space()
FIRST, A, B, C, SECOND, D, E = (choice.name for choice in SPACE.choices)


def by_hand() -> Planted:
    """One slot, one attention and two steps of a width bring nothing, and cost 1 ms each; all else brings something."""
    planted = Planted(SPACE, noise=0.0)
    planted.gains = {A: [0, 0.06], B: [0, 0.0], C: [0, 0.06], D: [0, 0.10, 0.10], E: [0, 0.05, 0.15]}
    planted.gains |= {FIRST: [0, 0.05, 0.05, 0.05], SECOND: [0, 0.05, 0.10, 0.15]}
    planted.gains = {name: np.array(gains) for name, gains in planted.gains.items()}
    planted.costs = {name: np.arange(len(gains), dtype=float) for name, gains in planted.gains.items()}
    return planted


@dataclass
class PlantedJudge:
    """A judge, and a latency model, that know what was planted."""

    planted: Planted

    def latency(self, network: Network) -> TabledLatency:
        ms = self.planted.latency_ms(self.planted.child(network))
        return TabledLatency(ms=ms, device="paper", runtime="none", threads=1, rows=1)

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        return Judgement(accuracy=self.planted.true_accuracy(self.planted.child(candidate.network)), seconds=0.0)

    def weights(self, space: Space) -> Planted:
        return self.planted

    def as_long_as(self, candidates: int) -> Bound:
        return Bound(epochs=candidates)


def slimmed(planted: Planted, budget_ms: float, *, seed: int = 0, evaluations: int = 1) -> list[Candidate]:
    judge = PlantedJudge(planted)
    given = {"space": planted.space, "evaluations": evaluations, "budget_ms": budget_ms, "seed": seed}
    return run_search(Problem(latency=judge, judge=judge, **given), slimming, Study())


def test_it_takes_away_what_brings_nothing():
    """14 ms at the largest; what is useless adds up to 4 ms, so within 10 ms nothing has to be lost."""
    planted = by_hand()
    answer = {FIRST: 1, A: 1, B: 0, C: 1, SECOND: 3, D: 1, E: 2}
    best = [each for each in members(SPACE) if planted.latency_ms(each) <= 10.0 + 1e-9]
    assert max(best, key=planted.true_accuracy) == answer
    for seed in range(3):
        found = slimmed(planted, 10.0, seed=seed)
        assert [candidate.tabled_ms for candidate in found] == pytest.approx([14.0, 13.0, 12.0, 11.0, 10.0])
        assert SPACE.encode(found[-1].network) == answer
        assert [candidate.short_accuracy is not None for candidate in found] == [False] * 4 + [True]
        told = [candidate.note.partition(":")[0] for candidate in found[1:]]
        assert sorted(told) == ["attention", "depth", "width", "width"]


def test_the_journal_tells_every_action():
    found = slimmed(by_hand(), 10.0, evaluations=3)
    assert [candidate.parent for candidate in found] == [None, *(candidate.name for candidate in found[:-1])]
    assert found[0].note == "the largest network; over the budget by the tabled latency"
    depth = next(candidate.note for candidate in found if candidate.note.startswith("depth"))
    accuracy = f"accuracy of the shared weights {1.07:.3f} to {1.07:.3f}"
    over = "over the budget by the tabled latency"
    assert depth == f"depth: {B} pool_mixer to nothing, importance 1, 1 ms less, {accuracy}; {over}"
    assert [candidate.tabled_ms for candidate in found[5:]] == pytest.approx([9.0, 8.0])  # within 9.5 and 8.5
    assert all(candidate.short_accuracy is not None for candidate in found[4:])


def test_whatever_is_planted_little_is_lost():
    """On average less than a third of what the median network within the budget lacks to the best."""
    every, lacking, lacking_at_median = members(SPACE), [], []
    for seed in range(8):
        planted, rng = Planted(SPACE, seed=seed, noise=0.005), np.random.default_rng(seed)
        for name in planted.gains:
            planted.gains[name] = np.cumsum([0.0, *rng.uniform(0.0, 0.06, len(planted.gains[name]) - 1)])
            planted.costs[name] = np.cumsum([0.0, *rng.uniform(0.5, 2.0, len(planted.gains[name]) - 1)])
        latencies = [planted.latency_ms(each) for each in every]
        budget = float(np.median(latencies))
        accuracies = [planted.true_accuracy(each) for each, ms in zip(every, latencies, strict=True) if ms <= budget]
        found = slimmed(planted, budget, seed=seed)[-1]
        assert found.tabled_ms <= budget
        lacking.append(max(accuracies) - found.short_accuracy)
        lacking_at_median.append(max(accuracies) - np.median(accuracies))
    assert np.mean(lacking) < np.mean(lacking_at_median) / 3


def slimmer(planted: Planted, importance: Mapping[str, float]) -> Slimmer:
    return Slimmer(
        path=metapath(SPACE), importance=importance, latency_ms=planted.latency_ms, accuracy=planted.accuracy_on_all
    )


IMPORTANCE = {A: 3.0, B: 1.0, C: 2.0, D: 4.0, E: 3.0}


def changes(actions, now: Assignment) -> list[tuple[str, str, int]]:
    return [(each.kind, name, each.after[name]) for each in actions for name in now if each.after[name] != now[name]]


def test_the_three_actions_by_hand():
    given, now = slimmer(by_hand(), IMPORTANCE), metapath(SPACE).largest()
    assert now == {A: 1, B: 1, C: 1, D: 2, E: 2, FIRST: 3, SECOND: 3}
    actions = given.actions(now)
    assert changes(actions, now) == [("depth", B, 0), ("attention", D, 1), ("width", FIRST, 2)]
    assert [each.importance for each in actions] == [1.0, 4.0, 6.0]  # the first stage 3 + 1 + 2, the second 4 + 3
    later = {**now, B: 0, D: 1, FIRST: 0}  # the first stage is as narrow as it gets
    assert changes(given.actions(later), later) == [("depth", C, 0), ("attention", E, 1), ("width", SECOND, 2)]
    empty = dict.fromkeys(now, 0)
    assert given.actions(empty) == []
    assert list(given.down_to(0.0, empty)) == []


def test_what_makes_nothing_faster_is_not_done():
    planted, now = by_hand(), metapath(SPACE).largest()
    planted.costs[D] = np.array([0.0, 3.0, 2.0])  # pooling is slower than attention
    planted.costs[B] = np.zeros(2)  # takes no time
    planted.costs[FIRST] = np.array([0.0, 1.0, 3.0, 3.0])  # the next width is as slow
    assert changes(slimmer(planted, IMPORTANCE).actions(now), now) == [("depth", C, 0), ("width", FIRST, 1)]


def test_the_last_action_is_no_longer_than_it_has_to_be():
    """0.5 ms are missing: 0.04 lost for them are less than 0.05, though these save 1 ms more."""
    planted, now = by_hand(), metapath(SPACE).largest()
    planted.costs = {**planted.costs, B: np.array([0.0, 0.5]), FIRST: np.array([0.0, 1.5, 3.0, 4.5])}
    planted.gains = {**planted.gains, B: np.array([0.0, 0.04]), FIRST: np.array([0.0, 0.0, 0.0, 0.05])}
    planted.gains[D] = np.array([0.0, 0.0, 0.5])
    given = slimmer(planted, IMPORTANCE)
    (judged,) = given.down_to(planted.latency_ms(now) - 0.5, now)
    assert (judged.action.kind, judged.saved_ms) == ("depth", pytest.approx(0.5))
    first, *_ = given.down_to(planted.latency_ms(now) - 4.0, now)
    assert (first.action.kind, first.saved_ms) == ("width", pytest.approx(1.5))


def test_relaxed_draws_follow_the_probabilities():
    """The largest share is at an option as often as the softmax says (Gumbel-max), whatever the temperature."""
    policy = Policy(SPACE.bound(metapath(SPACE).widest()))
    with torch.no_grad():
        policy.logits[policy.row[D]] = torch.tensor([0.0, math.log(2.0), math.log(5.0)])
    noise = torch.Generator().manual_seed(0)
    for temperature, sharpness in ((5.0, (0.3, 0.6)), (0.1, (0.9, 1.0))):
        drawn = torch.stack([policy.relaxed(temperature, noise)[D].detach() for _ in range(2000)])
        assert torch.allclose(drawn.sum(1), torch.ones(2000))
        assert np.bincount(drawn.argmax(1)) / 2000 == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.04)
        assert sharpness[0] < drawn.amax(1).mean() < sharpness[1]
    plain = policy.relaxed(0.5)
    assert plain[D].tolist() == pytest.approx([1 / 30, 4 / 30, 25 / 30])  # squares of 1, 2, 5
    assert plain[A].tolist() == pytest.approx([0.5, 0.5])


def test_the_temperature_falls_geometrically():
    temperature = Temperature(start=8.0, end=0.5)
    assert [temperature.at(share) for share in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([8.0, 4.0, 2.0, 0.5])


class Listening(Planted):
    """Remembers what was taught."""

    def teach_mixed(self, step, progress, child, shares):
        self.heard = [*getattr(self, "heard", []), (child, {name: each.detach() for name, each in shares.items()})]
        return super().teach_mixed(step, progress, child, shares)


def heard(**changes: object) -> list[tuple[Assignment, dict[str, torch.Tensor]]]:
    planted = Listening(SPACE)
    judge, settings = PlantedJudge(planted), make_method_settings("slimming", changes)
    problem = Problem(latency=judge, judge=judge, space=SPACE, budget_ms=1e9, seed=0, evaluations=4, settings=settings)
    next(slimming(problem))
    return planted.heard


def test_settings_decide_what_is_taught():
    usual, plain = heard(), heard(gumbel=False, narrow=0.0, delay=0.5)
    assert len(usual) == len(plain) == 100
    widest = metapath(SPACE).widest()
    assert all(child == widest for child, _ in plain)
    assert 30 < sum(child == widest for child, _ in usual) < 70
    even = torch.full((3,), 1 / 3)
    assert all(torch.equal(shares[D], even) for _, shares in plain[:50]), "no noise, and the logits stand still"
    assert not torch.equal(plain[60][1][D], even)
    assert len({tuple(shares[D].tolist()) for _, shares in usual}) == 100
    with pytest.raises(InputError, match=r"--method slimming: temperature\.end is 0\. Allowed: a number > 0"):
        make_method_settings("slimming", {"temperature.end": 0})
    assert make_method_settings("slimming", {}) == Settings()


@pytest.mark.parametrize(
    ("space", "wrong"),
    [
        (load_space("mobilenetv3_32px"), r"mobilenetv3_32px: .* leaves stages\.0\.blocks\.0 open"),
        (problems.small_space(), r"small: .* leaves stages\.0\.depth open"),
        (problems.make_space([{"blocks": [CONV]}]), r"small: .* has no such slot"),
    ],
)
def test_other_spaces_are_refused(space: Space, wrong: str):
    with pytest.raises(InputError, match=rf"{wrong}\. Allowed: metaformer, metaformer_32px, or a YAML file"):
        next(slimming(problems.make_problem("slimming", budget_ms=1.0, space=space)))


def test_the_spaces_that_come_with_the_package():
    for name, slots, attention in (("metaformer", 17, 11), ("metaformer_32px", 11, 8)):
        path = metapath(load_space(name))
        network = path.space.decode(path.largest())
        kinds = [type(block).__struct_config__.tag for _, block in network.rows()]
        assert len(path.slots) == slots and kinds.count(ATTENTION) == attention
        assert kinds.count(POOL) == slots - attention
        assert all(width % 8 == 0 for each in path.widths for width in each.options)


def test_the_largest_resolution_that_can_meet_the_budget_is_kept():
    side = {"choice": [16, 24, 32], "name": "resolution"}
    raw = {**TOKENS, "input": [3, side, side]}
    space = problems.make_space([{"blocks": [{"choice": [POOLING, None]}]}], **raw)
    problem = problems.make_problem("slimming", budget_ms=1.0, space=space)
    ms = [problem.ms(space.decode({"resolution": at, "stages.0.blocks.0": 1})) for at in range(3)]
    assert ms == sorted(ms)
    for budget, expected in ((ms[2], 32), (ms[1], 24), (ms[0], 16), (ms[0] / 2, 16)):
        given = problems.make_problem("slimming", budget_ms=budget, space=space)
        assert at_resolution(given).decode({"stages.0.blocks.0": 0}).input == (3, expected, expected)
        (*_, last) = problems.search("slimming", given)
        assert last.network.input == (3, expected, expected)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    dataset = detect("digits", seed=0)
    preprocessing, _ = choose_input(dataset, size=8)
    return training_data(dataset, preprocessing)


@dataclass
class Digits(problems.Formula):
    """A judge with real shared weights; what it judges is the formula's."""

    data: TrainingData | None = None
    accelerator: torch.device = CPU
    lr: float = 3e-3

    def weights(self, space: Space) -> SharedWeights:
        recipe = Recipe(name="digits", batch_size=128, optimizer=AdamW(lr=self.lr))
        self.shared = SharedWeights(space, self.data, recipe, seed=3, accelerator=self.accelerator)
        return self.shared

    def as_long_as(self, candidates: int) -> Bound:
        return Bound(epochs=candidates)


def digits_space() -> Space:
    late = {"choice": [POOLING, ATTENDING, None]}
    rows = [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": {"choice": [16, 32]}}, late, late, late]
    return problems.make_space([{"blocks": rows}], **TOKENS, **{"input": [1, 8, 8]})


def digits_problem(
    data: TrainingData, *, evaluations: int, lr: float = 3e-3, accelerator: torch.device = CPU, **given: object
) -> Problem:
    space = digits_space()
    budget = problems.make_problem("slimming", budget_ms=1.0, space=space).ms(space.sample(np.random.default_rng(5)))
    judge = Digits(data=data, accelerator=accelerator, lr=lr)
    return problems.make_problem(
        "slimming", budget_ms=budget, space=space, judge=judge, seed=3, evaluations=evaluations, **given
    )


class Killed(Exception):
    pass


def test_killed_and_resumed_it_ends_as_if_it_had_not_been(data: TrainingData, tmp_path: Path, monkeypatch):
    whole = problems.journal(problems.search("slimming", digits_problem(data, evaluations=4)))
    monkeypatch.setattr(resumable, "SAVE_EVERY_S", 0.0)
    for share in (0.1, 0.6):

        def stop(done: float, text: str, share: float = share) -> None:
            if done >= share:
                raise Killed

        with pytest.raises(Killed):
            problems.search("slimming", digits_problem(data, evaluations=4, folder=tmp_path, told=stop))
    again = digits_problem(data, evaluations=4, folder=tmp_path)
    assert problems.journal(problems.search("slimming", again)) == whole
    assert len(whole) > 2 and (tmp_path / "slimming" / one_shot.HISTORY).read_text().count("importance") >= 2


def digits_read(data: TrainingData, **given: object) -> list[float]:
    """What networks without attention read, the narrow one and the wide one, when a search has ended."""
    problem = digits_problem(data, **given)
    found = problems.search("slimming", problem)
    weights, path = problem.judge.shared, metapath(problem.space)
    pools = {slot.name: slot.kinds.index(POOL) for slot in path.slots}
    told = [float(each.note.split("importance ")[1].split(",")[0]) for each in found if "importance" in each.note]
    assert told and min(told) > 1.0, "no slot is as good as nothing"
    return [weights.accuracy(0, {**pools, path.widths[0].name: width}) for width in (0, 1)]


def test_on_digits_all_widths_learn(data: TrainingData):
    narrow, wide = digits_read(data, evaluations=18, lr=0.01)
    assert wide > narrow > 0.5 and wide > 0.7


@pytest.mark.soak
def test_on_digits_gumbel_noise_teaches_single_paths(data: TrainingData):
    """With equal steps and images, networks without attention read more digits than after a plain softmax."""
    (narrow, wide), (plain_narrow, plain_wide) = (
        digits_read(data, evaluations=33, settings=Settings(gumbel=gumbel)) for gumbel in (True, False)
    )
    assert wide > narrow > 0.5 and wide > 0.7
    assert wide > plain_wide and narrow > plain_narrow


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_it_finds_the_same_twice(data: TrainingData):
    torch.use_deterministic_algorithms(True, warn_only=True)  # as every command does
    given = {"evaluations": 4, "accelerator": find_accelerator("cuda")}
    found, again = (problems.journal(problems.search("slimming", digits_problem(data, **given))) for _ in range(2))
    assert found == again
