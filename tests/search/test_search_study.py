"""The journal in a run folder: whatever became of its file, one sentence names it and says what to do."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ridgepoint.arch.zoo import load
from ridgepoint.errors import RunError
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.study import STUDY_FILE, Study, read_candidates

CANDIDATES = [
    Candidate(name=f"candidate-{place:03}", phase="search", network=load("mobilenetv2_050"), seed=0, tabled_ms=1.0)
    for place in range(12)
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    study = Study(folder)
    for candidate in CANDIDATES:
        study.record(candidate)
    return folder / STUDY_FILE


def sql(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement)

    return change


def content(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


DAMAGES = {
    "empty": content(lambda whole: b""),
    "garbage": content(lambda whole: b"garbage" * 1000),
    "half": content(lambda whole: whole[: len(whole) // 2]),
    "a few bytes": content(lambda whole: whole[:100]),
    "zeros inside": content(lambda whole: whole[:8192] + bytes(8192) + whole[16384:]),
    "a folder": replaced(Path.mkdir),
    "a pipe": replaced(os.mkfifo),
    "another database": replaced(sql("CREATE TABLE mine (x)")),
    "another schema": sql("UPDATE alembic_version SET version_num = 'x'"),
    "another name": sql("UPDATE studies SET study_name = 'x'"),
    "no trials": sql("DROP TABLE trials"),
    "a strange state": sql("UPDATE trials SET state = 'DREAMING'"),
    "nothing": sql("UPDATE trial_user_attributes SET value_json = NULL"),
    "no JSON": sql("UPDATE trial_user_attributes SET value_json = 'x'"),
    "a number": sql("UPDATE trial_user_attributes SET value_json = '3'"),
    "no candidate": sql("UPDATE trial_user_attributes SET value_json = '\"{}\"'"),
    "no network": sql("UPDATE trial_user_attributes SET value_json = replace(value_json, 'out_channels', 'x')"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_is_named(whole: Path, tmp_path: Path, damage: str):
    DAMAGES[damage](Path(shutil.copy(whole, tmp_path)))
    for read in (read_candidates, lambda run: Study(run).candidates()):
        with pytest.raises(RunError, match=r"study\.db: is ") as told:
            read(tmp_path)
        assert "\n" not in str(told.value)


def test_any_bytes_of_it_may_be_wrong(whole: Path, tmp_path: Path):
    rng, path = random.Random(0), tmp_path / STUDY_FILE
    told = 0
    for _ in range(60):
        damaged = bytearray(whole.read_bytes())
        for _ in range(rng.choice((1, 30, 3000))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            found = read_candidates(tmp_path)
        except RunError as error:
            assert "study.db" in str(error)
            told += 1
        else:
            assert len(found) <= len(CANDIDATES)
    assert told > 20


def test_a_sound_one_is_read(whole: Path):
    assert read_candidates(whole.parent) == CANDIDATES
