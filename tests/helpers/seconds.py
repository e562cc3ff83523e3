"""A pytest plugin: `tests/seconds.json` has the tests that took over `LONG_S` seconds when all were timed last.

They are marked `slow`, and `make check` leaves them out. The files that take longest come first in each half of the
tests, so that two processes end together: each begins with one half (`--dist worksteal`), and at the end takes from the
end of the other's. `make seconds` times all anew.
"""

import json
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

TIMED = Path(__file__).parents[1] / "seconds.json"
LONG_S = 0.3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-seconds", action="store_true", help=f"write {TIMED.name} anew")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("write_seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Watch())


class Watch:
    """Sums up what the tests of all processes take, with what is made for them."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        told = {name: round(took, 1) for name, took in sorted(self.seconds.items()) if took > LONG_S}
        TIMED.write_text(json.dumps(told, indent=0) + "\n", encoding="utf-8")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seconds = json.loads(TIMED.read_text(encoding="utf-8"))
    files = [list(each) for _, each in groupby(items, key=lambda item: item.path)]
    for item in items:
        if item.nodeid in seconds:
            item.add_marker(pytest.mark.slow)

    def total(file: list[pytest.Item]) -> float:
        return sum(seconds.get(item.nodeid, 0.0) for item in file)

    files.sort(key=total, reverse=True)
    first, second = files[::2], files[1::2]
    items[:] = [item for half in (first, second) for file in half for item in file]
