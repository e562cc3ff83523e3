"""A JSON file of a run folder is read typed, or refused by one sentence that says what to do."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from ridgepoint.errors import RunError
from ridgepoint.run.records import read_record, read_rows, write_record


class Row(msgspec.Struct):
    step: Annotated[int, msgspec.Meta(ge=0)]
    loss: float = 0.0


def test_what_was_written_is_read(tmp_path: Path):
    write_record(tmp_path / "row.json", Row(3, 0.5))
    assert read_record(tmp_path / "row.json", Row, otherwise="") == Row(3, 0.5)
    (tmp_path / "rows.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    assert read_rows(tmp_path / "rows.jsonl", Row, otherwise="") == [Row(1), Row(2)]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"step": "x"}', b'{"step": -1}', b"[1]", b"null", b'{"step": 1e400}', b'"\xff"', b"[" * 100_000],
    ids=lambda content: content[:15].decode("latin-1"),
)
def test_damage_of_any_kind_is_one_sentence(tmp_path: Path, content: bytes):
    path = tmp_path / "row.json"
    path.write_bytes(content)
    for read in (read_record, read_rows) if content else (read_record,):
        with pytest.raises(RunError, match=r"row\.json(, line 1)?: is damaged.*\. Run it again") as told:
            read(path, Row, otherwise="Run it again")
        assert "\n" not in str(told.value)


def test_what_is_no_file(tmp_path: Path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(RunError, match=str(path)):
            read_record(path, Row, otherwise="")
