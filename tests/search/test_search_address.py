"""Addresses of studies: refused in a sentence that holds no password, or opened; nothing else is asked or made."""

from pathlib import Path

import pytest

from ridgepoint.errors import InputError, RidgepointError, RunError
from ridgepoint.search.address import check_study, told_study
from ridgepoint.workers.board import Board

SECRET = "s3cret"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "studies",
        "mysql://u:s3cret@host/base",
        "postgresql+psycopg2://u:s3cret@host/base",
        "sqlite+aiosqlite:///x",
        "postgresql://u:s3cret@host:port/base",
        "postgresql://u:s3cret@[::1/base",
        "u:s3cret@host/base",
        "host=h password=s3cret",
        "sqlite://host/x",
        "sqlite://:5/x",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a\0b",
        "sqlite:///a%00b",
        "sqlite:///a\udcffb",
        "sqlite:///a\x1b[2Jb",
        "postgresql://u:%00s3cret@host/base",
        "postgresql://host/" + "x" * 5000,
    ],
)
def test_what_is_no_address_is_told(given: str):
    with pytest.raises(InputError, match=r"is no address of a study\. Allowed: postgresql://") as told:
        Board(given)
    assert SECRET not in str(told.value) and len(str(told.value)) < 300


@pytest.mark.parametrize(
    "query",
    ["timeout=abc", "password=s3cret", "PASSWORD=s3cret", "passfile=s3cret", "sslpassword=s3cret", "service=s3cret",
     "host=a&host=s3cret", "host=%00s3cret", "options=-csearch_path%3Ds3cret"],
)  # fmt: skip
def test_what_may_follow_a_question_mark_is_a_list_without_secrets(query: str):
    for base in ("sqlite:///x.db", "postgresql://127.0.0.1:1/base"):
        with pytest.raises(InputError, match="the address of a study") as told:
            Board(f"{base}?{query}")
        assert SECRET not in str(told.value)


def test_passwords_are_neither_written_down_nor_shown():
    with pytest.raises(InputError, match="holds a password") as told:
        check_study("postgresql://me:s3cret@host/base")
    assert SECRET not in str(told.value)
    check_study("postgresql://me@host/base")
    assert told_study("postgresql://me:s3cret@host/base") == "postgresql://me:***@host/base"
    with pytest.raises(RunError, match=r"^postgresql://me:\*\*\*@127\.0\.0\.1:1/base: .*Check the address") as told:
        Board("postgresql://me:s3cret@127.0.0.1:1/base")
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    "base",
    ["postgresql://127.0.0.1:99999/x", "postgresql://127.0.0.1:1/x?connect_timeout=abc", f"postgresql://{'a' * 300}/x",
     "postgresql://127.0.0.1:1/x?sslmode=abc", "postgresql:///x?host=/nowhere", "postgresql://127.0.0.1:1/x?hostaddr=::1"],
)  # fmt: skip
def test_a_server_that_is_not_there_is_told_in_one_sentence(base: str):
    with pytest.raises(RunError, match=r"Check the address and that the database can be used$"):
        Board(base)


def test_a_file_that_is_no_database_is_told_and_left_as_it_is(tmp_path: Path):
    (tmp_path / "text.db").write_text("no database " * 100)
    (tmp_path / "pipe").symlink_to("/dev/zero")
    for name in ("text.db", "pipe", ".", "nowhere/x.db", "x" * 300):
        with pytest.raises(RidgepointError) as told:
            Board(f"sqlite:///{tmp_path}/{name}")
        assert isinstance(told.value, RunError) and "\n" not in str(told.value)
    assert (tmp_path / "text.db").read_text() == "no database " * 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe", "text.db"]
