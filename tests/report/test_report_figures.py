"""The accuracy-latency picture: its groups, its front, its names."""

import itertools
import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_helpers import BASELINES, write_result

from ridgepoint.report.figures import label
from ridgepoint.report.labels import Box
from ridgepoint.report.points import Mark, Marks, collect, pareto
from ridgepoint.report.result import read_run
from ridgepoint.report.scatter import NARROW, WIDE, frame_of, labels_of, save_scatter_svg, ticks

SVG = "{http://www.w3.org/2000/svg}"


def test_the_groups_hold_exported_files_alone(run: Path) -> None:
    marks = collect(read_run(run))
    assert [mark.name for mark in marks.chosen] == ["winner"]
    assert [mark.ms for mark in marks.baselines] == [1.4, 2.5, 5.2]
    assert [mark.name for mark in marks.finalists] == ["runner-up"]
    assert len(marks.every) == 5 and marks.undrawn == 0 and marks.majority == 0.25


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


PLACES = st.lists(st.tuples(st.floats(0.05, 6), st.floats(0, 1)), min_size=1, max_size=9)


@given(PLACES, st.sampled_from([WIDE, NARROW]), st.integers(4, 28))
def test_no_name_lies_on_another_or_on_a_mark_or_outside(
    points: list[tuple[float, float]], size: tuple[int, int], letters: int
) -> None:
    named = tuple(Mark(f"{index}".ljust(letters, "m"), *point) for index, point in enumerate(points))
    marks = Marks(
        split="test", budget_ms=4.0, majority=0.3, chosen=named[:1], finalists=(), baselines=named[1:], undrawn=0
    )
    frame = frame_of(marks, size)
    boxes = [label.box for label in labels_of(marks, frame) if label is not None]
    assert not any(one.meets(other) for one, other in itertools.combinations(boxes, 2))
    for mark in named:
        x, y = frame.x(mark.ms), frame.y(mark.accuracy)
        assert not any(box.meets(Box(x - 5, y - 5, x + 5, y + 5)) for box in boxes)
    assert all(box.left >= 0 and box.right <= size[0] and box.top >= 0 and box.bottom <= size[1] for box in boxes)


def test_names_have_room_where_networks_are_much_alike() -> None:
    named = tuple(Mark(f"mobilenetv4_conv_{index}", 2.0 + 0.02 * index, 0.9 + 0.004 * index) for index in range(6))
    marks = Marks(
        split="test", budget_ms=4.0, majority=0.3, chosen=named[:1], finalists=(), baselines=named[1:], undrawn=0
    )
    assert None not in labels_of(marks, frame_of(marks, WIDE))
    assert None not in labels_of(marks, frame_of(marks, NARROW))


def test_the_picture_has_every_mark_and_its_name(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "scatter.svg"
    save_scatter_svg(run, out)
    root = ElementTree.fromstring(out.read_text(encoding="utf-8"))
    # One of each more is in the legend.
    assert len(root.findall(f"{SVG}rect[@class='base']")) == 4
    assert len(root.findall(f"{SVG}polygon[@class='chosen']")) == 2
    assert len(root.findall(f"{SVG}path[@class='final']")) == 2
    assert len(root.findall(f"{SVG}line[@class='guess']")) == 2
    words = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert {"budget 4 ms", "winner", "runner-up", *BASELINES} <= set(words)
    # By position: the fast baselines are left of the budget (4 ms), the slow one (5.2 ms) right of it.
    budget = float(root.find(f"{SVG}line[@class='budget']").get("x1"))
    squares = sorted(float(each.get("x")) for each in root.findall(f"{SVG}rect[@class='base']")[:3])
    assert squares[1] < budget < squares[2]


def test_the_picture_of_a_run_without_rivals(run: Path, tmp_path: Path) -> None:
    (run / "study.db").unlink()
    write_result(run, baselines=[], finalists=[])
    out = tmp_path / "scatter.svg"
    save_scatter_svg(run, out)
    root = ElementTree.fromstring(out.read_text(encoding="utf-8"))
    assert root.find(f"{SVG}rect[@class='base']") is None and len(root.findall(f"{SVG}polygon[@class='chosen']")) == 2


@pytest.mark.parametrize("name", ['<a href="https://evil.example">x</a>', "<b>bold", "a < b & c", "</text>"])
def test_no_label_holds_a_tag_even_when_it_is_read_back_unescaped(name: str) -> None:
    shown = unescape(label(name))
    assert not re.search(r"<[/a-zA-Z]", shown) and shown.replace("\u2060", "") == name


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
