"""Who is chosen, and whom it is compared with: no training and no clock."""

from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridgepoint.arch.zoo import load
from ridgepoint.cost.latency import MeasuredLatency
from ridgepoint.fit.choosing import choose
from ridgepoint.fit.finish import notes, rivals
from ridgepoint.fit.smaller import Smaller, at_smaller_input
from ridgepoint.run.result import Accuracy
from ridgepoint.search.candidate import Candidate

NETWORK = load("mobilenetv3_small_050").with_classes(3)
NUMBERS = st.tuples(st.integers(1, 9), st.sampled_from([0.2, 0.5, 0.9]))


def candidate(name: str, ms: float, accuracy: float, phase: str = "finalist", weights: str | None = None) -> Candidate:
    return Candidate(
        name=name,
        phase=phase,  # type: ignore[arg-type]
        network=NETWORK,
        seed=0,
        weights=weights,
        measured_ms=ms,
        val_accuracy=accuracy,
        steps=40,
        epochs=2.5,
        train_s=7.0,
    )


def latency(ms: float) -> MeasuredLatency:
    return MeasuredLatency(
        ms=ms, p90_ms=ms, spread=0.0, device="a CPU", runtime="onnxruntime", runtime_version="1", threads=1,
        precision="float32", warmup=1, rounds=1, runs=1, file_bytes=1,
    )  # fmt: skip


def test_the_best_within_the_budget_is_chosen() -> None:
    trained = [
        candidate("fast", 1, 0.6),
        candidate("good", 4, 0.8),
        candidate("equal", 3, 0.8),
        candidate("slow", 9, 1),
    ]
    assert choose(trained, budget_ms=5).name == "equal"
    assert choose(trained, budget_ms=4).name == "equal"
    assert choose(trained, budget_ms=1).name == "fast"  # as much as the budget is within it


def test_over_the_budget_the_fastest_is_chosen() -> None:
    assert choose([candidate("good", 4, 0.9), candidate("fast", 2, 0.1)], budget_ms=1).name == "fast"


def test_a_zoo_network_may_win() -> None:
    trained = [candidate("found", 2, 0.7), candidate("known", 3, 0.8, phase="baseline")]
    assert choose(trained, budget_ms=5).phase == "baseline"


@given(st.lists(NUMBERS, min_size=1, max_size=6), st.integers(1, 9))
def test_nobody_beats_the_chosen_one_by_the_rules(numbers: list[tuple[int, float]], budget: int) -> None:
    trained = [candidate(str(place), ms, accuracy) for place, (ms, accuracy) in enumerate(numbers)]
    chosen = choose(trained, budget)
    meeting = [each for each in trained if each.measured_ms <= budget]
    if meeting:
        assert chosen in meeting
        assert not any(each.val_accuracy > chosen.val_accuracy for each in meeting)
    else:
        assert chosen.measured_ms == min(each.measured_ms for each in trained)


def test_rivals_are_told_with_their_own_numbers() -> None:
    trained = [
        candidate("candidate-003", 4.0, 0.8),
        candidate("candidate-001", 6.0, 0.9),
        candidate("mobilenetv2_050", 5.0, 0.7, phase="baseline", weights="some.safetensors"),
    ]
    latencies = {each.name: latency(each.measured_ms) for each in trained}
    accuracies = {each.name: Accuracy(artefact=each.val_accuracy - 0.1, count=20) for each in trained}
    first, second = rivals(trained, "finalist", latencies, accuracies, budget_ms=5.0)
    (zoo,) = rivals(trained, "baseline", latencies, accuracies, budget_ms=5.0)
    assert [(each.name, each.role, each.met) for each in (first, second, zoo)] == [
        ("candidate-003", "finalist", True),
        ("candidate-001", "finalist", False),
        ("mobilenetv2_050", "zoo", True),
    ]
    assert (first.latency.ms, first.accuracy.artefact) == (4.0, pytest.approx(0.7))
    assert (first.steps, first.epochs, first.train_s) == (40, 2.5, 7.0)
    assert first.about == "224 px, 12 blocks, 8 to 48 channels"
    assert zoo.weights == "some.safetensors"


def test_where_a_smaller_input_was_refused_in_int8_no_further_one_is_tried() -> None:
    """Its float file may not ship, so that nothing tells how long a smaller one would take."""
    known = Smaller(source="learnt", candidates=[candidate("learnt-at-72px", 3, 0.5)])
    job = SimpleNamespace(run=SimpleNamespace(read_step=lambda *_: known))
    shipping = msgspec.structs.replace(candidate("learnt-int8", 4, 0.6), parent="learnt")
    assert at_smaller_input(job, [shipping], lambda each: each.final_ms) is None  # type: ignore[arg-type]


def test_where_the_winner_comes_from_is_a_note() -> None:
    found, known = candidate("found", 1, 0.5), candidate("known", 1, 0.5, phase="baseline")
    started = candidate("known", 1, 0.5, phase="baseline", weights="some.pth")
    assert notes(found, [found, known], searched=True) == [] == notes(known, [known], searched=False)
    assert "everything that the search found" in notes(known, [found, known], searched=True)[0]
    assert "from nothing beat what started from weights" in notes(known, [started, known], searched=False)[0]
    assert "weights some.pth" in notes(started, [started], searched=True)[0]
