"""Which network at which size a fit opens with: the largest within the budget whose features tell most."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import box_helpers as boxes
import msgspec
import numpy as np
import pytest
import torch
from nn_helpers import randomise
from PIL import Image
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.preprocessing import StandardScaler

from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.cost.device import load_device
from ridgepoint.cost.roofline import predict_latency
from ridgepoint.display import Silent
from ridgepoint.fit import learning
from ridgepoint.fit.frozen import RIDGES, left_out
from ridgepoint.fit.further import best_looked_at
from ridgepoint.fit.goals import find_goals, together
from ridgepoint.fit.opening import Opened, Opening, choose_opening, within_reach
from ridgepoint.fit.prepare import prepare
from ridgepoint.fit.ranking import lost, top1
from ridgepoint.fit.settings import make_settings
from ridgepoint.fit.share import smaller_to_learn
from ridgepoint.nn.build import build
from ridgepoint.nn.reach import FOLDER
from ridgepoint.nn.weights import save_weights
from ridgepoint.run.folder import open_run
from ridgepoint.train.start import of_published

BETTER, OTHER = "mobilenetv3_small_100", "mobilenetv3_small_050"  # as published


class MacsAsTime:
    """A clock that takes a millisecond for a million MACs, and as much again where a network's name is slow."""

    measured = True

    def __init__(self, slow: str = ""):
        self.slow, self.clocked = slow, list[str]()

    def clock(self, networks, *, patience_s, seconds=math.inf):
        self.clocked += [network.name for network in networks.values()]
        return {
            name: SimpleNamespace(ms=cost(network, form="deploy").macs / 1e6 * (1 + (network.name == self.slow)))
            for name, network in networks.items()
        }


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Photographs in three colours; weights that see, and of the better network weights that see nothing."""
    folder = tmp_path_factory.mktemp("ranking")
    rng = np.random.default_rng(0)
    for number, name in enumerate(("red", "green", "blue")):
        (folder / "photos" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 140, (112, 112, 3), dtype=np.uint8)
            pixels[..., number] += 90
            Image.fromarray(pixels).save(folder / "photos" / name / f"{index}.png")
    (folder / "weights").mkdir()
    torch.manual_seed(0)
    save_weights(randomise(build(load(OTHER))), folder / "weights" / f"{OTHER}.lamb_in1k.safetensors")
    blind = build(load(BETTER))
    for parameter in blind.stem.parameters():
        torch.nn.init.zeros_(parameter)
    save_weights(blind, folder / "weights" / f"{BETTER}.lamb_in1k.safetensors")
    return folder


def opened(place: Path, out: Path, limit_ms: float, clock: object, *, budget_ms: float = 0.0, **more) -> Opened:
    given = {"data": str(place / "photos"), "latency_ms": budget_ms or limit_ms, "busy": True, **more}
    settings = make_settings(**given)
    with open_run(settings, out=out, resume=False) as run:
        prepared = prepare(run, Silent())
        run.begin(prepared.origin(settings))
        choose_opening(run, prepared, clock, within_reach(settings, prepared), limit_ms=limit_ms, display=Silent())
        found = run.read_step("opening", Opened)
    assert found is not None
    return found


def test_what_tells_most_is_taken_at_the_largest_size_within_the_budget(place: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(place / "weights"))
    limit_ms = cost(load(OTHER).at(height=112).with_classes(3), form="deploy").macs / 1e6 + 0.1
    found = opened(place, tmp_path / "run", limit_ms, MacsAsTime())
    best = found.opening
    assert best is not None and top1(BETTER) > top1(OTHER)
    assert best.network.name == OTHER and best.network.input == (3, 112, 112)
    (other,) = {each.network.name: each for each in found.others if each.network.name == BETTER}.values()
    assert other.promise is not None and best.promise is not None and best.promise > other.promise + 0.3
    assert other.ms <= 1.02 * limit_ms


def test_a_larger_size_than_was_reckoned_is_taken_where_the_clock_allows_it(place: Path, tmp_path: Path, monkeypatch):
    """What a network takes at any size, a small input takes, too, so from its time the next size looks too slow."""

    class AtAnySize(MacsAsTime):
        def clock(self, networks, *, patience_s, seconds=math.inf):
            found = super().clock(networks, patience_s=patience_s, seconds=seconds)
            return {name: SimpleNamespace(ms=(each.ms + 1) / 100) for name, each in found.items()}

    monkeypatch.setenv(FOLDER, str(place / "weights"))
    limit_ms = (cost(load(OTHER).at(height=112).with_classes(3), form="deploy").macs / 1e6 + 1) / 100 + 1e-6
    clock = AtAnySize()
    best = opened(place, tmp_path / "run", limit_ms, clock).opening
    assert best is not None and best.network.name == OTHER and best.network.input == (3, 112, 112)
    assert best.ms <= limit_ms and len(clock.clocked) <= 6, clock.clocked


def test_where_to_write_files_takes_long_the_most_promising_alone_is_clocked(place: Path, tmp_path: Path, monkeypatch):
    class Slow(MacsAsTime):
        asked = ()

        def clock(self, networks, *, patience_s, seconds=math.inf):
            self.asked += (seconds,)
            first = dict(list(networks.items())[:1]) if seconds < math.inf else networks
            return super().clock(first, patience_s=patience_s, seconds=seconds)

    monkeypatch.setenv(FOLDER, str(place / "weights"))
    limit_ms = cost(load(OTHER).at(height=112).with_classes(3), form="deploy").macs / 1e6 + 0.1
    clock = Slow()
    found = opened(place, tmp_path / "run", limit_ms, clock)
    assert found.opening is not None and found.opening.network.name == BETTER and not found.others
    assert set(clock.clocked) == {BETTER} and 0 < clock.asked[0] < 60


def test_what_would_be_best_for_one_of_several_devices_is_looked_at_too(place: Path, tmp_path: Path, monkeypatch):
    """It tells what the other budgets cost; what the fit opens with is within all of them."""
    monkeypatch.setenv(FOLDER, str(place / "weights"))
    interval = load_device("pixel1-cpu").interval
    assert interval is not None
    tight_ms = 1.05 * predict_latency(load(OTHER).at(height=80).with_classes(3), "pixel1-cpu").ms * interval[1]
    more = {"device": "pixel6-cpu", "also": (f"pixel1-cpu={tight_ms}ms",)}
    goals = find_goals(make_settings(data="x", latency_ms=5.0, **more))
    found = opened(place, tmp_path / "run", goals[0].allowed_ms, together(goals), budget_ms=5.0, **more)
    best, (alone,) = found.opening, found.alone
    assert best is not None and predict_latency(best.network, "pixel1-cpu").ms <= goals[1].allowed_ms
    assert alone.over and alone.best_for == ("pixel6-cpu",) and found.compared_for("pixel6-cpu")
    assert alone.ms == pytest.approx(predict_latency(alone.network, "pixel6-cpu").ms, 0.3)
    assert alone.network.input[1] > best.network.input[1] and alone.promise is not None
    assert predict_latency(alone.network, "pixel1-cpu").ms > goals[1].allowed_ms
    assert alone.network not in [each.network for each in found.others]
    assert best_looked_at(found, "pixel1-cpu") is None
    assert best.promise is not None and best.promise < 0.99
    better = msgspec.structs.replace(alone, promise=1.0)
    told = best_looked_at(Opened(opening=best, alone=[better]), "pixel6-cpu")
    assert told is not None and told.ratio == pytest.approx(best.promise) and told.by == "frozen features"


def test_boxes_open_with_what_leaves_time_to_learn_and_a_whole_detector_where_it_may_stay_large(
    place: Path, tmp_path: Path, monkeypatch
):
    """Of these nothing is known before something was learnt, and a large input learns little in a short time."""
    detector = "ssdlite_mobilenetv2_coco"
    (tmp_path / "weights").mkdir()
    save_weights(build(load(detector)), tmp_path / "weights" / f"{detector}.tfjs.safetensors")
    (tmp_path / "weights" / f"{OTHER}.lamb_in1k.safetensors").symlink_to(
        place / "weights" / f"{OTHER}.lamb_in1k.safetensors"
    )
    monkeypatch.setenv(FOLDER, str(tmp_path / "weights"))
    boxes.make(tmp_path / "boxes", "YOLO texts")
    for path in (tmp_path / "boxes").rglob("*.png"):
        Image.open(path).resize((360, 288)).save(path)

    def first(mac_s: float, **more: Any) -> Opening:
        monkeypatch.setattr(learning, "pace", lambda _, network, __: mac_s * cost(network).macs)
        out, data = tmp_path / f"{mac_s}{more}", str(tmp_path / "boxes")
        found = opened(place, out, 1e3, MacsAsTime(), data=data, time_s=100.0, **more).opening
        assert found is not None
        return found

    quick, slow, named = first(1e-12), first(1e-7), first(1e-12, weights=f"{detector}.tfjs", size=192)
    assert quick.network.name == detector and quick.network.input[1] >= 0.95 * 300
    assert slow.network.name == OTHER and slow.network.input[1] < 224
    assert 1e-7 * cost(slow.network).macs * 50 < 100.0, "so many steps would take longer than there is time"
    assert named.network.name == detector and named.network.input[1] == 192, "what the user names is taken"


def test_the_clock_has_the_last_word_and_the_user_the_first(place: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(place / "weights"))
    limit_ms = cost(load(OTHER).at(height=112).with_classes(3), form="deploy").macs / 1e6 + 0.1
    slow = opened(place, tmp_path / "slow", limit_ms, MacsAsTime(slow=OTHER)).opening
    assert slow is not None and slow.ms <= limit_ms and slow.network.input[1] < 112
    named = opened(place, tmp_path / "named", 2 * limit_ms, MacsAsTime(), size=80, weights=f"{BETTER}.lamb_in1k")
    assert named.opening is not None and named.opening.network.name == BETTER
    assert named.opening.network.input == (3, 80, 80) and not named.others
    assert opened(place, tmp_path / "none", 0.01, MacsAsTime()).opening is None


def test_leaving_out_by_formula_is_leaving_out():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 3
    x = StandardScaler().fit_transform(rng.standard_normal((40, 30)) + 0.8 * labels[:, None])
    slow = max(cross_val_score(RidgeClassifier(alpha=each), x, labels, cv=LeaveOneOut()).mean() for each in RIDGES)
    assert left_out(torch.from_numpy(x), torch.from_numpy(labels)) == pytest.approx(slow, abs=0.03)
    single = torch.tensor([0] * 20 + [1] * 19 + [2])
    assert left_out(torch.from_numpy(x), single) <= 1.0


def test_expectations_come_from_published_accuracies():
    assert lost(1.0) == lost(2.0) == 0.0
    assert lost(160 / 224) == pytest.approx(71.8 - 68.8)
    assert lost(160 / 224) < lost(140 / 224) < lost(128 / 224)
    assert lost(96 / 224) == pytest.approx(71.8 - 60.3)  # the smallest that is published
    assert lost(96 / 224) + 9 < lost(64 / 224) < lost(48 / 224)
    assert top1("mobilenetv2_140") > top1("mobilenetv2_050") > 0


def test_where_time_is_short_a_smaller_input_learns(place: Path, tmp_path: Path, monkeypatch):
    """For so many steps as there is time for at 112 px; eight epochs of 24 images are eight. A named size stays."""
    monkeypatch.setenv(FOLDER, str(place / "weights"))

    def size(steps: float, **more) -> int | None:
        settings = make_settings(data=str(place / "photos"), latency_ms=5.0, busy=True, **more)
        with open_run(settings, out=tmp_path / f"{steps}-{len(more)}", resume=False) as run:
            prepared = prepare(run, Silent())
            (row,) = (each for each in within_reach(settings, prepared) if each.network == OTHER)
            opening = Opening(network=load(OTHER).at(height=112).with_classes(3), weights=of_published(row), ms=1.0)
            return smaller_to_learn(prepared, settings, opening, steps=steps)

    assert [size(steps) for steps in (9, 7, 5, 3, 0.1)] == [None, 96, 80, 64, 64]
    assert size(0.1, size=112) is None
