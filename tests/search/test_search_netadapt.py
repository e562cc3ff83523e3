"""NetAdapt on a judge whose accuracy is known: steps, proposals, and which of them wins."""

import msgspec
import pytest

from ridgepoint.arch.network import Network
from ridgepoint.arch.shrink import knobs
from ridgepoint.arch.zoo import load
from ridgepoint.cost.roofline import Roofline
from ridgepoint.errors import InheritanceError
from ridgepoint.nn.build import build
from ridgepoint.nn.inherit import inherit
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.driver import run_search
from ridgepoint.search.method import Judgement, Problem, Proposal
from ridgepoint.search.methods.netadapt import _proposals, least_loss_per_ms, most_accurate, netadapt
from ridgepoint.search.study import Study
from ridgepoint.testing import problems
from ridgepoint.testing.problems import make_problem, seed_network

SEED_MS = Roofline(problems.DEVICE).latency(seed_network()).ms


def adapted(name: str = "netadapt", *, share: float = 0.6, steps: int = 4, **given) -> list[Candidate]:
    evaluations = 1 + steps * (len(knobs(seed_network())) + 1)
    return problems.search(name, make_problem(name, budget_ms=share * SEED_MS, evaluations=evaluations, **given))


def generations(found: list[Candidate]) -> dict[str | None, list[Candidate]]:
    """Candidates by parent."""
    grouped: dict[str | None, list[Candidate]] = {}
    for candidate in found:
        grouped.setdefault(candidate.parent, []).append(candidate)
    return grouped


def test_it_starts_from_the_seed_and_ends_within_the_budget():
    found = adapted()
    seed = found[0]
    assert seed.network.digest == seed_network().digest and seed.note == "the seed network"
    steps = generations(found)
    parents = [found[int(name.removeprefix("candidate-"))] for name in steps if name]
    latencies = [parent.estimated_ms for parent in parents]
    assert latencies == sorted(latencies, reverse=True) and len(latencies) >= 3
    assert all(ms > 0.6 * SEED_MS for ms in latencies), "a network within the budget has no children"
    assert min(each.estimated_ms for each in found) <= 0.6 * SEED_MS


@pytest.mark.parametrize("name", ["netadapt", "netadapt_original"])
def test_every_proposal_cuts_at_least_delta_and_the_rule_chooses(name: str):
    found = adapted(name)
    rule = least_loss_per_ms if name == "netadapt" else most_accurate
    delta = 0.4 * SEED_MS / 4
    steps = generations(found)
    names = [each for each in steps if each]
    for place, parent in enumerate(names):
        current = found[int(parent.removeprefix("candidate-"))]
        target = max(current.estimated_ms - delta, 0.6 * SEED_MS)
        assert all(child.estimated_ms <= target + 1e-9 for child in steps[parent])
        assert "all widths" in {child.note for child in steps[parent]}
        if place + 1 < len(names):
            assert rule(current, steps[parent]).name == names[place + 1]


def test_rules_by_hand():
    def candidate(name: str, ms: float, share: float) -> Candidate:
        return Candidate(
            name=name, phase="search", network=seed_network(), seed=0, predicted_ms=ms, short_accuracy=share
        )

    current = candidate("current", 10.0, 0.90)
    # losses per ms: 0.02 / 1 = 0.02, 0.03 / 3 = 0.01, 0.10 / 4 = 0.025
    offered = [candidate("a", 9.0, 0.88), candidate("b", 7.0, 0.87), candidate("c", 6.0, 0.80)]
    assert least_loss_per_ms(current, offered).name == "b"
    assert most_accurate(current, offered).name == "a"


def test_what_it_proposes_inherits_from_its_parent():
    asked: list[tuple[str | None, bool]] = []

    class Watching(problems.Formula):
        def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
            asked.append((proposal.parent, proposal.inherits))
            return super().judge(candidate, proposal)

    adapted(judge=Watching())
    assert asked[0] == (None, True) and all(inherits for _, inherits in asked)
    assert asked[1] == ("candidate-000", True)


def test_what_it_makes_of_repvit_takes_over_the_weights_of_its_parent():
    """Its identities are plain, its squeezes follow its widths, and its strided block has two expansions."""
    whole = load("repvit_m0_9").at(height=64).with_classes(10)
    network = msgspec.structs.replace(whole, stages=whole.stages[:2])
    made = {}

    class Heirs(problems.Formula):
        def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
            made[candidate.name] = candidate.network
            if proposal.parent is not None:
                inherit(candidate.network, build(made[proposal.parent]))
            return super().judge(candidate, proposal)

    ms = Roofline(problems.DEVICE).latency(network).ms
    model = Roofline(problems.DEVICE)
    problem = Problem(latency=model, budget_ms=0.9 * ms, judge=Heirs(), seed=0, network=network, evaluations=60)
    found = run_search(problem, netadapt, Study())
    assert len(found) > 20 and all(each.short_accuracy is not None for each in found)
    notes = {each.note.split(":")[0] for each in found}
    assert {"expansion of stages.0.1", "expansion of stages.1.0", "bottleneck of stages.1.0"} <= notes


def test_a_child_that_cannot_inherit_is_left_out_and_the_search_goes_on():
    class Choosy(problems.Formula):
        def judge(self, candidate: Candidate, proposal: Proposal) -> Judgement:
            if candidate.note.startswith("head of"):
                raise InheritanceError("another wiring")
            return super().judge(candidate, proposal)

    found = adapted(judge=Choosy())
    left = [each for each in found if each.note == "no heir of its parent"]
    assert left and all(each.short_accuracy is None for each in left)
    assert not {each.name for each in left} & {each.parent for each in found}
    assert any(each.estimated_ms <= 0.6 * SEED_MS and each.short_accuracy is not None for each in found)


def test_a_seed_within_the_budget_is_the_result():
    (only,) = adapted(share=1.1)
    assert only.network.digest == seed_network().digest


@pytest.mark.parametrize(
    "name",
    ["mobilenetv1_100", "mobilenetv2_050", "mobilenetv3_large_100", "mobilenetv4_conv_small",
     "mobilenetv4_hybrid_medium", "mobileone_s0", "efficientformer_l1"],
)  # fmt: skip
def test_every_family_has_proposals(name: str):
    """Each just below the target: a width more would be above it."""
    network: Network = load(name)
    model = Roofline(problems.DEVICE)
    target = 0.97 * model.latency(network).ms
    problem = Problem(latency=model, budget_ms=target, judge=problems.Formula(), seed=0, network=network)
    found = list(_proposals(problem, network, target))
    kinds = {note.split(" of ")[0] for _, note in found}
    assert {"all widths", "bottleneck"} <= kinds
    assert "expansion" in kinds or name in ("mobilenetv1_100", "mobileone_s0")
    for proposed, _ in found:
        assert model.latency(proposed).ms <= target
        assert msgspec.structs.replace(proposed, name=network.name) == proposed
