"""TuNAS on problems whose answer is known, and on shared weights that learn digits."""

import math
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch
from forks import forks
from planted import Planted, members, planted_members, planted_space
from torch.utils.flop_counter import FlopCounterMode

from ridgepoint.arch.choice import Choice
from ridgepoint.arch.space import load_space, parse_space
from ridgepoint.cost.space_table import compile_space
from ridgepoint.data import choose_input, detect
from ridgepoint.errors import InputError, RunError
from ridgepoint.search import shared_weights
from ridgepoint.search.methods.tunas import Job, Settings, tunas
from ridgepoint.search.methods.two_stages import plain_kernels, two_stages
from ridgepoint.search.policy import Policy
from ridgepoint.search.reward import Absolute, Hard, Soft
from ridgepoint.search.shared_weights import SharedWeights
from ridgepoint.train import resumable
from ridgepoint.train.accelerator import CPU, find_accelerator
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.loop import Bound
from ridgepoint.train.optimizer import AdamW
from ridgepoint.train.recipe import Recipe

torch.set_num_threads(1)


def planted_job(seed: int = 0, epochs: int = 10, **changes: object) -> tuple[Planted, Job]:
    """A job on a planted problem, its budget the median of the members' latencies."""
    space = planted_space()
    weights = Planted(space, seed=seed)
    budget = float(np.median([weights.latency_ms(member) for member in planted_members()]))
    given = {"budget_ms": budget, "seed": seed, "bound": Bound(epochs=epochs), "latency_ms": weights.latency_ms}
    return weights, Job(**{"space": space, "weights": lambda part: weights, **given, **changes})


@pytest.mark.parametrize(
    ("reward", "ms", "expected"),
    [
        (Absolute(), 10.0, 0.8),
        (Absolute(), 5.0, 0.8 - 0.1 * 0.5),
        (Absolute(beta=-0.2), 15.0, 0.8 - 0.2 * 0.5),
        (Soft(), 10.0, 0.8),
        (Soft(), 20.0, 0.8 * 2**-0.07),
        (Soft(), 5.0, 0.8 * 2**0.07),
        (Hard(), 5.0, 0.8),
        (Hard(), 20.0, 0.4),
    ],
)
def test_rewards_by_hand(reward, ms: float, expected: float):
    assert reward(0.8, ms, 10.0) == pytest.approx(expected)


def test_a_choice_that_is_not_open_neither_counts_nor_learns():
    policy = Policy(load_space("proxylessnas_32px"))
    space = policy.space
    skipped = next(name for name in policy.row if space.keys[name] == "blocks")
    full = {name: 0 for name in policy.row} | {skipped: 1}  # the second option leaves the row out
    assignment = space.complete(lambda choice: full[choice.name])
    log_p = policy.log_probability(assignment)
    expected = -sum(math.log(policy.options[name]) for name in assignment)
    assert log_p.item() == pytest.approx(expected, rel=1e-5)
    log_p.backward()
    closed = [row for name, row in policy.row.items() if name not in assignment]
    assert len(closed) == 2  # its kernel and its expansion
    assert policy.logits.grad[closed].abs().max() == 0
    assert all(policy.logits.grad[policy.row[name]].abs().max() > 0 for name in assignment)


def test_sampling_follows_the_probabilities():
    policy = Policy(planted_space(rows=2))
    with torch.no_grad():
        policy.logits[1] = torch.tensor([0.0, math.log(2.0), math.log(5.0)])
    name = list(policy.row)[1]
    assert policy.probabilities()[name] == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    drawn = [policy.sample(np.random.default_rng(seed))[name] for seed in range(2000)]
    assert np.bincount(drawn) / 2000 == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.04)
    assert policy.most_probable()[name] == 2


def test_the_likeliest_networks_come_in_the_order_of_their_probability():
    policy = Policy(planted_space(rows=2))
    with torch.no_grad():
        policy.logits += torch.randn(policy.logits.shape, generator=torch.Generator().manual_seed(0))
    found = [policy.log_probability(each).item() for each in policy.likeliest(1000)]
    expected = [policy.log_probability(each).item() for each in members(policy.space)]
    assert found == pytest.approx(sorted(expected, reverse=True)) and len(found) == 81
    assert next(policy.likeliest(1)) == policy.most_probable()


class Drifting(Planted):
    """Some batches are harder than others, and the weights get better."""

    def accuracy(self, step, child):
        return super().accuracy(step, child) + math.sin(step) + step / 100


@pytest.mark.parametrize(("children", "alike"), [(4, True), (2, True), (1, False)])
def test_networks_of_a_step_are_compared_with_each_other(children: int, alike: bool):
    """What all networks of a step have in common teaches the policy nothing; alone, a network is taken for better."""
    found = []
    for kind in (Planted, Drifting):
        weights = kind(planted_space())
        job = planted_job(epochs=2, weights=lambda part, w=weights: w, settings=Settings(children=children))[1]
        found.append(np.concatenate(list(tunas(job).history[-1]["probabilities"].values())))
    assert np.allclose(*found, atol=1e-3) == alike


def test_it_finds_the_best_network_within_the_budget():
    """On average less than 2 points below the best of 810 networks; half of those within the budget lack 8 or more."""
    assert len(planted_members()) == 9**2 + 9**3
    lacking, lacking_at_random = [], []
    for seed in range(2):
        weights, job = planted_job(seed, epochs=16)
        best, found = weights.best(job.budget_ms), tunas(job).assignments[0]
        within = [member for member in planted_members() if weights.latency_ms(member) <= job.budget_ms]
        lacking.append(best - weights.true_accuracy(found))
        lacking_at_random.append(np.median([best - weights.true_accuracy(member) for member in within]))
    assert min(lacking_at_random) > 0.08
    assert np.mean(lacking) < 0.02


class Contrary(Planted):
    """On all images the worst is best."""

    def accuracy_on_all(self, child):
        return -super().accuracy_on_all(child)


def test_of_the_likely_networks_the_shared_weights_choose():
    found = {}
    for kind in (Planted, Contrary):
        weights = kind(planted_space())
        _, job = planted_job(epochs=4, weights=lambda part, w=weights: w)
        found[kind] = tunas(job)
        liked = [weights.accuracy_on_all(each) for each in found[kind].assignments]
        assert len(liked) == 3 and liked == sorted(liked, reverse=True)
        assert all(weights.latency_ms(each) <= job.budget_ms for each in found[kind].assignments)
    assert found[Planted].history == found[Contrary].history  # the policy is the same
    assert not any(each in found[Contrary].assignments for each in found[Planted].assignments), "of more than three"
    best, worst = (weights.true_accuracy(each.assignments[0]) for each in found.values())
    assert best > worst + 0.02


def test_whatever_the_budget_the_result_is_within_it():
    weights, _ = planted_job(seed=2)
    fastest, slowest = (f(weights.latency_ms(member) for member in planted_members()) for f in (min, max))
    for budget in np.linspace(fastest, slowest, 7):
        found = tunas(planted_job(seed=2, epochs=1, budget_ms=float(budget) + 1e-9)[1])
        assert all(weights.latency_ms(each) <= budget + 1e-9 for each in found.assignments)
        assert len({tuple(each.items()) for each in found.assignments}) == len(found.assignments)


@pytest.mark.parametrize("stages", [tunas, two_stages])
def test_a_budget_that_nothing_meets_gives_the_fastest_network(stages):
    weights, job = planted_job(seed=2, epochs=2, budget_ms=0.1)
    assert stages(job).assignments == (min(planted_members(), key=weights.latency_ms),)


def test_the_policy_stands_still_until_its_delay_is_over_and_the_average_reward_has_no_bias():
    weights, job = planted_job(settings=Settings(delay=0.5))
    weights.noise, weights.gains = 0.0, {name: gain * 0 for name, gain in weights.gains.items()}
    weights.costs = {name: cost * 0 for name, cost in weights.costs.items()}  # 1 ms whatever is chosen
    rows = tunas(job).history
    uniform = Policy(job.space).probabilities()
    assert all(row["probabilities"] == uniform and row["reward"] is None for row in rows if row["progress"] < 0.5)
    expected = 0.5 - 0.1 * abs(1.0 / job.budget_ms - 1.0)
    assert all(row["reward"] == pytest.approx(expected) for row in rows if row["progress"] > 0.51)


class Listening(Planted):
    """Remembers what was taught."""

    def teach(self, step, progress, child):
        self.heard = [*getattr(self, "heard", []), (progress, child)]
        return super().teach(step, progress, child)


def test_warm_ups_open_operators_and_widths_less_and_less():
    space = planted_space()
    weights = Listening(space)
    tunas(Job(space=space, weights=lambda part: weights, latency_ms=weights.latency_ms, budget_ms=20.0, seed=0,
              bound=Bound(epochs=8)))  # fmt: skip
    _, first = weights.heard[0]
    starts = [name for name in first[0] if space.keys[name] == "start_kernel"]
    ratios = [name for name in first[0] if space.keys[name] == "expand_ratio"]
    assert len(first) == 3
    for name in starts:  # all of them at once
        assert {child[name] for child in first} == {0, 1, 2}
    assert all(child[name] == 2 for child in first for name in ratios)  # the largest
    opened = [len(child) > 1 for _, child in weights.heard]
    assert sum(opened[:50]) > sum(opened[150:200]) > 0
    assert not any(opened[200:])
    without = Listening(space)
    tunas(Job(space=space, weights=lambda part: without, latency_ms=weights.latency_ms, budget_ms=20.0, seed=0,
              bound=Bound(epochs=1), settings=Settings(operator_warmup=False, width_warmup=False)))  # fmt: skip
    assert all(len(child) == 1 for _, child in without.heard)
    assert {child[0][name] for _, child in without.heard[:20] for name in ratios if name in child[0]} == {0, 1, 2}


def test_two_stages_find_sizes_first_and_kernels_then():
    space = planted_space()
    made: list[Listening] = []
    whole = Planted(space)

    def weights(part):
        made.append(Listening(part))
        made[-1].gains, made[-1].costs = whole.gains, whole.costs
        return made[-1]

    budget = float(np.median([whole.latency_ms(member) for member in planted_members()]))
    job = Job(
        space=space, weights=weights, latency_ms=whole.latency_ms, budget_ms=budget, seed=0, bound=Bound(epochs=20)
    )
    found = two_stages(job)
    plain = plain_kernels(space)
    assert made[1].began_from is made[0] and len(made) == 2
    assert set(plain.values()) == {0} and all(space.keys[name] == "start_kernel" for name in plain)
    coarse, fine = ({name for _, children in each.heard for name in children[0]} for each in made)
    assert not coarse & set(plain) and fine <= set(plain)
    sizes = {name: index for name, index in found.assignments[0].items() if name not in plain}
    likely = {name: index for name, index in found.most_probable.items() if name not in plain}
    assert sizes == likely and sizes.keys() <= coarse  # the second stage keeps them
    assert [row["stage"] for row in found.history] == sorted(row["stage"] for row in found.history)
    assert whole.latency_ms(found.assignments[0]) <= budget
    assert whole.best(budget) - whole.true_accuracy(found.assignments[0]) < 0.06


def test_two_stages_need_depthwise_convolutions_to_choose():
    space = load_space("metaformer_32px")
    job = Job(space=space, weights=Planted, latency_ms=lambda a: 1.0, budget_ms=1.0, seed=0, bound=Bound(epochs=1))
    with pytest.raises(InputError, match="metaformer_32px: leaves no depthwise convolution open"):
        two_stages(job)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    dataset = detect("digits", seed=0)
    preprocessing, _ = choose_input(dataset, size=8)
    return training_data(dataset, preprocessing)


def digits_space():
    row = {"block": "uib", "start_kernel": {"choice": [0, 3]}, "middle_kernel": {"choice": [0, 3, 5]}}
    row |= {"expand_ratio": {"choice": [1, 2, 4]}, "out_channels": {"choice": [8, 16, 24], "name": "width"}}
    stem = {"block": "conv", "kernel": 3, "stride": 2, "out_channels": {"choice": [4, 8, 16]}}
    stage = {"depth": {"choice": [1, 2, 3]}, "blocks": [row, row, row]}
    return parse_space(
        {"name": "digits_space", "input": [1, 8, 8], "stem": [stem], "stages": [stage], "num_classes": 10},
        source="digits",
    )


def digits_job(data: TrainingData, epochs: int, accelerator: torch.device = CPU, **changes: object) -> Job:
    space, recipe = digits_space(), Recipe(name="digits", batch_size=128, optimizer=AdamW(lr=0.01))
    weights = {"weights": lambda part: SharedWeights(part, data, recipe, seed=3, accelerator=accelerator)}
    macs = compile_space(space).macs()
    given = {"latency_ms": lambda assignment: macs.one(assignment) / 1e5, "budget_ms": 1.0, "seed": 3}
    return Job(**{"space": space, **weights, **given, "bound": Bound(epochs=epochs), **changes})


class Killed(Exception):
    pass


@pytest.mark.parametrize("stages", [pytest.param(tunas, marks=pytest.mark.soak), two_stages])
def test_killed_and_resumed_it_ends_as_if_it_had_not_been(data: TrainingData, tmp_path: Path, monkeypatch, stages):
    whole = stages(digits_job(data, 2))
    monkeypatch.setattr(resumable, "SAVE_EVERY_S", 0.0)
    for share in (0.3, 0.8):

        def stop(done: float, row: dict, share: float = share) -> None:
            if done >= share:
                raise Killed

        with pytest.raises(Killed):
            stages(digits_job(data, 2, folder=tmp_path, on_step=stop))
    assert stages(digits_job(data, 2, folder=tmp_path)) == whole
    again = stages(digits_job(data, 2, folder=tmp_path))
    assert again == whole, "finished is finished"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_it_finds_the_same_twice(data: TrainingData):
    torch.use_deterministic_algorithms(True, warn_only=True)  # as every command does
    gpu = find_accelerator("cuda")
    found, again = (two_stages(digits_job(data, 4, gpu)) for _ in range(2))
    assert found == again
    weights = digits_job(data, 4, gpu).weights(digits_space())
    child = digits_space().complete(lambda choice: len(choice.options) - 1)
    assert {each.device.type for each in weights.supernet.parameters()} == {"cuda"}
    for step in range(20):
        weights.teach(step, step / 20, [child])
    assert weights.accuracy_on_all(child) > 0.5
    assert {each.device for each in weights.extract(child).parameters()} == {CPU}


def test_a_checkpoint_of_another_space_is_refused(data: TrainingData, tmp_path: Path):
    tunas(digits_job(data, 1, folder=tmp_path))
    with pytest.raises(RunError, match="belongs to another search"):
        tunas(planted_job(folder=tmp_path)[1])


def find(said: Connection) -> None:
    said.send(tunas(planted_job(epochs=1)[1]))


@pytest.mark.soak
def test_another_process_with_another_hash_seed_finds_the_same():
    here, there = forks().Pipe(duplex=False)
    process = forks().Process(target=find, args=(there,))
    process.start()
    elsewhere = here.recv()
    process.join()
    assert elsewhere == tunas(planted_job(epochs=1)[1])


def test_the_weights_never_see_a_validation_image(data: TrainingData):
    """Other validation images, same weights; of images that are all alike, all are right or none is."""
    other = TrainingData(
        train=data.train,
        val=type(data.val)(images=data.val.images * 0, labels=data.val.labels * 0, ids=data.val.ids),
        preprocessing=data.preprocessing,
        augmentation=data.augmentation,
    )
    space = digits_space()
    child = space.complete(lambda choice: 0)
    states = []
    for given in (data, other):
        weights = SharedWeights(space, given, Recipe(name="digits"), seed=0)
        before = {key: tensor.clone() for key, tensor in weights.supernet.state_dict().items()}
        for step in range(3):
            weights.teach(step, step / 3, [child])
            assert given is data or weights.accuracy(step, child) in (0.0, 1.0)
        states.append(weights.supernet.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in before)
    assert any(not torch.equal(states[0][key], before[key]) for key in before)


@pytest.mark.parametrize("most", [2048, 50])
def test_a_child_is_judged_on_every_image_once(data: TrainingData, monkeypatch, most: int):
    """Whatever it says of an image is one class: the shares of right answers, were all of one class, add up to 1."""
    monkeypatch.setattr(shared_weights, "MOST_JUDGED", most)
    shares = []
    for label in range(10):
        split = type(data.val)(images=data.val.images, labels=data.val.labels * 0 + label, ids=data.val.ids)
        weights = SharedWeights(digits_space(), replace(data, val=split), Recipe(name="digits", batch_size=32), seed=0)
        shares.append(weights.accuracy_on_all(weights.supernet.space.complete(lambda choice: 0)))
    assert sum(shares) == pytest.approx(1.0) and max(shares) < 1.0
    right = np.array(shares) * min(most, len(data.val))
    assert right == pytest.approx(right.round())


def test_a_child_sees_the_images_at_its_own_resolution(data: TrainingData):
    """Half the side, a quarter of the pixels and of the multiplications; the head counts little."""
    side = Choice("side", (4, 8))
    space = digits_space().closed(input=[1, side, side])
    weights = SharedWeights(space, data, Recipe(name="digits"), seed=0)
    small, large = (space.complete(lambda choice, at=at: at if choice is side else 0) for at in (0, 1))
    for run in (partial(weights.accuracy, 0), lambda child: weights.teach(0, 0.0, [child])):
        flops = []
        for child in (small, large):
            with FlopCounterMode(display=False) as counter:
                run(child)
            flops.append(counter.get_total_flops())
        assert 3.5 < flops[1] / flops[0] <= 4.0


def test_attention_and_resolutions_may_be_open_together(data: TrainingData):
    """Whatever is drawn, and all operators at once: the warm-ups blend attention with other blocks."""
    side = Choice("side", (4, 8))
    mqa = {"block": "mqa", "heads": {"choice": [1, 2]}, "key_dim": 4, "value_dim": 4, "kv_stride": 2}
    uib = {"block": "uib", "start_kernel": {"choice": [0, 3]}, "middle_kernel": 3, "expand_ratio": 2, "out_channels": 8}
    stages = [{"blocks": [{"block": "conv", "kernel": 3, "out_channels": 8}, {"choice": [uib, mqa, None]}]}]
    raw = {"name": "attention", "input": [1, 8, 8], "num_classes": 10, "stages": stages}
    space = parse_space(raw, source="attention").closed(input=[1, side, side])
    macs = compile_space(space).macs()
    asked = {"space": space, "latency_ms": lambda assignment: macs.one(assignment) / 1e5, "budget_ms": 0.5}
    found = tunas(digits_job(data, 2, **asked))
    assert all(asked["latency_ms"](assignment) <= 0.5 for assignment in found.assignments)


def test_on_digits_the_policy_beats_uniform_sampling(data: TrainingData):
    """At the end networks drawn from the policy earn more than networks drawn uniformly, with the same weights."""
    made = []
    job = digits_job(data, 20)
    make = job.weights
    job = Job(**{**vars(job), "weights": lambda part: made.append(make(part)) or made[-1]})
    found = tunas(job)
    (weights,) = made
    policy = Policy(job.space)
    rows = found.history
    with torch.no_grad():
        for name, probabilities in rows[-1]["probabilities"].items():
            policy.logits[policy.row[name], : len(probabilities)] = torch.tensor(probabilities).log()

    def earned(policy: Policy) -> float:
        rewards = []
        for seed in range(40):
            drawn = policy.sample(np.random.default_rng(seed))
            child = job.space.complete(lambda choice: drawn[choice.name])  # noqa: B023
            rewards.append(Absolute()(weights.accuracy(0, child), job.latency_ms(child), job.budget_ms))
        return float(np.mean(rewards))

    assert earned(policy) > earned(Policy(job.space)) + 0.02
    assert rows[-1]["entropy"] < rows[0]["entropy"]
    assert job.latency_ms(found.assignments[0]) <= job.budget_ms
    assert weights.accuracy(0, found.assignments[0]) > 0.8
