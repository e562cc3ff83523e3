"""The published tables of the tabular benchmark: every member of their spaces, each trained and clocked as often."""

import itertools
import json
from pathlib import Path

import pytest

from ridgepoint.arch.space import load_space

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TABLES = sorted((BENCHMARKS / "results").glob("tabular_*.json"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_table_holds_every_member_of_its_space_once(path: Path):
    table = json.loads(path.read_text(encoding="utf-8"))
    space, rows = load_space(BENCHMARKS / "spaces" / f"{table['space']}.yaml"), table["rows"]
    names = [choice.name for choice in space.choices]
    every = itertools.product(*(range(len(choice.options)) for choice in space.choices))
    members = {space.decode(dict(zip(names, indices, strict=True))).digest for indices in every}
    assert table["members"] == len(rows) == len(members)
    assert {row["digest"] for row in rows} == members
    assert all(space.decode(row["assignment"]).digest == row["digest"] for row in rows)
    assert len({(len(row["accuracy"]), len(row["ms"])) for row in rows}) == 1, "all alike"
    assert all(0 < number < 1 for row in rows for number in (*row["accuracy"], *row["ms"]))
