"""A pytest plugin: in each half of the tests, files with the most slow ones come first; two processes end together.

Each of two processes begins with one half (`--dist worksteal`), and at the end takes from the end of the other's.
"""

from itertools import groupby

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    files = [list(each) for _, each in groupby(items, key=lambda item: item.path)]

    def slow(file: list[pytest.Item]) -> int:
        return sum(item.get_closest_marker("slow") is not None for item in file)

    files.sort(key=slow, reverse=True)
    first, second = files[::2], files[1::2]
    items[:] = [item for half in (first, second) for file in half for item in file]
