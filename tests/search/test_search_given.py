"""Search methods of others: functions given in Python, and entry points of installed packages."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import call
from fit_helpers import SPACE
from search_helpers import MacsLatency

import ridgepoint as rp
import ridgepoint.methods as public
from ridgepoint.display import Silent
from ridgepoint.errors import InputError, InterruptedRun, RunError
from ridgepoint.fit.settings import OF_SEARCH, make_settings
from ridgepoint.methods import Draws, Entry, Problem, Proposal, Proposals, Study, run_search
from ridgepoint.search.methods import OF_NETWORKS, OF_SPACES, find_method, installed, methods_for
from ridgepoint.search.methods.entry import entry_of, reference
from ridgepoint.search.study import read_candidates
from ridgepoint.testing.problems import Formula, journal, small_space


def drawing(problem: Problem) -> Proposals:
    """One random network after the other."""
    draws = Draws(problem, "drawing")
    while drawn := draws.new(draws.uniform):
        yield Proposal(network=drawn[1], note="mine")


ME = f"{__name__}:drawing"


def test_what_an_author_needs_is_in_one_place():
    assert {"Problem", "Proposal", "Proposals", "Candidate", "Entry", "run_search", "Study"} <= set(public.__all__)
    assert all(hasattr(public, name) for name in public.__all__)


def test_a_function_searches_what_it_is_given_and_an_entry_says_more():
    assert entry_of(drawing, takes="network").takes == "network"
    entry = Entry(drawing, "network", trained=True)
    assert entry_of(entry) is entry and reference(entry) == reference(drawing) == ME


@pytest.mark.parametrize("given", [3, None, Formula, ["random"]])
def test_what_is_no_method_is_refused(given: Any, tmp_path: Path):
    with pytest.raises(InputError, match=r"method is .*\. Allowed: a name, or a function that takes a Problem"):
        rp.search("mobilenetv4_conv", "digits", latency_ms=1.0, method=given, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def searched(method: Any) -> None:
    space = small_space()
    problem = Problem(latency=MacsLatency(), budget_ms=9.0, judge=Formula(), seed=0, space=space, evaluations=2)
    run_search(problem, method, Study())


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (lambda problem: [1], r"gives \[1\]. It must be a generator"),
        (lambda problem: (each for each in [3]), r"yields 3\. Allowed: Proposal\(network=\.\.\.\)"),
        (lambda problem: (each for each in [[problem.seed]]), r"yields 0\. Allowed"),
    ],
)
def test_what_is_no_proposal_is_told(method: Any, told: str):
    with pytest.raises(InputError, match=told):
        searched(method)


def test_a_run_by_a_function_is_told_as_a_call_in_python():
    given = {"verb": "search", "space": "tiny.yaml", "data": "digits", "latency_ms": 0.5, "evaluations": 2}
    settings = make_settings(**OF_SEARCH, **given, method=ME)
    assert settings.stem == "tiny-drawing-digits"
    assert settings.command(out="here", resume=True) == (
        "rp.search('tiny.yaml', 'digits', method=drawing, latency_ms=0.5, evaluations=2, seed=0, out='here', "
        f"resume=True)  # drawing of {__name__}"
    )


class Impatient(Silent):
    """Presses Ctrl-C when the third candidate is about to be judged."""

    def progress(self, share: float, text: str) -> None:
        if text.startswith("candidate 3"):
            raise KeyboardInterrupt


def test_a_search_by_a_function_goes_on_with_the_same_function_only(tmp_path: Path):
    (tmp_path / "tiny.yaml").write_text(SPACE)
    given = {
        "latency_ms": 0.5, "evaluations": 3, "size": 16, "changes": {"epochs": 1, "short_epochs": 1}, "busy": True,
        "table": str(tmp_path / "table.json"), "out": tmp_path / "run",
    }  # fmt: skip
    with pytest.raises(InterruptedRun, match=r"Go on with: rp\.search\(.*method=drawing.*resume=True\)"):
        rp.search(tmp_path / "tiny.yaml", "digits", method=drawing, display=Impatient(), **given)
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["method"] == ME
    before = read_candidates(tmp_path / "run")
    assert len(before) == 2 and before[0].note == "mine"

    words = ["search", tmp_path / "tiny.yaml", "digits", "--latency", "0.5ms", "--out", tmp_path / "run", "--resume"]
    told = call(*words)
    assert told.returncode == 2 and "only Python can go on: rp.search(..., method=drawing" in told.stderr
    with pytest.raises(RunError, match=rf"was begun with method '{ME}', not 'random'\. Go on with: rp\.search"):
        rp.search(tmp_path / "tiny.yaml", "digits", method="random", resume=True, **given)

    result = rp.search(tmp_path / "tiny.yaml", "digits", method=drawing, resume=True, **given)
    assert journal(read_candidates(tmp_path / "run")[:2]) == journal(before)
    assert result["search"]["method"] == ME and "a resume needs the same" in result["search"]["reason"]
    assert result["command"].startswith("rp.search(") and (tmp_path / "run" / "report.html").is_file()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with a method, one that cannot be loaded, and one that has the name of one of ours."""
    folder = tmp_path / "climbing-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: climbing\nVersion: 1.0\n")
    points = "climb = climbing:climb\nbroken = climbing:nowhere\nevolution = climbing:climb\n"
    (folder / "entry_points.txt").write_text(f"[ridgepoint.methods]\n{points}")
    (tmp_path / "climbing.py").write_text("def climb(problem):\n    yield from ()\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()
    yield tmp_path
    installed.cache_clear()
    sys.modules.pop("climbing", None)


def test_installed_methods_are_found_by_name(package: Path):
    assert find_method("climb").method.__module__ == "climbing" and find_method("climb").takes == "space"
    assert find_method("evolution").method.__module__ == "ridgepoint.search.methods.evolution"
    assert {"climb", "random"} <= set(methods_for("space")) and "broken" not in methods_for("space")
    with pytest.raises(InputError, match=r"--method broken: climbing:nowhere of climbing cannot be loaded"):
        find_method("broken")
    with pytest.raises(InputError, match=r"did you mean 'climb'\?"):
        find_method("climbs")


def test_help_lists_installed_methods(package: Path):
    path = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, "-m", "ridgepoint", "search", "--help"]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    told = " ".join(done.stdout.replace("│", " ").split())
    assert "On a network: netadapt, netadapt_original, scaling. Of other packages: climb, broken." in told


def test_ours_say_what_they_search():
    for takes, names in (("space", OF_SPACES), ("network", OF_NETWORKS)):
        assert {find_method(name).takes for name in names} == {takes}
