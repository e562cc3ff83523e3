"""A study's password reaches no terminal, log or file: whatever the verb, and wherever it is given or lies."""

import json
from pathlib import Path

import pytest
from cli_helpers import call, refused

SECRET = "postgresql://me:s3cret@127.0.0.1:1/base"
FIT = ("fit", "digits", "--latency", "5ms")


@pytest.mark.parametrize(
    "words",
    [
        (*FIT, "--out", "new", "--study", SECRET),
        (*FIT, "--out", "run", "--resume"),
        (*FIT, "--out", "run", "--resume", "--study", SECRET),
        (*FIT, "--out", "clean", "--resume", "--study", SECRET),
        ("search", "mobilenetv4_conv_32px", "digits", "--latency", "5ms", "--study", SECRET.replace("127", "[127")),
        (*FIT, "--study", "sqlite:///x?password=s3cret"),
        ("report", "run"),
        ("worker", SECRET, "--idle", "1s"),
        ("worker", "mysql://me:s3cret@127.0.0.1/base"),
    ],
)
def test_no_verb_shows_or_keeps_a_password(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"verb": "fit", "data": "digits", "latency_ms": 5.0}
    for name, study in (("run", {"study": SECRET}), ("clean", {})):
        Path(name).mkdir()
        Path(name, "settings.json").write_text(json.dumps(settings | study))
    done = call(*words)
    refused(done)
    assert "s3cret" not in done.stdout + done.stderr
    kept = {
        path.name for path in tmp_path.rglob("*") if path.is_file() and "s3cret" in path.read_text(errors="replace")
    }
    assert kept == {"settings.json"}, "the one that was there"
