"""The page in a real browser: drawn, quiet, offline, and no wider than the window."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from report_helpers import BASELINES, open_page, write_result

from ridgepoint.report.blocks import block_rows
from ridgepoint.report.page import build_report
from ridgepoint.report.result import read_run

POINTS = """
const plot = document.querySelector(`[data-figure="${arguments[0]}"]`);
return Object.fromEntries([...plot.querySelectorAll(".scatterlayer .trace")].map((trace, index) => [
    plot.data[index].name, trace.querySelectorAll(".points path.point").length]));
"""


@pytest.fixture(scope="module")
def page(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    run = tmp_path_factory.mktemp("page") / "run"
    return build_report(Path(shutil.copytree(finished, run))).resolve().as_uri()


@pytest.mark.parametrize(("width", "shown"), [(380, "narrow"), (1280, "wide"), (1600, "wide")])
def test_it_fits_the_window_and_is_quiet(browser: Any, page: str, width: int, shown: str) -> None:
    """With one picture of two, and a table that does not scroll."""
    open_page(browser, page, width=width)
    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    plots = browser.execute_script("return [...document.querySelectorAll('[data-figure]')].map(p => p.clientWidth)")
    assert len(plots) == 6 and all(250 < plot <= width for plot in plots)
    heights = (
        "return [...document.querySelectorAll('.only-wide, .only-narrow')].map(p => [p.className, p.clientHeight])"
    )
    visible = [name for name, height in browser.execute_script(heights) if height]
    assert visible == [f"only-{shown}"]
    table = "const t = document.querySelector('.cards'); return [t.scrollWidth, t.parentElement.clientWidth]"
    needed, room = browser.execute_script(table)
    assert needed <= room
    cells = "return [...document.querySelectorAll('.cards td')].every(c => c.scrollWidth <= c.clientWidth + 1)"
    assert browser.execute_script(cells)
    assert browser.get_log("browser") == []
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []


def test_every_curve_the_bars_heat_map_pictures_and_drawing_are_there(browser: Any, page: str, finished: Path) -> None:
    open_page(browser, page, width=1200)
    assert browser.execute_script(POINTS, "val_accuracy") == {"winner": 12, **dict.fromkeys(BASELINES, 12)}
    assert browser.execute_script(POINTS, "fronts")["candidates"] == 28

    def count(selector: str) -> int:
        return int(browser.execute_script("return document.querySelectorAll(arguments[0]).length", selector))

    blocks = len(block_rows(read_run(finished).network))
    assert count("[data-figure=blocks] .barlayer .point") == 2 * blocks
    assert count("[data-figure=confusion] .heatmaplayer image") == 1
    loaded = browser.execute_script("return [...document.querySelectorAll('.pictures img')].map(i => i.naturalWidth)")
    assert loaded == [16] * 5
    assert count("svg.rp-net rect.band") == 6  # stem, four stages, head


def test_names_stay_text_in_the_figures_however_often_they_are_drawn(browser: Any, run: Path) -> None:
    document = json.loads((run / "evaluation.json").read_text())
    document["classes"][0] = '<a href="https://evil.example">x</a>'
    (run / "evaluation.json").write_text(json.dumps(document))
    write_result(run, name="<b>star</b>")
    open_page(browser, build_report(run).resolve().as_uri(), width=1200)
    browser.execute_script(
        "const place = document.querySelector('[data-figure=confusion]');"
        "for (const text of place.querySelectorAll('text')) Plotly.relayout(place, {'font.size': 12});"
        "Plotly.relayout(place, {'yaxis.tickangle': 20, 'xaxis.tickangle': 70});"
    )
    assert browser.execute_script("return document.querySelectorAll('[data-figure] a').length") == 0
    labels = browser.execute_script(
        "return [...document.querySelectorAll('[data-figure=confusion] .ytick text')].map(t => t.textContent)"
    )
    shown = [label.replace("\u2060", "") for label in labels]
    assert "<b>star & moon</b>" in shown and any(label.startswith("<a href=") for label in shown)


def test_it_follows_dark(browser: Any, page: str) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    open_page(browser, page, width=1200)
    ink = "return document.querySelector('[data-figure=loss]').layout.font.color"
    assert browser.execute_script(ink) == "#1d232b"
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        WebDriverWait(browser, 5, poll_frequency=0.02).until(lambda _: browser.execute_script(ink) == "#e8ecf1")
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
