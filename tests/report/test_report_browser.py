"""The page in a real browser: drawn, quiet, offline, and no wider than the window."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from report_helpers import BASELINES

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


def open_page(browser: Any, page: str, *, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("browser")
    browser.get(page)


@pytest.mark.parametrize("width", [380, 1600])
def test_it_fits_the_window_and_is_quiet(browser: Any, page: str, width: int) -> None:
    open_page(browser, page, width=width)
    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    plots = browser.execute_script("return [...document.querySelectorAll('[data-figure]')].map(p => p.clientWidth)")
    assert len(plots) == 7 and all(250 < plot <= width for plot in plots)
    assert browser.get_log("browser") == []
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []


def test_every_point_is_drawn_in_its_own_group(browser: Any, page: str) -> None:
    open_page(browser, page, width=1200)
    assert browser.execute_script(POINTS, "scatter") == {
        "tabled, short training (validation images)": 28,
        "Pareto front of the measured files": 0,
        "baseline: measured, test images": len(BASELINES),
        "finalist: measured, test images": 1,
        "chosen: measured, test images": 1,
    }
    assert browser.execute_script(POINTS, "val_accuracy") == {"winner": 12, **dict.fromkeys(BASELINES, 12)}


def test_bars_heat_map_pictures_and_drawing_are_there(browser: Any, page: str, finished: Path) -> None:
    open_page(browser, page, width=1200)

    def count(selector: str) -> int:
        return int(browser.execute_script("return document.querySelectorAll(arguments[0]).length", selector))

    blocks = len(block_rows(read_run(finished).network))
    assert count("[data-figure=blocks] .barlayer .point") == 2 * blocks
    assert count("[data-figure=confusion] .heatmaplayer image") == 1
    loaded = browser.execute_script("return [...document.querySelectorAll('.pictures img')].map(i => i.naturalWidth)")
    assert loaded == [16] * 5
    assert count("svg.rp-net rect.band") == 6  # stem, four stages, head


def test_a_class_name_stays_text_in_the_figures(browser: Any, page: str) -> None:
    open_page(browser, page, width=1200)
    labels = browser.execute_script(
        "return [...document.querySelectorAll('[data-figure=confusion] .ytick text')].map(t => t.textContent)"
    )
    assert "<b>star & moon</b>" in labels


def test_it_follows_dark(browser: Any, page: str) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    open_page(browser, page, width=1200)
    ink = "return document.querySelector('[data-figure=loss]').layout.font.color"
    assert browser.execute_script(ink) == "#1d232b"
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        WebDriverWait(browser, 5).until(lambda _: browser.execute_script(ink) == "#e8ecf1")
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
