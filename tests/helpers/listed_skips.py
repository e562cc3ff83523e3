"""A pytest plugin: with `--listed-skips`, a skip that `tests/skips.yaml` does not list fails the run."""

from collections import defaultdict
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
import pytest

LIST = Path(__file__).parents[1] / "skips.yaml"
UNLISTED = "skips/unlisted"
"""Where pytest's cache keeps those of the last run that were not listed."""


class Skip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tests that may be skipped.

    Attributes:
        tests: Whose, a pattern of test ids as of a shell.
        reason: What they say when they are, such a pattern too.
        why: Where and why that is right.
    """

    tests: str
    reason: str
    why: str

    def covers(self, test: str, reason: str) -> bool:
        return fnmatchcase(test, self.tests) and fnmatchcase(reason, self.reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--listed-skips", action="store_true", help=f"fail where a skip is not listed in {LIST.name}")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("listed_skips") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(ListedSkips(msgspec.yaml.decode(LIST.read_bytes(), type=list[Skip])))


class ListedSkips:
    """Counts what is skipped, by its entry in the list."""

    def __init__(self, listed: list[Skip]):
        self.listed = listed
        self.found: dict[Skip | None, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            entry = next((each for each in self.listed if each.covers(report.nodeid, reason)), None)
            self.found[entry].append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        session.config.cache.set(UNLISTED, self.found.get(None, []))
        if None in self.found and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.found:
            terminalreporter.section("skips")
        for entry, tests in self.found.items():
            if entry:
                terminalreporter.line(f"listed: {len(tests)} of {entry.tests} ({entry.reason}): {entry.why}")
        for test in self.found.get(None, []):
            terminalreporter.line(f"NOT LISTED in {LIST.name}, therefore a failure: {test}", red=True)
