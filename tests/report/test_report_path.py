"""How a search came to its network, and what a one-shot search learnt, as the page shows them."""

import json
from pathlib import Path
from typing import Any

import msgspec
from report_helpers import small
from test_report_page import words

from ridgepoint.report.path import kind, lineage, path_figure
from ridgepoint.report.policy import policy_map
from ridgepoint.report.result import Belief, read_run
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.study import Study

NETWORK = small("mobilenetv4_conv_small")


def step(name: str, parent: str | None, ms: float, note: str, **more: Any) -> Candidate:
    network = msgspec.structs.replace(NETWORK, name=name)
    return Candidate(name=name, phase="search", network=network, seed=0, parent=parent, tabled_ms=ms, note=note, **more)


PATH = [
    step("a", None, 9.0, "the largest network; over the budget by the tabled latency"),
    step("b", "a", 7.0, "depth: stages.1.blocks.0 pool_mixer to nothing, importance 1.2, 2 ms less"),
    step("c", "a", 8.0, "width: not taken"),
    step("d", "b", 5.0, "expansion of stages.0.0: 96 to 48", short_accuracy=0.5, train_s=1.0),
    step("e", "b", 6.0, "all widths", short_accuracy=0.4, train_s=1.0),
    step("f", "d", 4.0, "comes after the chosen one"),
]


def traces(figure: Any) -> dict[str | None, tuple[list[float], list[float]]]:
    return {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}


def test_the_path_has_every_step_by_kind_and_what_was_proposed_instead():
    line = lineage(PATH, "d")
    assert [each.name for each in line] == ["a", "b", "d"]
    assert [kind(each) for each in PATH[:5]] == ["start", "depth", "width", "expansion", "all widths"]
    assert traces(path_figure(PATH, line, 5.0)) == {
        "proposed instead": ([1, 2], [8.0, 6.0]),
        None: ([0, 1, 2], [9.0, 7.0, 5.0]),
        "start": ([0], [9.0]),
        "depth": ([1], [7.0]),
        "expansion": ([2], [5.0]),
    }


def test_a_network_without_parents_has_no_path():
    assert lineage(PATH, "a") == [] == lineage(PATH, "unknown")


BELIEFS = [
    Belief(step=1, probabilities={"one": [0.5, 0.5], "other": [0.25, 0.25, 0.5]}),
    Belief(step=9, probabilities={"one": [0.9, 0.1], "other": [0.1, 0.7, 0.2]}),
]


def test_the_policy_is_shown_by_the_option_that_it_ends_on():
    (heat,) = policy_map(BELIEFS).data
    assert list(heat.x) == [1, 9] and list(heat.y) == ["one", "other"]
    assert [list(row) for row in heat.z] == [[0.5, 0.9], [0.25, 0.7]]
    assert heat.customdata[1][1] == "option 1: 10%<br>option 2: 70%<br>option 3: 20%"


def test_the_page_shows_both_where_they_are_known(run: Path):
    assert "step by step" not in words(run) and "What the search learnt" not in words(run)
    winner = read_run(run).result.network.name
    study = Study(run)
    for each in PATH[:3]:
        study.record(each)
    study.record(step(winner, "b", 3.0, "width: stages.0.width 32 to 16", short_accuracy=0.5, train_s=1.0))
    folder = run / "tunas" / "coarse"
    folder.mkdir(parents=True)
    rows = [json.dumps(msgspec.to_builtins(belief) | {"loss": 1.0}) for belief in BELIEFS]
    (folder / "history.jsonl").write_text("\n".join(rows))
    text = words(run)
    assert f"Where {winner} comes from, step by step" in text
    assert "depth: stages.1.blocks.0 pool_mixer to nothing, importance 1.2, 2 ms less" in text
    assert "What the search learnt, tunas/coarse" in text
    assert read_run(run).beliefs == {"tunas/coarse": BELIEFS}
