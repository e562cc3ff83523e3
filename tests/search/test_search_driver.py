"""The driver and the journal: what is judged, what is only recorded, and when a search ends."""

import functools
from pathlib import Path

import msgspec
import numpy as np
import pytest
from search_helpers import MacsLatency, macs_ms

from ridgepoint.errors import DivergedError, InheritanceError, RunError
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.draw import Draws, difference, smallest, uniform_starts
from ridgepoint.search.driver import PATIENCE, run_search
from ridgepoint.search.finalists import choose_finalists
from ridgepoint.search.method import Judgement, Problem, Proposal, Proposals
from ridgepoint.search.methods import find_method
from ridgepoint.search.methods.metapath import small_metapath
from ridgepoint.search.study import Study, read_candidates
from ridgepoint.testing import problems
from ridgepoint.testing.problems import Formula, accuracy, journal, latencies, make_problem, small_space

NETWORKS = [small_space().sample(np.random.default_rng(seed)) for seed in range(6)]


def problem(*, budget_ms: float = 1e9, evaluations: int = 4, judge=None) -> Problem:
    """A millisecond for every million MACs."""
    return Problem(
        latency=MacsLatency(), budget_ms=budget_ms, judge=judge or Formula(), seed=3, space=small_space(),
        evaluations=evaluations,
    )  # fmt: skip


def proposing(*proposals: Proposal):
    """A method that proposes what it is given."""

    def method(problem: Problem) -> Proposals:
        for proposal in proposals:  # noqa: UP028 - nothing can be sent to a tuple's iterator
            yield proposal

    return method


def test_everything_that_is_known_goes_to_the_journal(tmp_path: Path):
    study = Study(tmp_path)
    proposals = [Proposal(network=NETWORKS[0]), Proposal(network=NETWORKS[1], parent="candidate-000", note="a child")]
    found = run_search(problem(), proposing(*proposals), study)
    assert found == study.candidates() == read_candidates(tmp_path)
    child = found[1]
    assert (child.name, child.parent, child.note, child.seed) == ("candidate-001", "candidate-000", "a child", 3)
    assert child.tabled_ms == macs_ms(NETWORKS[1]) and child.predicted_ms is None and child.measured_ms is None
    assert child.short_accuracy == accuracy(child.network) and child.phase == "search"
    assert child.network.name == "candidate-001" and child.network.digest == NETWORKS[1].digest


def test_what_is_over_the_budget_is_recorded_and_not_trained_unless_it_is_a_step():
    ordered = sorted(NETWORKS, key=macs_ms)
    budget = macs_ms(ordered[0])
    proposals = [Proposal(network=ordered[5]), Proposal(network=ordered[4], step=True), Proposal(network=ordered[0])]
    over, step, within = run_search(problem(budget_ms=budget), proposing(*proposals), Study())
    assert over.short_accuracy is None and "over the budget by the tabled latency" in over.note
    assert step.short_accuracy is not None and step.tabled_ms > budget
    assert within.short_accuracy is not None


def test_a_network_met_again_is_not_judged_again_unless_it_inherits():
    judged: list[str] = []

    class Counting(Formula):
        def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
            judged.append(candidate.name)
            return super().judge(candidate, proposal)

    again = Proposal(network=NETWORKS[0])
    heir = Proposal(network=NETWORKS[0], parent="candidate-000", inherits=True)
    found = run_search(problem(judge=Counting()), proposing(again, again, heir), Study())
    assert judged == ["candidate-000", "candidate-002"]
    assert found[1].note == "the same network as candidate-000" and found[1].short_accuracy == found[0].short_accuracy


def test_a_search_ends_when_enough_were_trained_but_not_before_one_is_within_the_budget():
    ordered = sorted(NETWORKS, key=macs_ms)
    budget = macs_ms(ordered[0])
    steps = [Proposal(network=network, step=True) for network in reversed(ordered)]
    assert len(run_search(problem(evaluations=2, budget_ms=1e9), proposing(*steps), Study())) == 2
    assert len(run_search(problem(evaluations=2, budget_ms=budget), proposing(*steps), Study())) == 6


def test_a_method_that_finds_nothing_new_is_stopped():
    def stubborn(problem: Problem) -> Proposals:
        while True:
            yield Proposal(network=NETWORKS[0])

    assert len(run_search(problem(), stubborn, Study())) == PATIENCE + 2


def test_a_candidate_that_diverges_is_left_out_unless_it_is_the_first():
    class Diverging(Formula):
        def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
            if candidate.network.digest == NETWORKS[1].digest:
                raise DivergedError("the loss is nan")
            return super().judge(candidate, proposal)

    proposals = [Proposal(network=network) for network in NETWORKS[:3]]
    found = run_search(problem(judge=Diverging()), proposing(*proposals), Study())
    assert [candidate.note for candidate in found] == ["", "diverged", ""] and found[1].short_accuracy is None
    with pytest.raises(DivergedError):
        run_search(problem(judge=Diverging()), proposing(*proposals[1:]), Study())


def test_a_first_candidate_that_cannot_inherit_ends_the_search():
    """Then the weights that the search was told to start from are wrong."""

    class Choosy(Formula):
        def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
            raise InheritanceError("cannot inherit")

    with pytest.raises(InheritanceError, match="cannot inherit"):
        run_search(problem(judge=Choosy()), proposing(Proposal(network=NETWORKS[0])), Study())


def test_a_study_of_another_search_is_refused():
    study = Study()
    run_search(problem(), proposing(Proposal(network=NETWORKS[0])), study)
    with pytest.raises(RunError, match="belongs to another search"):
        run_search(problem(), proposing(Proposal(network=NETWORKS[1])), study)


class Additive(Formula):
    """Every place has kernels and widths that it likes, whatever they cost; accuracy is how well it is served."""

    def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
        rows = [(place, block.kernel, block.out_channels) for place, (_, block) in enumerate(candidate.network.rows())]
        liked = [np.random.default_rng([7, *row]).random() for row in rows]
        return Judgement(accuracy=float(np.mean(liked)), seconds=0.0)


@pytest.mark.parametrize("name", ["evolution", "nsga2"])
def test_evolution_beats_chance_where_choices_add_up(name: str):
    """11 million networks of six convolutions, 100 candidates, six seeds: better than random search in the median."""
    assert np.median(best_of_additive(name)) > np.median(best_of_additive("random")) + 0.02


@functools.cache
def best_of_additive(name: str) -> list[float]:
    """By seed, what a method finds."""
    row = {"block": "conv", "kernel": {"choice": [1, 3, 5]}, "out_channels": {"choice": [8, 16, 24, 32, 48]}}
    space, best = problems.make_space([{"blocks": [row] * 6}]), []
    for seed in range(6):
        given = {"space": space, "latency": MacsLatency(), "judge": Additive(), "seed": seed, "evaluations": 100}
        found = problems.search(name, make_problem(name, budget_ms=6.0, **given))
        best.append(max(candidate.short_accuracy or 0.0 for candidate in found))
    return best


def test_evolution_names_parents_and_changes_one_choice_and_says_which():
    space, found = small_space(), problems.search("evolution", make_problem("evolution", budget_ms=1e6, evaluations=40))
    children = [candidate for candidate in found if candidate.parent]
    assert len(children) == 30
    by_name = {candidate.name: space.encode(candidate.network) for candidate in found}
    for child in children:
        mine, theirs = by_name[child.name], by_name[child.parent]
        (changed,) = (name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name])
        options = next(choice.options for choice in space.choices if choice.name == changed)
        assert child.note == f"{changed} {options[theirs[changed]]} to {options[mine[changed]]}"


def test_a_difference_of_rows_is_told_by_their_blocks():
    space = small_metapath()
    least, most = (space.complete(lambda choice, last=last: last and len(choice.options) - 1) for last in (0, 1))
    told = difference(space, least, most)
    assert "stages.0.blocks.0.out_channels 16 to 64" in told
    assert "stages.1.blocks.1 nothing to attention_mixer" in told
    assert difference(space, most, most) == ""
    row = {"choice": [{"block": "conv", "out_channels": 8}, {"block": {"choice": ["ib", "uib"]}, "out_channels": 8}]}
    space = problems.make_space([{"blocks": [row]}])
    assert difference(space, {"stages.0.blocks.0": 0}, {"stages.0.blocks.0": 1}) == "stages.0.blocks.0 conv to ib|uib"


def test_evolution_begins_with_networks_that_span_the_budget_and_bears_four_children_at_a_time():
    asked = make_problem("evolution", budget_ms=1e6)
    proposals = find_method("evolution").method(asked)
    born = list(next(proposals))
    starts = [asked.space.decode(assignment) for assignment in uniform_starts(asked, count=3)]
    assert [each.network for each in born[:3]] == starts and len(born) == 10
    alive: list[str] = []
    for generation in range(3):
        candidates = [judged(each, f"{generation}-{place}") for place, each in enumerate(born)]
        alive = [*alive, *(each.name for each in candidates)][-10:]  # the oldest die
        born = list(proposals.send(candidates))
        assert len(born) == 4 and all(each.parent in alive for each in born)


def judged(proposal: Proposal, name: str) -> Candidate:
    found = accuracy(proposal.network)
    return Candidate(
        name=name, phase="search", network=proposal.network, seed=0, predicted_ms=1.0, short_accuracy=found
    )


def test_draws_are_uniform_within_the_budget():
    """Six of the 15 networks of one convolution are over the budget: they never come, all others do."""
    row = {"block": "conv", "kernel": {"choice": [1, 3, 5]}, "out_channels": {"choice": [8, 16, 24, 32, 48]}}
    space = problems.make_space([{"blocks": [row]}])
    kernel, width = (choice.name for choice in space.choices)
    every = [space.decode({kernel: first, width: second}) for first in range(3) for second in range(5)]
    budget = sorted(macs_ms(network) for network in every)[8]
    given = Problem(latency=MacsLatency(), budget_ms=budget, judge=Formula(), seed=0, space=space)
    draws = Draws(given, "test")
    found = []
    while (drawn := draws.new(draws.uniform)) is not None:
        found.append(drawn[1])
    assert len(found) == 9
    assert {network.digest for network in found} == {each.digest for each in every if macs_ms(each) <= budget}


def test_the_smallest_network_is_found_wherever_its_options_stand():
    rows = [
        {"block": "conv", "kernel": {"choice": [3, 1, 5]}, "out_channels": {"choice": [16, 8]}},
        {"block": "conv", "kernel": 1, "out_channels": 8},
    ]
    space = problems.make_space([{"depth": {"choice": [2, 1]}, "blocks": rows}])
    network = space.decode(smallest(space))
    assert len(network.stages[0].blocks) == 1
    assert (network.stages[0].blocks[0].kernel, network.stages[0].blocks[0].out_channels) == (1, 8)


def test_starts_span_the_budget_from_above():
    given = problem(budget_ms=2.0)
    sizes = [macs_ms(given.space.decode(assignment)) for assignment in uniform_starts(given, count=5)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] <= 2.0 and 3 < len(sizes) <= 5
    assert uniform_starts(problem(budget_ms=1e-9), count=5) == [smallest(small_space())]


def test_scaling_spans_widths_and_resolutions():
    given = make_problem("scaling", budget_ms=latencies("scaling")[1], evaluations=12)
    found = problems.search("scaling", given)
    assert {candidate.network.input[1] for candidate in found} == {96, 80, 64, 48}  # wholes of the total stride
    assert len({candidate.network.digest for candidate in found}) == 12
    assert found[0].network.digest == problems.seed_network().digest, "at its own size the seed itself fits"


def candidate(name: str, ms: float, share: float | None) -> Candidate:
    network = msgspec.structs.replace(NETWORKS[0], num_classes=2 + int(name))
    return Candidate(name=name, phase="search", network=network, seed=0, tabled_ms=ms, short_accuracy=share)


def test_finalists_are_those_that_the_clock_confirms():
    """The table says 1.0 for all; the clock says 1.2 for the best, so the next ones are taken."""
    candidates = [candidate(str(index), 1.0, 0.9 - 0.1 * index) for index in range(4)]
    clocked: list[str] = []

    def clock(networks):
        clocked.extend(networks)
        return {name: 1.2 if name == "0" else 0.9 for name in networks}

    found = choose_finalists(candidates, clock, limit_ms=1.0, count=2, group=6, hedge=1.5)
    assert [each.name for each in found.chosen] == ["1", "2"] and clocked == ["0", "1", "2", "3"]
    assert [each.measured_ms for each in found.clocked] == [1.2, 0.9, 0.9, 0.9]
    assert all(each.phase == "finalist" for each in found.chosen)


def test_what_the_clock_said_of_the_first_is_applied_to_the_others():
    """Twelve alike by the table are 10 % slower by the clock: those with room for it are clocked next."""
    tight = [candidate(str(index), 1.0, 0.9 - 0.01 * index) for index in range(12)]
    roomy = [candidate(str(12 + index), 0.8, 0.5 - 0.01 * index) for index in range(2)]
    clocked: list[str] = []

    def clock(networks):
        clocked.extend(networks)
        return {name: 0.88 if int(name) >= 12 else 1.1 for name in networks}

    found = choose_finalists(tight + roomy, clock, limit_ms=1.0, count=2, group=6, hedge=1.5)
    assert [each.name for each in found.chosen] == ["12", "13"]
    assert clocked[:8] == ["0", "1", "2", "3", "4", "5", "12", "13"] and len(clocked) == 12
    assert found.gap == pytest.approx(1.1)


def test_no_finalist_where_the_clock_confirms_none():
    found = choose_finalists(
        [candidate("0", 1.0, 0.5), candidate("1", 2.0, 0.9), candidate("2", 0.5, None)],
        lambda networks: dict.fromkeys(networks, 1.5), limit_ms=1.0, count=2, group=6, hedge=1.5,
    )  # fmt: skip
    assert found.chosen == () and [each.name for each in found.clocked] == ["0"] and found.gap == 1.5


def test_the_best_of_the_clearly_larger_ones_comes_second():
    given = [candidate("0", 0.5, 0.9), candidate("1", 0.6, 0.8), candidate("2", 0.8, 0.7), candidate("3", 0.9, 0.6)]
    found = choose_finalists(
        given, lambda networks: dict.fromkeys(networks, 0.5), limit_ms=1.0, count=4, group=6, hedge=1.5
    )
    assert [each.name for each in found.chosen] == ["0", "2", "1", "3"]


def test_the_journal_keeps_everything_and_what_was_recorded_last(tmp_path: Path):
    rival = Candidate(
        name="rival", phase="baseline", network=NETWORKS[0], seed=4, tabled_ms=1.0, measured_ms=1.1,
        measured_p90_ms=1.2, val_accuracy=0.8, test_accuracy=0.7, train_s=3.0, note="ünïcode",
    )  # fmt: skip
    study = Study(tmp_path)
    study.record(rival)
    study.record(Candidate(name="unmeasured", phase="baseline", network=NETWORKS[0], seed=0))
    study.record(msgspec.structs.replace(rival, measured_ms=2.0))
    again = Study(tmp_path).candidates()
    assert [each.name for each in again] == ["rival", "unmeasured"] and again[0].measured_ms == 2.0
    assert again[0].note == "ünïcode" and Study(tmp_path).candidates("winner") == []
    assert journal(again) == journal(read_candidates(tmp_path))


def test_a_folder_without_a_study_is_told(tmp_path: Path):
    with pytest.raises(RunError, match=r"holds no study\.db"):
        read_candidates(tmp_path)
