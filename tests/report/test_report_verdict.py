"""The first lines of a page and the last ones of the terminal: what a run came to, and what to do next."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from report_helpers import stopwatch, write_result

from ridgepoint.cli.ending import tell_fit
from ridgepoint.report.result import Metric, read_run
from ridgepoint.report.verdict import Verdict, gain, verdict
from ridgepoint.run.result import Accuracy

CURVE = [Metric(step=step, progress=step / 10, val_accuracy=0.5 + 0.04 * step) for step in range(1, 11)]


def told(run: Path, **changes: Any) -> Verdict:
    write_result(run, **{key: msgspec.to_builtins(value) for key, value in changes.items()})
    return verdict(read_run(run))


def test_a_budget_that_is_met_and_used(run: Path) -> None:
    found = told(run)
    assert (found.tone, found.badge) == ("good", "budget met")
    assert found.sentences == (
        "Meets 4 ms: 3.1 ms measured, 78 % of the budget.",
        "96.0 % (92.3 to 98.0) of 200 untouched test images are right.",
    )
    assert found.guess == (
        "Always answering the most frequent class: 25.0 %. Balanced accuracy, all classes counting alike: 95.0 %."
    )
    assert [step.command.split()[1] for step in found.steps] == ["predict", "eval"]


def test_little_of_the_budget_is_used(run: Path) -> None:
    found = told(run, latency=stopwatch(0.2))
    assert "5 % of the budget" in found.sentences[0] and "larger network would fit" in found.sentences[2]


def test_a_training_that_was_still_learning(run: Path) -> None:
    path = run / "trainings" / "winner" / "metrics.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in CURVE))
    found = told(run)
    assert "still learning when its training ended after 12 passes over the images" in found.sentences[2]
    assert "rose by 16 points in the last third" in found.sentences[2]
    assert found.steps[0].command == ("ridgepoint fit shapes/ --latency 4ms --evaluations 30 --set epochs=100 --seed 3")
    assert found.steps[1].command.endswith("--weights FILE")


@pytest.mark.parametrize(("share", "weights", "offered"), [(0.9, "w", True), (0.4, "w", False), (0.9, None, False)])
def test_published_weights_that_use_their_budget_in_float_may_compete_in_int8(
    run: Path, share: float, weights: str | None, offered: bool
) -> None:
    baselines = msgspec.json.decode((run / "result.json").read_bytes())["baselines"]
    found = told(run, latency=stopwatch(4 * share), baselines=[{**baselines[0], "weights": weights}])
    commands = [step.command for step in found.steps]
    asked = "ridgepoint fit shapes/ --latency 4ms --precision auto --evaluations 30 --seed 3"
    assert (asked in commands) == offered


def test_whoever_always_says_the_most_frequent_class_has_learnt_nothing(run: Path) -> None:
    found = told(run, accuracy=Accuracy(artefact=0.24, balanced=0.1, majority=0.24, count=341))
    assert (found.tone, found.badge) == ("open", "met, but nothing learnt")
    assert "learnt next to nothing after 12 passes" in found.sentences[2]
    assert "most frequent class: 24.0 %" in found.guess


def test_a_missed_budget(run: Path) -> None:
    found = told(run, met=False, budget_ms=2.0)
    assert (found.tone, found.badge) == ("bad", "budget missed")
    assert found.sentences[0] == "Misses 2 ms: the nearest network takes 3.1 ms measured, 1.6 times the budget."
    assert "--latency 3.3ms" in found.steps[0].command and "--size 48" in found.steps[1].command


def test_a_doubt_comes_first_whatever_was_measured(run: Path) -> None:
    found = told(run, doubts=["the machine was busy"])
    assert (found.tone, found.badge) == ("open", "not measurable")
    assert found.sentences[0] == "NOT measurable: the machine was busy."
    again = "ridgepoint fit shapes/ --latency 4ms --evaluations 30 --seed 3"
    assert found.steps[0].command == f"{again} --out {run} --resume"
    assert "Meets" not in " ".join(found.sentences)


def test_an_old_run_is_held_to_its_confusion(run: Path) -> None:
    found = told(run, accuracy=Accuracy(artefact=0.96, count=200))
    assert found.guess.startswith("Always answering the most frequent class: 25.0 %.")


@pytest.mark.parametrize(("rows", "rise"), [(CURVE, 0.16), (CURVE[:1], 0.0), (CURVE[7:], 0.0), ([], 0.0)])
def test_the_gain_of_the_last_third(rows: list[Metric], rise: float) -> None:
    assert gain(rows) == pytest.approx(rise)


def test_the_terminal_says_the_same_and_cuts_no_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "a_network_with_a_name_that_is_longer_than_many_a_terminal_is_wide"
    document = msgspec.json.decode((run / "result.json").read_bytes())
    document["baselines"][0]["name"] = long
    write_result(run, baselines=document["baselines"], notes=["The result started from the weights w.pth."])
    tell_fit(run)
    said = capsys.readouterr().out
    assert "\n".join(verdict(read_run(run)).sentences) in said
    row = next(line for line in said.splitlines() if long in line)
    assert "64 px, 12 blocks" in row and "90.0 %" in row and "35 %" in row
    assert "undisturbed" in said and "p50" not in said and "…" not in said
    assert "note: The result started from the weights w.pth." in said
    assert "Recall differs" not in said and f"artefact: {run / 'model.onnx'}" in said


def test_unequal_classes_are_named_in_the_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = msgspec.json.decode((run / "evaluation.json").read_bytes())
    evaluation["per_class"][2]["recall"] = 0.3
    (run / "evaluation.json").write_bytes(msgspec.json.encode(evaluation))
    tell_fit(run)
    assert "Recall differs by class: <b>star & moon</b> 30 %, circle 96 %" in capsys.readouterr().out
