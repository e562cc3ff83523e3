"""`--time` is a bound: refused at once where nothing is possible in it; what it does not allow is left out."""

import math
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fit_helpers import SPACE

from ridgepoint.arch.zoo import load
from ridgepoint.display import Silent
from ridgepoint.errors import BudgetError
from ridgepoint.fit.bound import REPORT_S, Ending, left_s, quantising_s, share_out
from ridgepoint.fit.pipeline import fit
from ridgepoint.fit.plan import make_plan
from ridgepoint.fit.settings import FitSettings, make_settings
from ridgepoint.fit.target import Clocked
from ridgepoint.run.folder import RunFolder
from ridgepoint.search.candidate import Candidate
from ridgepoint.train.recipe import load_recipe

NETWORK = load("mobilenetv2_050")
CONTENDERS = [Candidate(name=name, phase="finalist", network=NETWORK, seed=0, tabled_ms=1.0) for name in "abcde"]
ENDING = Ending(once_s=5.0, network_s=4.0)


class Told(Silent):
    said = ""

    def warn(self, text: str) -> None:
        self.said += text


@pytest.mark.parametrize(
    ("elapsed", "count"), [(0.0, 5), (40.0, 5), (65.0, 4), (70.0, 3), (84.0, 1), (99.0, 1), (150.0, 1)]
)
def test_what_there_is_time_for_is_trained_equally_long_and_the_end_is_kept(tmp_path: Path, elapsed: float, count: int):
    settings = FitSettings(data="digits", latency_ms=1.0, time_s=100.0)
    run = RunFolder(tmp_path, settings, since=time.monotonic() - elapsed)
    plan = make_plan(settings, load_recipe("small_images"), elapsed_s=elapsed, kept_s=25.0, trainings=5)
    told = Told()
    plan, trained = share_out(run, plan, CONTENDERS, ENDING, display=told)
    assert trained == CONTENDERS[:count] and plan.full_s >= 1.0
    assert all((name in told.said.split(": ")[-1]) for name in "abcde"[count:])
    if count > 1:
        assert elapsed + count * plan.full_s + ENDING.seconds(count) <= 100.0
    again = share_out(run, plan, CONTENDERS, ENDING, display=told)
    assert again == (plan, trained), "a resumed run keeps what was decided"


def test_bounded_by_count_everything_is_trained(tmp_path: Path):
    settings = FitSettings(data="digits", latency_ms=1.0, evaluations=3)
    plan = make_plan(settings, load_recipe("small_images"), elapsed_s=0.0, kept_s=0.0, trainings=5)
    run = RunFolder(tmp_path, settings, since=time.monotonic() - 1e6)
    assert share_out(run, plan, CONTENDERS, ENDING, display=Told()) == (plan, CONTENDERS)


def test_what_was_just_clocked_alone_is_known_when_the_end_is_measured(tmp_path: Path):
    """To write a file takes some runtimes a minute."""
    table = Counted()
    target = Clocked(table)
    target.clock({"a": NETWORK, "b": NETWORK.at(height=64)})
    assert target.try_out(NETWORK)[1] == 2.0 and len(table.asked) == 2, "of several at once no single one is known"
    target.clock({"c": NETWORK.at(height=64)}, patience_s=0.0)
    assert target.try_out(NETWORK.at(height=64))[1] == target.try_out(NETWORK)[1] == 2.0 and len(table.asked) == 3


class Counted:
    """A table whose clock tells 2 ms of everything, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []

    def clock(self, networks, *, patience_s=None, seconds=math.inf):
        self.asked.append(set(networks))
        return {name: SimpleNamespace(ms=2.0) for name in networks}


@pytest.mark.parametrize(
    ("precision", "also", "seconds"), [("float32", (), 0), ("auto", (), 6), ("int8", ("host/openvino/int8=9ms",), 12)]
)
def test_the_end_keeps_time_for_a_first_recipe_of_every_target_in_int8(precision, also, seconds):
    settings = make_settings(data="digits", latency_ms=1.0, precision=precision, also=also)
    prepared = SimpleNamespace(dataset=SimpleNamespace(val=range(61)))
    assert quantising_s(settings, prepared, 2.0) == pytest.approx(seconds + seconds / 6)


def test_there_is_time_for_a_recipe_until_the_end_of_this_network_and_of_those_after_it_must_begin(tmp_path: Path):
    run = RunFolder(tmp_path, FitSettings(data="digits", latency_ms=1.0, time_s=100.0), since=time.monotonic() - 90.0)
    assert left_s(run) == pytest.approx(10.0 - REPORT_S, abs=1.0)
    run.write_step("ending", {"once_s": 5.0, "network_s": 4.0})
    assert left_s(run) == pytest.approx(5.0, abs=1.0) and left_s(run, networks=2) == pytest.approx(-3.0, abs=1.0)


@pytest.mark.clock
def test_a_bound_in_which_nothing_is_possible_is_refused_at_once(tmp_path: Path):
    space = tmp_path / "tiny.yaml"
    space.write_text(SPACE)
    settings = FitSettings(
        data="digits",
        latency_ms=1.0,
        size=16,
        space=str(space),
        table=str(tmp_path / "table.json"),
        time_s=5.0,
        busy=True,
    )
    started = time.monotonic()
    with pytest.raises(
        BudgetError, match=r"--time is 5 s\. The least that is possible here is about .*calibrate"
    ) as told:
        fit(settings, out=tmp_path / "run")
    assert time.monotonic() - started < 10
    assert "to clock what this machine's latency table lacks" in str(told.value)
    assert not (tmp_path / "run").exists()
