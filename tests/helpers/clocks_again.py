"""A pytest plugin: `--last-failed --clocks-again` runs once more, alone, what only a busy machine has failed."""

import pytest
from listed_skips import UNLISTED


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clocks-again", action="store_true", help="run what failed again if all of it is marked `clock`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("clocks_again"):
        return
    failed = set(config.cache.get("cache/lastfailed", {}))
    again = [item for item in items if item.nodeid in failed and item.get_closest_marker("clock")]
    others = sorted(failed - {item.nodeid for item in again}) + config.cache.get(UNLISTED, [])
    if others:
        raise pytest.UsageError(f"{len(others)} failed or were skipped that no clock excuses, among them {others[0]}")
    if not again:
        raise pytest.UsageError("the run failed, but not by a test that is marked `clock`")
    items[:] = again
