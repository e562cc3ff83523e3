"""A pytest plugin: a test fails that leaves logging otherwise than it was, which would silence another test."""

import logging

import pytest


def found() -> dict[str, object]:
    """What libraries that are called here set for the whole process."""
    root = logging.getLogger()
    loggers = [each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    return {
        "level": root.level,
        "filters": list(root.filters),
        "handlers": [(handler, handler.level) for handler in root.handlers],
        "class of new loggers": logging.getLoggerClass(),
        "level below which nothing is told": root.manager.disable,
        "disabled": sorted(each.name for each in loggers if each.disabled),
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> object:
    before = found()
    result = yield
    after = found()
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    if changed:
        pytest.fail(f"{item.nodeid} leaves logging changed (before, after): {changed}", pytrace=False)
    return result
