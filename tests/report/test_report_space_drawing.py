"""Search spaces as tables and drawings."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer
from typer.testing import CliRunner

from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import list_spaces
from ridgepoint.cli.show import show
from ridgepoint.report.space_drawing import WIDTH, draw_space
from ridgepoint.report.space_rows import format_size, space_stages

SVG = "{http://www.w3.org/2000/svg}"
app = typer.Typer()
app.command("show")(show)
app.callback()(lambda: None)


def call(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["show", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("name", list_spaces())
def test_every_space_is_drawn_whole(name: str) -> None:
    space = load_space(name)
    root = ElementTree.fromstring(draw_space(space))
    assert len(root.findall(f"{SVG}rect[@class='band']")) == len(space_stages(space))
    height = float(root.get("height", "0"))
    for rect in root.iter(f"{SVG}rect"):
        x, y, wide, tall = (float(rect.get(key, "0")) for key in ("x", "y", "width", "height"))
        assert x >= 0 and x + wide <= WIDTH and y >= 0 and y + tall <= height and wide > 0 and tall > 0
    text = " ".join(root.itertext())
    assert name in text and f"{format_size(space.size)} networks" in text


def test_rows_of_mobilenetv3_by_hand() -> None:
    stages = {stage.name: stage for stage in space_stages(load_space("mobilenetv3"))}
    (row,) = stages["stage 4"].rows
    assert row.name == "IB or Fused IB or Separable"
    assert row.options == "kernel 3|5 · expansion 3|4|6 · SE –|0.25 · depth 1|2|3|4"
    assert row.widths == (48, 80, 112) and not row.strides and stages["stage 5"].rows[0].strides
    assert stages["head"].rows[0].options == "conv 288|576|960 · hidden –|1024|1280"


def test_what_may_be_left_out_says_so() -> None:
    stages = {stage.name: stage for stage in space_stages(load_space("mobilenetv4_hybrid"))}
    assert stages["stage 3"].depths == (2, 4, 6, 8, 10, 12)
    assert [row.name for row in stages["stage 3"].rows[3:6]] == ["UIB", "Mobile MQA or nothing", "UIB"]


def test_sizes_as_people_read_them() -> None:
    assert [format_size(size) for size in (7, 23_328, 10**6, 1_234_567, 64_497_254_400_000)] == [
        "7", "23,328", "1,000,000", "1.2e6", "6.4e13",
    ]  # fmt: skip


def test_show_prints_the_size_and_every_row_and_writes_the_drawing(tmp_path: Path) -> None:
    out = tmp_path / "space.svg"
    lines = call("mobileone_32px", "--svg", out).splitlines()
    assert lines[0] == "mobileone_32px: 7 choices, 23,328 networks"
    assert any(line.split()[:4] == ["stages.2.0", "MobileOne", "↓", "branches"] for line in lines)
    assert str(out) in lines[-1] and out.read_text(encoding="utf-8").startswith("<svg ")


def test_show_as_json_has_the_exact_size() -> None:
    document = json.loads(call("mobilenetv4_hybrid", "--json"))
    space = load_space("mobilenetv4_hybrid")
    assert document["size"] == space.size and len(document["choices"]) == len(space.choices)
    assert document["stages"][0]["rows"][0]["widths"] == [8, 16, 24, 32]


def test_show_takes_a_file_of_a_space(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ninput: [3, 8, 8]\nstages:\n  - blocks:\n      - {block: conv, out_channels: {choice: [8, 16]}}\n"
    )
    assert call(path).startswith("mine: 1 choice, 2 networks")
