"""A fit to a device that is not at hand: the budget is held against what is predicted; nothing is called measured."""

import json
from pathlib import Path

import pytest
from cli_helpers import run as ridgepoint
from fit_helpers import COUNTED, SPACE_FILE

from ridgepoint.arch.zoo import load
from ridgepoint.cost.confidence import above
from ridgepoint.cost.device import load_device
from ridgepoint.cost.roofline import predict_latency
from ridgepoint.errors import InputError
from ridgepoint.fit.goals import find_goals
from ridgepoint.fit.settings import make_settings
from ridgepoint.search.study import Study

WORDS = ("fit", "digits", "--size", "16", "--space", str(SPACE_FILE), *COUNTED)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("predicted") / "run"
    words = (*WORDS, "--baselines", "1", "--device", "pixel6-cpu", "--latency", "0.01ms", "--confidence", "0.95")
    done = ridgepoint(*words, "--out", str(run))
    assert done.returncode == 0, done.stderr
    assert "Should meet 0.01 ms" in done.stdout and "Nothing was measured on pixel6-cpu" in done.stdout
    assert "undisturbed" not in done.stdout
    return run


def test_the_result_says_what_was_predicted_and_for_how_many_networks(fitted: Path):
    result = json.loads((fitted / "result.json").read_text())
    latency, device = result["latency"], load_device("pixel6-cpu")
    expected = predict_latency(load(fitted / "architecture.yaml"), device)
    assert (latency["kind"], latency["device"], latency["confidence"]) == ("predicted", "pixel6-cpu", 0.95)
    assert latency["ms"] == pytest.approx(expected.ms) and latency["high_ms"] == pytest.approx(expected.high_ms)
    assert (
        latency["bound_ms"] == pytest.approx(expected.ms * above(device.interval, 0.95))
        and latency["precision"] == "int8"
    )
    assert latency["high_ms"] < latency["bound_ms"] <= result["budget_ms"] and result["met"] is True
    assert result["parity"]["top1_agreement"] == 1.0, "the file is checked here all the same"
    assert {each["latency"]["kind"] for each in result["finalists"] + result["baselines"]} == {"predicted"}
    assert result["search"]["gap"] is None and "p90_ms" not in latency


def test_no_candidate_of_it_was_measured_and_the_page_says_so(fitted: Path):
    candidates = Study(fitted).candidates()
    assert candidates and all(each.measured_ms is None and each.tabled_ms is None for each in candidates)
    assert all(each.predicted_ms is not None for each in candidates)
    page = (fitted / "report.html").read_text()
    assert "Nothing was measured on pixel6-cpu" in page and "Latencies are predicted for pixel6-cpu in int8" in page
    assert "<small>p90" not in page and "Latencies are measured" not in page


def test_a_budget_that_only_holds_without_the_interval_is_missed(tmp_path: Path):
    """What the smallest network is predicted to take is not enough: nine of ten may take up to a fifth more."""
    (goal,) = find_goals(make_settings(data="digits", latency_ms=1.0, device="pixel6-cpu"))
    assert goal.allowed_ms == pytest.approx(1 / load_device("pixel6-cpu").interval[1])
    words = (*WORDS, "--device", "pixel6-cpu", "--latency", "0.0001ms", "--out", str(tmp_path / "run"))
    done = ridgepoint(*words)
    assert done.returncode == 3 and "by the profile of pixel6-cpu" in done.stderr and "Allow at least" in done.stderr


def test_a_network_of_a_wider_interval_counts_as_much_longer_and_is_told_as_predicted():
    """What is allowed is one number for all; the interval of networks with large depthwise convolutions is wider."""
    (goal,) = find_goals(make_settings(data="digits", latency_ms=1.0, device="pixel6-cpu"))
    device, usual, slow = load_device("pixel6-cpu"), load("mobilenetv2_100"), load("fastvit_t8")
    assert goal.target.latency(usual).ms == pytest.approx(predict_latency(usual, device).ms)
    told, expected = goal.target.latency(slow), predict_latency(slow, device)
    assert told.bound_ms == pytest.approx(expected.ms * device.large_depthwise_interval[1])
    assert told.bound_ms / 1.0 == pytest.approx(told.ms / goal.allowed_ms) and told.high_ms == expected.high_ms
    (shipped,) = goal.target.files({"it": Path("model.onnx")}, {"it": slow}, patience_s=0.0).values()
    assert (shipped.ms, shipped.bound_ms) == (expected.ms, told.bound_ms)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--device", "pixel9"), "did you mean"),
        (("--device", "pixel6-cpu", "--precision", "int8"), "export RUN --int8"),
        (("--device", "pixel6-cpu", "--threads", "2"), "--threads is 2"),
        (("--device", "pixel6-cpu", "--confidence", "1.5"), "above 0 and below 1"),
        (("--confidence", "0.8"), "--device is host"),
        (("--device", "board.yaml"), "has no interval"),
    ],
)
def test_what_cannot_be_promised_is_refused_with_what_to_do(more: tuple[str, ...], told: str, tmp_path: Path):
    board = "name: board\nsource: guessed\npeak_macs_per_s: 6.0e+10\nbandwidth_bytes_per_s: 8.0e+9\n"
    (tmp_path / "board.yaml").write_text(board)
    more = tuple(str(tmp_path / word) if word == "board.yaml" else word for word in more)
    done = ridgepoint(*WORDS, "--latency", "1ms", *more, "--out", str(tmp_path / "run"))
    assert done.returncode == 2 and told in done.stderr and not (tmp_path / "run").exists()


def test_intervals_of_other_confidence_are_nested():
    assert above((0.9, 1.2), 0.9) == 1.2
    assert 1 < above((0.9, 1.2), 0.5) < above((0.9, 1.2), 0.8) < 1.2 < above((0.9, 1.2), 0.99)
    with pytest.raises(InputError, match="above 0 and below 1"):
        above((0.9, 1.2), 1.0)
