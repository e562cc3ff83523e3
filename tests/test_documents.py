"""Documents: what is read, as what, and what is refused with which words; the same rules for files and `--set`."""

import os
import time
from pathlib import Path

import pytest
import yaml

import ridgepoint
from ridgepoint.documents import MOST_VALUES, dump_document, read_document, read_value
from ridgepoint.errors import InputError

SHIPPED = sorted(Path(ridgepoint.__file__).parent.rglob("*.yaml"))


def read(folder: Path, content: str | bytes, name: str = "mine.yaml"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_document(path)


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-3", 1e-3), ("1E+2", 100.0), (".5", 0.5), ("-2.", -2.0), ("60e9", 6e10), ("1_000", "1_000"),
        ("1:30", "1:30"), ("no", "no"), ("on", "on"), ("y", "y"), ("true", True), ("False", False), ("~", None),
        ("0o17", 15), ("0xff", 255), ("+7", 7), ("2001-12-14", "2001-12-14"), ("2001-99-99", "2001-99-99"), ("", None),
        ("0777", 777), ("'5'", "5"), ('"true"', "true"), ("<<", "<<"), ("-9223372036854775808", -(2**63)),
        ("cafe\u0301", "café"), ("[1, a, {b: 1e3}]", [1, "a", {"b": 1000.0}]), ("nan", "nan"), ("1e400x", "1e400x"),
    ],
)  # fmt: skip
def test_values_are_read_as_yaml_1_2_says(tmp_path: Path, text: str, value: object):
    for found in (read(tmp_path, f"key: {text}")["key"], read_value(text, what="--set key")):
        assert found == value and type(found) is type(value)


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_what_is_shipped_is_read_as_other_readers_do(path: Path):
    """YAML 1.1 takes `1e-3` for a text: there the number is meant."""

    def same(mine: object, other: object) -> bool:
        if isinstance(mine, dict):
            return mine.keys() == other.keys() and all(same(mine[key], other[key]) for key in mine)
        if isinstance(mine, list):
            return len(mine) == len(other) and all(map(same, mine, other))
        return mine == (float(other) if isinstance(mine, float) else other) and type(mine) in (type(other), float)

    assert same(read_document(path), yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "value",
    [
        "1e5",
        "0o17",
        "no",
        "1:30",
        "null",
        "",
        "5",
        "0x1f",
        ".inf",
        "a: b",
        "# no",
        "[x",
        "é",
        1e-05,
        3,
        True,
        None,
        1e300,
    ],
)
def test_what_is_written_reads_back(tmp_path: Path, value: object):
    content = {"key": value, "list": [value, {"x": value}]}
    assert read(tmp_path, dump_document(content)) == content


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
DIGITS = "9" * 5000
REFUSED = {
    "alias bomb": (BOMB, "holds more values than allowed, 50,000 with aliases written out"),
    "deep flow": ("[" * 100_000, "line 1, column 101: it is nested deeper than 100 levels"),
    "deep block": ("- " * 100_000, "nested deeper than 100 levels"),
    "deep mapping": ("{a: " * 900 + "1" + "}" * 900, "nested deeper than 100 levels"),
    "deep by aliases": ("a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(200)), "deeper"),
    "itself": ("&q [*q]", "line 1, column 5: the alias 'q' has no anchor before it"),
    "many values": (f"[{'1,' * (MOST_VALUES + 1)}]", "holds more values than allowed"),
    "given twice": ("a: {kernel: 3, kernel: 5}", "a.kernel: is given twice"),
    "tag": ("a: !!python/object/apply:os.system [ls]", "the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
    "standard tag": ("a: !!int 3", "line 1, column 4: the tag 'tag:yaml.org,2002:int' is not allowed"),
    "not finite": ("a: [1, .inf]", "a.1: is inf. Allowed: a finite number"),
    "no number": ("a: .NaN", "a: is nan. Allowed: a finite number"),
    "overflow": ("a: 1e999", "a: is inf"),
    "64 bits": ("a: 9223372036854775808", "a: is a whole number of more than 64 bits"),
    "many digits": (f"a: -{DIGITS}", "a: is a whole number of more than 64 bits"),
    "many hex digits": (f"a: 0x{DIGITS}", "a: is a whole number of more than 64 bits"),
    "number as key": ("1: a", "has the key 1. Allowed: texts, numbers in quotes"),
    "list as key": ("? [a]\n: b", "has the key ['a']"),
    "escape": ('a: "\\e[2J"', r"a: has a text with characters that cannot be shown, '\x1b[2J'"),
    "escape in a key": ('"\\0": 1', "cannot be shown"),
    "long text": (f"a: {'x' * 10_001}", "a: has a text of 10,001 characters. Allowed: 10,000"),
    "two documents": ("a: 1\n--- \nb: 1", "holds several documents"),
    "no yaml": ("a: [1, 2", "cannot be read as YAML: line 2, column 1: while parsing a flow sequence"),
    "control": ("a: \x01", "cannot be read as YAML"),
}


@pytest.mark.clock
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_is_named_by_its_place(tmp_path: Path, kind: str):
    text, told = REFUSED[kind]
    began = time.monotonic()
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/mine.yaml: ") and told in str(error.value)
    assert len(str(error.value)) < 400 and time.monotonic() - began < 5


@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind not in ("no yaml", "control")])
def test_a_value_of_the_command_line_obeys_the_same_rules(kind: str):
    text, _ = REFUSED[kind]
    with pytest.raises(InputError, match="--set key: "):
        read_value(text, what="--set key")


@pytest.mark.parametrize(
    "text, told",
    [
        ("[" * 50_000, "nested deeper than 100 levels"),
        ("[" * 500 + "]" * 500, "nested deeper than 100 levels"),
        ('{"a": {"b": 1, "b": 2}}', "a.b: is given twice"),
        (f'{{"a": {DIGITS}}}', "a: is a whole number of more than 64 bits"),
        ('{"a": NaN}', "a: is nan"),
        ('{"a": "\\ud800"}', "a: has a text with characters that cannot be shown"),
        ('{"a": "\\u001b[31m"}', "a: has a text with characters that cannot be shown"),
        ("a: 1", "cannot be read as JSON: line 1, column 1"),
    ],
)
def test_json_obeys_the_same_rules(tmp_path: Path, text: str, told: str):
    with pytest.raises(InputError, match=r"mine\.json: ") as error:
        read(tmp_path, text, "mine.json")
    assert told in str(error.value)


def test_json_reads_as_json(tmp_path: Path):
    assert read(tmp_path, '{"a": [1, 2.5, "\\ud83d\\ude00", null, "cafe\\u0301"]}', "a.JSON") == {
        "a": [1, 2.5, "😀", None, "café"]
    }


@pytest.mark.parametrize(
    "content, told",
    [
        ("a: 1".encode("utf-16"), "is not written in UTF-8 (byte 0)"),
        ("a: é".encode("latin-1"), "is not written in UTF-8 (byte 3)"),
        (b"a: 1\n" * 200_001, "has 1,000,005 bytes. Allowed: 1,000,000"),
    ],
)
def test_other_encodings_and_huge_files_are_refused(tmp_path: Path, content: bytes, told: str):
    with pytest.raises(InputError) as error:
        read(tmp_path, content)
    assert told in str(error.value)


def test_a_byte_order_mark_is_read_over(tmp_path: Path):
    assert read(tmp_path, b"\xef\xbb\xbfa: 1") == {"a": 1}


def test_only_regular_files_are_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    for name, told in (("pipe", "a pipe"), ("zero", "a device"), ("gone", "no such file")):
        with pytest.raises(InputError, match=told):
            read_document(tmp_path / f"{name}.yaml")
