"""A fit to several devices: every budget holds, and what is told of each is of that device."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import run as ridgepoint
from fit_helpers import COUNTED, SPACE_FILE

from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import load
from ridgepoint.cost.device import load_device
from ridgepoint.cost.roofline import predict_latency
from ridgepoint.errors import InputError
from ridgepoint.fit.choosing import choose
from ridgepoint.fit.further import shipped, tightest_ms
from ridgepoint.fit.goals import find_goals, shares, together
from ridgepoint.fit.prepare import check_settings
from ridgepoint.fit.settings import FitSettings, make_settings
from ridgepoint.fit.wanted import wanted
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.study import Study

WORDS = ("fit", "digits", "--size", "16", "--space", str(SPACE_FILE), *COUNTED, "--baselines", "2")
FIRST, OTHER = "pixel6-cpu", "galaxy-s24-npu"
LOOSE_MS = 0.3


def asked(*also: str, **more: object) -> FitSettings:
    return make_settings(**{"data": "digits", "latency_ms": 5.0, "also": also, **more})


def upper_ms(network: object, device: str) -> float:
    """What a budget is held against."""
    return predict_latency(network, device).ms * load_device(device).interval[1]


@pytest.fixture(scope="module")
def tight_ms() -> float:
    """On the other device, a budget that about a third of the space meets."""
    space = load_space(SPACE_FILE)
    every = [space.sample(np.random.default_rng(seed)) for seed in range(40)]
    return float(np.quantile([upper_ms(network, OTHER) for network in every], 0.3))


@pytest.fixture(scope="module")
def fitted(tight_ms: float, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("also") / "run"
    words = (*WORDS, "--device", FIRST, "--latency", f"{LOOSE_MS}ms", "--also", f"{OTHER}={tight_ms:.6g}ms")
    done = ridgepoint(*words, "--out", str(run))
    assert done.returncode == 0, done.stderr
    assert "Universality" in done.stdout and f"Nothing was measured on {OTHER}" in done.stdout
    return run


def test_every_budget_holds_and_each_time_is_of_its_device(fitted: Path, tight_ms: float):
    result, network = json.loads((fitted / "result.json").read_text()), load(fitted / "architecture.yaml")
    assert result["met"] and [each["name"] for each in result["targets"]] == [FIRST, OTHER]
    for told, budget in zip(result["targets"], (LOOSE_MS, tight_ms), strict=True):
        assert told["latency"]["ms"] == pytest.approx(predict_latency(network, told["name"]).ms)
        assert told["latency"]["bound_ms"] == pytest.approx(upper_ms(network, told["name"]))
        assert told["latency"]["bound_ms"] <= told["budget_ms"] == pytest.approx(budget, rel=1e-5) and told["met"]
        assert (fitted / told["artefact"]).is_file() and told["accuracy"] == result["accuracy"]["artefact"]
    assert result["latency"]["device"] == FIRST


def test_what_a_budget_costs_is_told_by_networks_that_only_it_forbids(fitted: Path, tight_ms: float):
    """The zoo's strongest network for the loose device alone is trained, too, and is over the budget of the other."""
    result = json.loads((fitted / "result.json").read_text())
    rivals = {each["name"]: each for each in result["baselines"]}
    over = [each for each in rivals.values() if each["elsewhere"][OTHER]["bound_ms"] > tight_ms]
    assert over and all(not each["met"] and each["latency"]["bound_ms"] <= LOOSE_MS for each in over)
    loose, tight = result["targets"]
    chosen = next(
        each["accuracy"]["val"]
        for each in result["finalists"] + result["baselines"]
        if each["name"] == result["network"]["name"]
    )
    best = max(each["accuracy"]["val"] for each in result["finalists"] + result["baselines"])
    assert loose["alone"]["score"] == best and loose["alone"]["ratio"] == pytest.approx(min(chosen / best, 1))
    assert tight["cost"] == pytest.approx(best - chosen) and loose["cost"] == 0.0
    assert result["universality"] == min(loose["alone"]["ratio"], tight["alone"]["ratio"])


def test_no_candidate_was_trained_that_any_budget_forbids(fitted: Path, tight_ms: float):
    taught = [each for each in Study(fitted).candidates("search") if each.short_accuracy is not None]
    assert taught and all(upper_ms(each.network, OTHER) <= tight_ms * 1.0001 for each in taught)
    page = (fitted / "report.html").read_text()
    assert "One network for every device" in page and f">{OTHER}<" in page


def test_a_resume_asks_for_the_same(fitted: Path, tight_ms: float):
    words = (*WORDS, "--device", FIRST, "--latency", f"{LOOSE_MS}ms", "--out", str(fitted), "--resume")
    other = ridgepoint(*words, "--also", f"{OTHER}=9ms")
    assert (
        other.returncode == 2 and "was begun with also" in other.stderr and f"{OTHER}={tight_ms:.6g}ms" in other.stderr
    )
    again = ridgepoint(*words)
    assert again.returncode == 0 and "is finished already" in again.stderr


def test_the_tightest_target_counts_in_milliseconds_of_the_first_budget():
    goals, network = find_goals(asked("pixel1-cpu=40ms", device=FIRST)), load("mobilenetv3_small_100")
    target, factors = together(goals), shares(goals)
    first, other = (predict_latency(network, name).ms for name in (FIRST, "pixel1-cpu"))
    assert target.latency(network).ms == pytest.approx(max(first, other * factors[1]))
    within = target.latency(network).ms <= target.allowed_ms(5.0)
    assert within == (upper_ms(network, FIRST) <= 5 and upper_ms(network, "pixel1-cpu") <= 40)


@pytest.mark.parametrize(
    ("also", "told"),
    [
        ("pixel6-cpu", "names no device with a budget"),
        ("=5ms", "names no device with a budget"),
        ("pixel6-cpu=", "names no device with a budget"),
        ("pixel6-cpu=fast", "not a duration"),
        ("pixel6-cpu=-1ms", "it must be above 0"),
        ("pixel9=5ms", "did you mean"),
        ("host/onx=5ms", "unknown runtime 'onx'"),
        ("host/onnxruntime/int9=5ms", "unknown precision 'int9'"),
        ("host/onnxruntime/int8/x=5ms", "no device, runtime and precision"),
        ("host/torch/int8=5ms", "torch"),
        ("pixel6-cpu/onnxruntime/int8=5ms", "Leave /int8 out"),
        ("host=3ms", "is the same as --device host"),
        ("host/onnxruntime/float32=3ms", "is the same as --device host"),
        ("ssh://=3ms", "no address of a device"),
    ],
)
def test_what_is_no_further_device_is_refused_with_what_is_allowed(also: str, told: str):
    with pytest.raises(InputError) as refused:
        check_settings(asked(also))
    assert told in str(refused.value)


def test_a_refusal_leaves_nothing_behind(tmp_path: Path):
    done = ridgepoint(*WORDS, "--latency", "1ms", "--also", "pixel9=5ms", "--out", str(tmp_path / "run"))
    assert done.returncode == 2 and "did you mean" in done.stderr and not (tmp_path / "run").exists()


def test_a_device_twice_is_refused_and_another_runtime_of_it_is_not():
    with pytest.raises(InputError, match="is the same as"):
        wanted(asked("pixel6-cpu=5ms", "pixel6-cpu/torch=4ms"))
    names = [
        (each.device, each.runtime, each.precision) for each in wanted(asked("host/torch=5ms", "host/torch/int8=4ms"))
    ]
    assert names == [("host", "onnxruntime", "float32"), ("host", "torch", "float32"), ("host", "torch", "int8")]
    (_, board, pi) = wanted(asked("boards/pi.yaml/torch=5ms", "ssh://pi@board/opt/python/onnxruntime/int8=9ms"))
    assert (board.device, board.runtime) == ("boards/pi.yaml", "torch")
    assert (pi.device, pi.runtime, pi.precision) == ("ssh://pi@board/opt/python", "onnxruntime", "int8")


def trained(name: str, val_accuracy: float) -> Candidate:
    network = load(name)
    ms = predict_latency(network, FIRST).ms
    return Candidate(name=name, phase="finalist", network=network, seed=0, predicted_ms=ms, val_accuracy=val_accuracy)


def test_the_choice_is_the_best_that_meets_all_budgets():
    """The better one is within the first budget alone; where nothing ships to a target, it does not choose."""
    better, other = trained("mobilenetv3_large_100", 0.9), trained("mobilenetv3_small_100", 0.8)
    between = (upper_ms(other.network, OTHER) + upper_ms(better.network, OTHER)) / 2
    goals = find_goals(asked(f"{OTHER}={between}ms", device=FIRST, latency_ms=6.0))
    assert upper_ms(better.network, FIRST) < 6.0 and upper_ms(other.network, OTHER) < upper_ms(better.network, OTHER)
    both = {each.name: each.network for each in (better, other)}
    times = goals[1].target.files(dict.fromkeys(both, Path("x")), both, patience_s=0.0)
    there = shipped(goals[1], [better, other], dict.fromkeys(both, Path("x")), times)
    assert (there.met(better.name), there.met(other.name)) == (False, True)
    limit = goals[0].allowed_ms
    assert choose([better, other], limit, ms=tightest_ms(goals, [there])).name == other.name
    none = shipped(goals[1], [], {}, {})
    assert choose([better, other], limit, ms=tightest_ms(goals, [none])).name == better.name
    assert not none.met(better.name)


def test_a_device_on_which_nothing_fits_is_named(tmp_path: Path):
    words = (*WORDS, "--device", FIRST, "--latency", "1ms", "--also", f"{OTHER}=0.00001ms")
    done = ridgepoint(*words, "--out", str(tmp_path / "run"))
    assert done.returncode == 3 and "meets 1e-05 ms: the fastest one of tiny" in done.stderr
    assert f"by the profile of {OTHER}" in done.stderr and "Allow at least" in done.stderr
