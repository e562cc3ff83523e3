"""The site in a real browser: no page is wider than its window, all is from here, and the search finds."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import set_width

LOADED = "return performance.getEntriesByType('resource').map(each => each.name)"
FOUND = "return [...document.querySelectorAll('.md-search-result__link')].map(each => each.href)"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def open_at(browser: Any, address: str, width: int) -> None:
    set_width(browser, width)
    browser.get_log("browser")
    browser.get(address)


@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.soak)])
def test_pages_fit_the_window_and_load_nothing_from_elsewhere(browser: Any, site: Path, address: str, width: int):
    for page in sorted(site.glob("*.html")):
        open_at(browser, f"{address}/{page.name}", width)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, page.name
        loaded = browser.execute_script(LOADED)
        assert loaded and all(each.startswith(address) for each in loaded), page.name
        assert [row for row in browser.get_log("browser") if "favicon" not in row["message"]] == [], page.name


def test_the_search_finds(browser: Any, address: str):
    from selenium.webdriver.support.wait import WebDriverWait

    open_at(browser, f"{address}/index.html?q=roofline", 1280)
    found = WebDriverWait(browser, 30, poll_frequency=0.02).until(lambda _: browser.execute_script(FOUND))
    assert any("/targets.html" in each for each in found)
