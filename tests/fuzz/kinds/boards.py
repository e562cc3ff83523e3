"""Studies in which a peer has written: a worker passes over everything, a run believes nothing that cannot be."""

import json
import random
import sqlite3
from copy import deepcopy
from pathlib import Path
from typing import Any

from harness import Case
from peer_helpers import job, plain, terms

JOBS = ("run", "place", "job", "worker", "tries", "beats", "verdict")
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63 - 1, 0.5, 1e300, -0.0, "", "x", "../../outside/x", "/etc/passwd", 
    "hf-hub:evil/x", "\x1b[2J", "a\0b", "*", "~", "MNIST", "nowhere", [], {}, [1], {"a": 1}, "x" * 100_000,
)  # fmt: skip
CELLS: tuple[Any, ...] = (None, -1, 2**62, 1e300, b"\xff\xfe\x00", "", "\x1b[2J", "x" * 200_000)


def make(rng: random.Random, folder: Path) -> Case:
    """A small study, mutated in JSON, text, cells or tables, served by a worker for a moment."""
    (folder / "outside").mkdir()
    work = folder / "work"
    work.mkdir()
    connection = sqlite3.connect(folder / "b.db", isolation_level=None)
    typed = rng.random() < 0.5
    keys = (", PRIMARY KEY (run)", ", PRIMARY KEY (run, place)") if typed else ("", "")
    connection.execute(f"CREATE TABLE ridgepoint_runs (run, terms{keys[0]})")
    connection.execute(f"CREATE TABLE ridgepoint_jobs ({', '.join(JOBS)}{keys[1]})")
    for number in range(rng.randrange(1, 4)):
        run = f"run{number}"
        honest = rng.random() < 0.5
        told = json.dumps(plain(terms())) if honest else _mutated(rng, plain(terms()))
        connection.execute("INSERT INTO ridgepoint_runs VALUES (?, ?)", [run, told])
        for place in range(rng.randrange(1, 4)):
            # Honest terms with honest jobs would train; here every job is wrong in something.
            row = [run, place, _mutated(rng, plain(job(place))), None, rng.choice((0, 0, 1, 3, 99)), 0, None]
            if rng.random() < 0.3:
                row[rng.randrange(len(row))] = rng.choice(CELLS)
            connection.execute("INSERT OR REPLACE INTO ridgepoint_jobs VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    if rng.random() < 0.1:
        connection.execute(rng.choice(("DROP TABLE ridgepoint_runs", "ALTER TABLE ridgepoint_jobs DROP COLUMN beats")))
    connection.close()
    before = _tree(folder)

    def check(done: object) -> str | None:
        new = {path for path in _tree(folder) - before if not path.startswith("b.db")}
        return f"written: {sorted(new)}" if new else None

    words = ("worker", f"sqlite:///{folder}/b.db", "--idle", "0.05s", "--allow", str(work))
    return Case(words=words, may=frozenset({0, 2}), check=check)


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _mutated(rng: random.Random, content: Any) -> str:
    """The JSON of a content with one to three values changed, added or taken away; or with its text damaged."""
    for _ in range(rng.randrange(1, 4)):
        inner: Any = content
        while True:
            key = rng.choice(list(inner)) if isinstance(inner, dict) else rng.randrange(len(inner))
            if isinstance(inner[key], dict | list) and inner[key] and rng.random() < 0.8:
                inner = inner[key]
                continue
            break
        kind = rng.random()
        if kind < 0.7:
            inner[key] = deepcopy(rng.choice(VALUES))
        elif kind < 0.85 and len(inner) > 1:
            del inner[key]
        elif isinstance(inner, dict):
            inner[rng.choice(("evil", "type", "data_root", "weights"))] = deepcopy(rng.choice(VALUES))
        else:
            inner.extend(inner * 3)
    text = json.dumps(content)
    if rng.random() < 0.2:
        place = rng.randrange(len(text))
        text = rng.choice((text[:place], text[:place] + rng.choice('{}[]",:\\0e') + text[place + 1 :], "[" * 50_000))
    return text
