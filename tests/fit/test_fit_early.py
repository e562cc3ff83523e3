"""A fit that reaches weights has a checked file first, a better one later: killed, resumed, without any, refused."""

import json
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec
import pytest
import torch
from cli_helpers import call
from fit_helpers import PROGRAM, SPACE_FILE, finish, kill_when
from photographs import NAME, write_photographs

from ridgepoint.arch.network import Network
from ridgepoint.arch.zoo import load
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.fit import bound, early, share
from ridgepoint.fit import finish as ending
from ridgepoint.fit.clocking import times_once
from ridgepoint.fit.goals import Goal
from ridgepoint.fit.job import FitJob
from ridgepoint.fit.share import Share
from ridgepoint.nn.build import build
from ridgepoint.nn.reach import FOLDER
from ridgepoint.nn.weights import save_weights
from ridgepoint.run.result import Told
from ridgepoint.train.folder import load_training
from ridgepoint.train.start import start_from

HALF = (0.5, 0.5, 0.5)
COUNTED = (
    "--evaluations", "1", "--set", "epochs=1", "--set", "short_epochs=1", "--set", "batch_size=16", "--baselines", "0",
    "--size", "64", "--busy",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Photographs of three colours and a folder of weights."""
    return write_photographs(tmp_path_factory.mktemp("early"))


def words(place: Path, run: Path, *more: str) -> list[str]:
    return ["fit", str(place / "photos"), "--latency", "50ms", "--space", str(SPACE_FILE), "--out", str(run), *more]


@pytest.fixture
def weights(place: Path, monkeypatch) -> Path:
    monkeypatch.setenv(FOLDER, str(place / "weights"))
    return place / "weights"


def test_a_killed_fit_leaves_a_checked_file_and_goes_on_exactly(place: Path, weights: Path, tmp_path: Path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    kill_when([*PROGRAM, *words(place, killed, *COUNTED)], killed, "report.html", 0.0)
    early = json.loads((killed / "result.json").read_text())
    assert (
        not early["finished"]
        and early["network"]["name"] == f"{NAME}-64px-frozen"
        and early["parity"]["top1_agreement"] == 1
    )
    assert load_artefact(killed / "model.onnx").preprocessing.mean == HALF
    finish([*PROGRAM, *words(place, killed, *COUNTED), "--resume"])
    finish([*PROGRAM, *words(place, whole, *COUNTED)])
    one, other = (json.loads((run / "result.json").read_text()) for run in (killed, whole))
    assert one["finished"] and [stage["name"] for stage in one["stages"]][:2] == [
        f"{NAME}-64px-frozen",
        f"{NAME}-64px-finetuned",
    ]
    assert [stage["val_accuracy"] for stage in one["stages"]] == [stage["val_accuracy"] for stage in other["stages"]]
    for stage in one["stages"]:
        file = f"trainings/{stage['name']}/weights.safetensors"
        assert (killed / file).read_bytes() == (whole / file).read_bytes(), stage["name"]
    assert one["accuracy"]["val"] in [stage["val_accuracy"] for stage in one["stages"]]
    assert "training images were answered by networks that had not seen them" in one["stages"][1]["what"]
    assert sum(one["recall"].values()) / 3 == pytest.approx(one["accuracy"]["balanced"])


def test_time_ends_with_what_there_is_and_none_asks_for_nothing(
    place: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    short = call(*words(place, tmp_path / "short", "--time", "2s", "--busy"))
    assert short.returncode == 2 and "a classifier on published weights, takes about" in short.stderr
    assert not (tmp_path / "short").exists()
    monkeypatch.setattr(bound, "FIRST_FILE_S", 0.0)
    asked = words(place, tmp_path / "run", "--time", "10s", "--size", "64", "--busy", "--json")
    done = call(*asked)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["finished"] and result["search"] is None and result["stages"][0]["name"] == f"{NAME}-64px-frozen"
    assert result["data"]["preprocessing"]["mean"] == list(HALF)
    assert any("%, there after" in note for note in result["notes"])
    again = call(*asked, "--resume")
    assert json.loads(again.stdout)["accuracy"] == result["accuracy"]
    assert "Apple" not in done.stderr, "weights under closed terms are taken only where they are named"


def test_where_larger_images_leave_no_time_a_smaller_input_is_fine_tuned_and_may_ship(
    place: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    divided = Share(epochs=1, size=64, searched=False)
    monkeypatch.setattr(early, "share_of_time", lambda *_, **__: divided)
    counted = [word for word in COUNTED if word not in ("--size", "64")]
    done = call(*words(place, tmp_path / "run", *counted, "--json"))
    assert done.returncode == 0, done.stderr
    assert f"{NAME} learns at 64 px: larger images leave no time to learn." in done.stderr
    first, second = (stage["name"] for stage in json.loads(done.stdout)["stages"])
    assert first != f"{NAME}-64px-frozen" and second == f"{NAME}-64px-finetuned"


@pytest.mark.parametrize(("step_s", "learns"), [(50.0, False), (0.01, True)])
def test_where_too_few_steps_are_left_nothing_is_fine_tuned(
    step_s: float, learns: bool, place: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(share, "pace", lambda *_: step_s)
    monkeypatch.setattr(share, "POLICY", msgspec.structs.replace(share.POLICY, few_images=0, finetuning_least_s=0.1))
    done = call(*words(place, tmp_path / "run", "--time", "25s", "--size", "64", "--busy"))
    assert done.returncode == 0, done.stderr
    told = f"{NAME} is left as it is: there is no time for enough steps to gain by."
    assert (told in done.stderr, "fine-tuned" in done.stderr) == (not learns, learns), done.stderr


def by_pixels(most_px: int, when: Callable[[Collection[str]], bool]) -> Callable[..., Mapping[str, Told]]:
    """A clock by which inputs up to so many pixels of a side meet 50 ms, where files have such names; all do else."""

    def times(job: FitJob, goal: Goal, files: dict[str, Path], networks: dict[str, Network], **more: float):
        told = times_once(job, goal, files, networks, **more)
        pixels = {name: networks[name].input[1] if when(files) else 1 for name in files}
        return {name: msgspec.structs.replace(told[name], ms=50.0 * (px / most_px) ** 2) for name, px in pixels.items()}

    return times


def test_where_the_first_file_is_over_the_budget_a_smaller_input_opens(
    place: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ending, "times_once", by_pixels(72, lambda _: True))
    asked = words(place, tmp_path / "run", *[word for word in COUNTED if word not in ("--size", "64")], "--json")
    done = call(*asked)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    first, second = (stage["name"] for stage in result["stages"][:2])
    assert first != second == f"{NAME}-64px-frozen" and "is over the budget by its file's clock: opens at 64 px" in (
        done.stderr
    )
    assert result["met"] and result["network"]["input"] == [3, 64, 64]


@pytest.mark.parametrize(("size", "code"), [([], 0), (["--size", "96"], 3)])
def test_what_the_last_clock_refuses_ships_at_a_smaller_input_unless_the_user_chose_it(
    size: list[str], code: int, place: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fine = [word for word in COUNTED if word not in ("--size", "64")] + size
    late = by_pixels(76, lambda names: any("finetuned" in name for name in names))
    monkeypatch.setattr(ending, "times_once", late)
    asked = words(place, tmp_path / "run", *fine, "--json")
    done = call(*asked)
    assert done.returncode == code, done.stderr
    result = json.loads(done.stdout)
    if code:
        assert not result["met"] and result["network"]["input"] == [3, 96, 96]
        return
    assert result["met"] and result["network"]["input"] == [3, 72, 72]
    best = max(result["stages"], key=lambda stage: stage["val_accuracy"])
    learnt = result["network"]["name"].removesuffix("-at-72px")
    one, other = (load_training(tmp_path / "run" / "trainings" / name)[0] for name in (learnt, f"{learnt}-at-72px"))
    assert all(torch.equal(mine, yours) for mine, yours in zip(one.parameters(), other.parameters(), strict=True))
    assert f"what {learnt} learnt, at 72 instead of" in str(result) and best["val_accuracy"] >= 1 / 3
    again = call(*asked, "--resume")
    assert again.returncode == 0 and json.loads(again.stdout)["accuracy"] == result["accuracy"]


@pytest.mark.parametrize(("given", "latency", "code"), [("auto", "50ms", 0), ("hub", "1us", 3)])
def test_without_weights_a_fit_says_what_to_download_and_searches(
    given: str, latency: str, code: int, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nobody is asked by a fit of itself. Where no network meets the budget, the search is over soon."""
    looked_up: list[object] = []
    sys.addaudithook(lambda event, what: looked_up.append(what[0]) if event == "socket.getaddrinfo" else None)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    if given == "hub":
        monkeypatch.setenv("HF_ENDPOINT", "http://localhost:9")  # where nobody listens
    done = call(*words(place, tmp_path / "run", *COUNTED), "--weights", given, "--latency", latency)
    assert done.returncode == code, done.stderr
    told = {"auto": "none were asked for (--weights hub downloads some)", "hub": "no hub answers"}[given]
    assert f"No published weights are on this machine, and {told}" in done.stderr
    assert bool(looked_up) == (given == "hub")
    assert f"set {FOLDER} to that folder" in done.stderr
    if code:
        assert "no network meets 0.001 ms" in done.stderr, "the search was begun"
    else:
        assert json.loads((tmp_path / "run" / "result.json").read_text())["stages"] == []


def test_terms_that_are_not_open_are_said_where_they_are_named(weights: Path):
    assert not start_from("mobileone_s0.apple_in1k").open_licence
    assert "Apple's own licence" in start_from("mobileone_s0").told()


def test_of_a_network_with_several_weights_those_that_lie_here_come_first(tmp_path: Path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    name = "mobilenetv4_conv_small.e3600_r256_in1k"
    save_weights(build(load("mobilenetv4_conv_small")), tmp_path / f"{name}.safetensors")
    assert start_from("mobilenetv4_conv_small").name == name
