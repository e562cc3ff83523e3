"""The accuracy-latency picture: its groups, its front, its static twin."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_helpers import write_result

from ridgepoint.report.figures import save_scatter_svg
from ridgepoint.report.points import Mark, collect, label_sides, pareto
from ridgepoint.report.result import read_run
from ridgepoint.report.scatter import ticks

SVG = "{http://www.w3.org/2000/svg}"


def test_measured_and_tabled_never_mix(run: Path) -> None:
    marks = collect(read_run(run))
    assert [mark.name for mark in marks.chosen] == ["winner"]
    assert [mark.ms for mark in marks.baselines] == [1.4, 2.5, 5.2]
    assert len(marks.tabled) == 28 and marks.undrawn == 2
    assert [mark.name for mark in marks.finalists] == ["runner-up"]
    assert not {mark.name for mark in marks.tabled} & {mark.name for mark in marks.measured}


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 1)), max_size=30))
def test_a_front_holds_no_beaten_mark_and_misses_no_unbeaten_one(points: list[tuple[float, float]]) -> None:
    marks = [Mark(str(index), *point) for index, point in enumerate(points)]
    front = pareto(marks)

    def beaten(mark: Mark) -> bool:
        return any(
            other.ms <= mark.ms and other.accuracy >= mark.accuracy and (other.ms, other.accuracy) != key(mark)
            for other in marks
        )

    def key(mark: Mark) -> tuple[float, float]:
        return mark.ms, mark.accuracy

    assert {key(mark) for mark in front} == {key(mark) for mark in marks if not beaten(mark)}
    assert front == sorted(front, key=key)


def test_names_stay_inside_the_picture() -> None:
    marks = [Mark("at the axis", 0.02, 0.9), Mark("free", 2.0, 0.5), Mark("at the end", 3.95, 0.8)]
    assert label_sides(marks, width=4.0, height=0.5) == ["middle right", "top center", "middle left"]


def test_the_static_picture_has_every_mark(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "scatter.svg"
    save_scatter_svg(run, out)
    root = ElementTree.fromstring(out.read_text(encoding="utf-8"))
    # One of each more is in the legend.
    assert len(root.findall(f"{SVG}circle[@class='tabled']")) == 29
    assert len(root.findall(f"{SVG}rect[@class='base']")) == 4
    assert len(root.findall(f"{SVG}polygon[@class='chosen']")) == 2
    assert len(root.findall(f"{SVG}path[@class='final']")) == 2
    words = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    assert "budget 4 ms" in words and "mobilenetv2_100" in words and "tabled, short training" in words
    # By position: the winner (3.1 ms) is left of the budget (4 ms), the slow baseline (5.2 ms) right of it.
    budget = float(root.find(f"{SVG}line[@class='budget']").get("x1"))
    squares = [float(each.get("x")) for each in root.findall(f"{SVG}rect[@class='base']")]
    assert squares[1] < budget < squares[2]


def test_the_static_picture_of_a_run_without_a_study(run: Path, tmp_path: Path) -> None:
    (run / "study.db").unlink()
    write_result(run, baselines=[], finalists=[])
    out = tmp_path / "scatter.svg"
    save_scatter_svg(run, out)
    root = ElementTree.fromstring(out.read_text(encoding="utf-8"))
    assert root.find(f"{SVG}circle") is None and len(root.findall(f"{SVG}polygon[@class='chosen']")) == 2


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 5.8, [0, 1, 2, 3, 4, 5]),
        (0.68, 0.99, [0.7, 0.75, 0.8, 0.85, 0.9, 0.95]),
        (0.0, 0.7, [0.1 * i for i in range(8)]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)
