"""A pytest plugin: `tests/seconds.json` says what every test function took when all were timed last.

Those over `LONG_S` are marked `slow`, and `make check` leaves them out. The files that take longest come first in each
half of the tests, so that two processes end together: each begins with one half (`--dist worksteal`), and at the end
takes from the end of the other's. `make seconds` times all anew.
"""

import json
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

TIMED = Path(__file__).parents[1] / "seconds.json"
LONG_S, TOLD_S = 1.0, 0.1


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-seconds", action="store_true", help=f"write {TIMED.name} anew")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("write_seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Watch())


class Watch:
    """Sums up what the tests of all processes take, by function."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[function(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        told = {name: round(took, 1) for name, took in sorted(self.seconds.items()) if took >= TOLD_S}
        TIMED.write_text(json.dumps(told, indent=0) + "\n", encoding="utf-8")


def function(nodeid: str) -> str:
    """A test's function, whatever its parameters, below the folder of tests."""
    return nodeid.partition("[")[0].removeprefix("tests/")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seconds = json.loads(TIMED.read_text(encoding="utf-8"))
    files = [list(each) for _, each in groupby(items, key=lambda item: item.path)]
    for item in items:
        if seconds.get(function(item.nodeid), 0.0) > LONG_S:
            item.add_marker(pytest.mark.slow)

    def total(file: list[pytest.Item]) -> float:
        return sum(seconds.get(name, 0.0) for name in {function(item.nodeid) for item in file})

    files.sort(key=total, reverse=True)
    first, second = files[::2], files[1::2]
    items[:] = [item for half in (first, second) for file in half for item in file]
