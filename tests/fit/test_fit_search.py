"""`search` end to end on the digits: one method, one space or network, a journal, a measured file; killed or not."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from fit_helpers import PROGRAM, SPACE_FILE, finish, kill_when, start

import ridgepoint as rp
from ridgepoint.arch.document import dump_network
from ridgepoint.arch.network import Network
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import load
from ridgepoint.cost.device import load_device
from ridgepoint.cost.roofline import Roofline, predict_latency
from ridgepoint.display import Silent
from ridgepoint.errors import InputError
from ridgepoint.fit.goals import Goal
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.plan import make_plan
from ridgepoint.fit.prepare import prepare
from ridgepoint.fit.searching import find_finalists
from ridgepoint.fit.settings import FitSettings, make_settings
from ridgepoint.fit.target import Clocked
from ridgepoint.fit.wanted import wanted
from ridgepoint.run.folder import RunFolder
from ridgepoint.search.study import read_candidates
from ridgepoint.tasks.reading import read
from ridgepoint.train.run import run_training
from ridgepoint.train.settings import TrainSettings

QUICK = {"epochs": 1, "short_epochs": 1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small network and its training on digits."""
    folder = tmp_path_factory.mktemp("trained")
    network = load("mobilenetv4_conv_small_035")
    stem = msgspec.structs.replace(network.stem[0], out_channels=16)
    network = msgspec.structs.replace(network, name="small", stem=(stem,), stages=network.stages[1:3])
    (folder / "small.yaml").write_text(dump_network(network))
    settings = TrainSettings(model=str(folder / "small.yaml"), data="digits", changes={"epochs": 4}, size=16)
    run_training(settings, read=read, out=folder / "training", resume=False, display=Silent())
    return folder


def journal(run: Path) -> list[tuple[object, ...]]:
    return [(c.name, c.phase, c.network.digest, c.parent, c.short_accuracy, c.note) for c in read_candidates(run)]


@pytest.mark.clock
def test_a_space_is_searched_with_the_method_that_was_asked(tmp_path: Path):
    result = rp.search(
        SPACE_FILE, "digits", method="random", latency_ms=0.5, evaluations=3, size=16, changes=QUICK,
        out=tmp_path / "run", seed=3, busy=True,
    )  # fmt: skip
    assert result["met"] and result["latency"]["kind"] == "measured" and not result["baselines"]
    search = result["search"]
    assert (search["space"], search["method"], search["evaluations"]) == ("tiny", "random", 3)
    assert 0.3 < search["gap"] < 3.0
    candidates = [c for c in read_candidates(tmp_path / "run") if c.phase == "search"]
    assert len({c.network.digest for c in candidates}) == 3 and all(c.tabled_ms > 0 for c in candidates)
    assert all(c.measured_ms is not None for c in candidates), "finalists were clocked before one was chosen"
    assert result["command"].startswith(f"ridgepoint search {SPACE_FILE} digits --latency 0.5ms")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The front over time" in page and "All 3 candidates, 3 of them trained" in page


def test_netadapt_from_a_trained_network_killed_and_not(trained: Path, tmp_path: Path):
    network = load(trained / "small.yaml").at(height=16, channels=1).with_classes(10)
    device = load_device("pixel6-cpu")
    budget = 0.9 * predict_latency(network, device).ms * device.interval[1]
    words = [
        *PROGRAM, "search", str(trained / "small.yaml"), "digits", "--method", "netadapt",
        "--weights", str(trained / "training"), "--device", device.name, "--latency", f"{budget:.6f}ms", "--size", "16",
        "--evaluations", "4", "--set", "epochs=1", "--set", "short_epochs=1", "--seed", "5",
    ]  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    told = finish([*words, "--out", str(whole)])
    assert "Search method netadapt: as asked" in told
    kill_when([*words, "--out", str(killed)], killed, "weights/steps", 0.5)
    assert not (killed / "steps" / "search.json").exists(), "killed too late to tell anything"
    finish([*words, "--out", str(killed), "--resume"])
    assert journal(killed) == journal(whole)
    found = [c for c in read_candidates(whole) if c.phase == "search"]
    assert found[0].network.digest == network.digest and found[0].short_accuracy > 0.5, "it starts with what it learnt"
    assert len(found) > 1 and all(c.parent for c in found[1:]), "every other comes from one before"
    result = json.loads((whole / "result.json").read_text())
    assert result["met"] and result["latency"]["bound_ms"] <= budget
    names = {row["name"] for row in result["finalists"]}
    assert len(names) == 2 and any(name.endswith("-from-scratch") for name in names)
    assert "comes from" in (whole / "report.html").read_text() if result["network"]["name"] in names else True


def only(settings: FitSettings, target: Clocked) -> tuple[Goal, ...]:
    return (Goal(wanted=wanted(settings)[0], target=target),)


class SlowHost:
    """By the clock every network but the given one takes 1.25 times what the model says."""

    precision = tabled = "float32"

    def __init__(self, known: Network):
        self.known, self.latency = known.digest, Roofline("pixel6-cpu").latency

    def measure_networks(self, networks: dict[str, Network]) -> dict[str, float]:
        slow = {name: 1.0 if network.digest == self.known else 1.25 for name, network in networks.items()}
        return {name: slow[name] * self.latency(network).ms for name, network in networks.items()}


def test_where_the_clock_refutes_every_candidate_the_search_goes_on(trained: Path, tmp_path: Path):
    network = load(trained / "small.yaml").at(height=16, channels=1).with_classes(10)
    host = SlowHost(network)
    settings = make_settings(
        verb="search", space=str(trained / "small.yaml"), data="digits", method="netadapt", size=16, seed=5,
        weights=str(trained / "training"), latency_ms=0.95 * host.latency(network).ms, evaluations=4, changes=QUICK,
        busy=True,
    )  # fmt: skip
    run = RunFolder(tmp_path, settings)
    job = FitJob(run=run, prepared=prepare(run, Silent()), goals=only(settings, Clocked(host)), display=Silent())
    plan = make_plan(settings, job.prepared.recipe, elapsed_s=0.0, kept_s=9.0, trainings=1)
    found = find_finalists(job, plan)
    assert all(each.measured_ms <= job.limit_ms for each in found)
    first, second = run.read_step("search"), run.read_step("search-2")
    assert first["limit_ms"] == pytest.approx(job.limit_ms), "by the seed, the table was right"
    assert second["limit_ms"] == pytest.approx(job.limit_ms / 1.25) and run.read_step("search-3") is None
    candidates = [each for each in read_candidates(run.path) if each.phase == "search"]
    earlier, later = candidates[: first["candidates"]], candidates[first["candidates"] :]
    within = [each for each in earlier if each.estimated_ms <= job.limit_ms]
    assert later and {each.parent for each in later[:1]} == {max(within, key=lambda each: each.short_accuracy).name}
    assert len(candidates) == second["candidates"] and found[0].name in {each.name for each in later}
    for step in ("finalists", "search-2"):  # as if killed after the last candidate
        (run.path / "steps" / f"{step}.json").unlink()
    assert find_finalists(job, plan) == found and run.read_step("search-2") == second, "not on what is half searched"
    assert [each for each in read_candidates(run.path) if each.phase == "search"] == candidates


class FastHost:
    """By the clock every network takes half of what the model says."""

    precision = tabled = "float32"
    latency = staticmethod(Roofline("pixel6-cpu").latency)

    def measure_networks(self, networks: dict[str, Network]) -> dict[str, float]:
        return {name: 0.5 * self.latency(network).ms for name, network in networks.items()}


def test_a_table_that_is_off_by_a_factor_is_brought_to_the_clock(tmp_path: Path):
    """Otherwise networks that meet the budget by the clock would be passed over."""
    space = load_space(SPACE_FILE)
    every = [space.sample(np.random.default_rng(seed)) for seed in range(50)]
    budget = 0.6 * max(FastHost.latency(network).ms for network in every)
    settings = make_settings(
        verb="search", space=str(SPACE_FILE), data="digits", method="random", size=16, latency_ms=budget,
        evaluations=3, changes=QUICK, busy=True,
    )  # fmt: skip
    run = RunFolder(tmp_path, settings)
    job = FitJob(run=run, prepared=prepare(run, Silent()), goals=only(settings, Clocked(FastHost())), display=Silent())
    plan = make_plan(settings, job.prepared.recipe, elapsed_s=0.0, kept_s=9.0, trainings=1)
    found = find_finalists(job, plan)
    candidates = [each for each in read_candidates(run.path) if each.phase == "search"]
    assert len(found) == 2 and len(candidates) >= 3
    for each in candidates:
        assert each.estimated_ms == pytest.approx(0.5 * FastHost.latency(each.network).ms)
        assert each.short_accuracy is not None, "every network of the space is within the budget"
    again = FitJob(run=run, prepared=job.prepared, goals=only(settings, Clocked(FastHost())), display=Silent())
    assert again.latency.factor == job.latency.factor == 0.5 and run.read_step("gap") is not None
    run.write_step("gap", {**run.read_step("gap"), "measured_over_tabled": 0.8, "precision": "int8"})
    other = FitJob(run=run, prepared=job.prepared, goals=only(settings, Clocked(FastHost())), display=Silent())
    assert other.latency.factor == 0.5, "what was found of a table in another precision does not count"


def test_a_budget_that_nothing_meets_by_the_clock_ends_with_3(trained: Path, tmp_path: Path):
    words = [
        *PROGRAM, "search", str(trained / "small.yaml"), "digits", "--method", "scaling", "--latency", "0.0001ms",
        "--size", "16", "--evaluations", "2", "--set", "short_epochs=1", "--out", str(tmp_path / "run"), "--busy",
    ]  # fmt: skip
    process = start(words)
    _, told = process.communicate(timeout=200)
    assert process.returncode == 3 and "within 0.0001 ms was found" in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("space", "method", "more", "told"),
    [
        ("mobilenetv4_conv", "netadapt", {}, "searches a network, but 'mobilenetv4_conv', a space, was given"),
        ("mobilenetv3_small_050", "random", {}, "searches a space, but 'mobilenetv3_small_050', a network, was given"),
        ("mobilenetv3_small_050", "netadapt", {}, "starts from a trained network: give its weights with --weights"),
        ("mobilenetv3_small_05", "scaling", {}, "unknown model 'mobilenetv3_small_05'; did you mean"),
        ("mobilenetv4_con", "random", {}, "did you mean 'mobilenetv4_conv'"),
        ("mobilenetv4_conv", "randon", {}, "did you mean 'random'"),
        ("mobilenetv3_small_050", "netadapt", {"weights": "nowhere.pth"}, "there is no weight file 'nowhere.pth'"),
        ("mobilenetv4_conv", "random", {"evaluation": 3}, "has no setting 'evaluation'; did you mean 'evaluations'"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_before_a_folder_is_made(
    space: str, method: str, more: dict[str, object], told: str, tmp_path: Path
):
    with pytest.raises(InputError) as refused:
        rp.search(space, "digits", method=method, latency_ms=1.0, out=tmp_path / "run", **more)
    assert told in str(refused.value)
    assert not (tmp_path / "run").exists()
