"""The recipes of docs/extending.md, as they stand there."""

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fences import ROOT, fences

from ridgepoint.methods import Entry
from ridgepoint.search.methods import GROUP
from ridgepoint.search.methods.entry import entry_of
from ridgepoint.tasks import reading as tasks
from ridgepoint.testing.problems import journal, make_problem, middle, search

FILES = {each.title: each.text for each in fences(ROOT / "docs" / "extending.md") if each.title}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of the page, importable."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in FILES:
        sys.modules.pop(Path(name).stem, None)


def test_the_method_keeps_the_contract(folder: Path):
    """By the page's own test."""
    importlib.import_module("test_climbing").test_climb(folder)


def test_the_method_climbs(folder: Path):
    climb = importlib.import_module("climbing").climb
    found = search(climb, make_problem(climb, budget_ms=middle(climb)))
    best = [max(each.short_accuracy or 0.0 for each in found[: count + 1]) for count in range(len(found))]
    parents = {each.name: each for each in found}
    assert all(parents[each.parent].short_accuracy == best[at] for at, each in enumerate(found[1:]) if each.parent)
    assert journal(found) == journal(search(climb, make_problem(climb, budget_ms=middle(climb))))


def test_the_entry_and_the_entry_point(folder: Path):
    entry = importlib.import_module("climbing_entry").CLIMB
    assert isinstance(entry, Entry) and entry.settings is not None and entry.settings().patience == 10
    (value,) = tomllib.loads(FILES["pyproject.toml"])["project"]["entry-points"][GROUP].values()
    module, _, name = value.partition(":")
    assert entry_of(getattr(importlib.import_module(module), name)).takes == "space"


def test_the_task_of_the_page_is_there():
    (text,) = (each.text for each in fences(ROOT / "docs" / "extending.md", "toml") if "ridgepoint.tasks" in each.text)
    ((name, value),) = tomllib.loads(text)["project"]["entry-points"][tasks.GROUP].items()
    module, _, attribute = value.partition(":")
    assert getattr(importlib.import_module(module), attribute).name == name
