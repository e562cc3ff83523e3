"""What benchmarks found is kept whole and compact, and the tables of the documentation are made of it."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_of_the_documentation_are_those_of_the_results():
    tables = tool("tables")
    pages = [path.read_text(encoding="utf-8") for path in tables.PAGES]
    assert [tables.written(page) for page in pages] == pages, "run: python tools/tables.py"
    assert all(any(f"<!-- table {name} -->" in page for page in pages) for name in tables.TABLES)


def test_a_result_that_changes_changes_its_table(tmp_path: Path, monkeypatch):
    tables = tool("tables")
    found = tables.result("peers")
    found["mean"]["random"]["measured_ms"] = 9.8765
    (tmp_path / "peers.json").write_text(json.dumps(found))
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    page = "a\n<!-- table peers -->\nold\n<!-- end -->\nb\n"
    written = tables.written(page)
    assert "| 9.877 ms |" in written and "old" not in written
    assert written.startswith("a\n<!-- table peers -->\n\n| search |") and written.endswith("|\n\n<!-- end -->\nb\n")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_compact(path: Path):
    text = path.read_text(encoding="utf-8")
    assert tool("compact").compact(json.loads(text)) + "\n" == text, f"run: python tools/compact.py {path}"


def test_compact_loses_nothing_and_keeps_rows_on_lines():
    row = {"a": 0.1, "b": [1, None, True], "c": {"d": "é\n"}}
    value = {"rows": [row] * 20, "empty": {}, "long": list(range(500))}
    text = tool("compact").compact(value)
    assert json.loads(text) == value
    assert text.count("\n") == 20 + 5
