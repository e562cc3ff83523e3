"""Network files that are misspelt or impossible: file, key path, what was given and what is allowed."""

from pathlib import Path

import pytest
import yaml
from cli_helpers import call, refused

GOOD = {
    "name": "mine",
    "input": [3, 32, 32],
    "stem": [{"block": "conv", "out_channels": 8, "stride": 2}],
    "stages": [{"blocks": [{"block": "ib", "expand_channels": 16, "out_channels": 8}]}],
}
ROW = GOOD["stages"][0]["blocks"][0]


def row(**changes: object) -> dict[str, object]:
    return GOOD | {"stages": [{"blocks": [ROW | changes]}]}


CASES = {
    "wrong key": (GOOD | {"inputs": 3}, ("unknown key 'inputs'; did you mean 'input'",)),
    "wrong key in a row": (row(expand_chanels=3), ("stages.0.blocks.0", "did you mean 'expand_channels'")),
    "wrong type": (GOOD | {"num_classes": "ten"}, ("num_classes: is 'ten'. Allowed",)),
    "wrong type in a row": (row(out_channels="8"), ("stages.0.blocks.0.out_channels: is '8'. Allowed",)),
    "negative channels": (row(out_channels=-8), ("stages.0.blocks.0.out_channels: is -8. Allowed", ">= 1")),
    "unknown block": (row(block="fused_ibb"), ("did you mean 'fused_ib'",)),
    "residual over other widths": (row(out_channels=12, residual=True), ("stages.0.0", "8x16x16", "12x16x16")),
    "residual over a stride": (row(stride=2, residual=True), ("stages.0.0", "8x16x16", "8x8x8")),
    "missing key": ({"name": "mine", "input": [3, 32, 32]}, ("the key 'stages' is missing",)),
    "a list": ([1, 2], ("Allowed: a mapping",)),
}


@pytest.mark.parametrize("verb", ["cost", "show"])
@pytest.mark.parametrize("case", CASES)
def test_a_wrong_file(verb: str, case: str, tmp_path: Path) -> None:
    path = tmp_path / "mein netz ü.yaml"
    content, told = CASES[case]
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    refused(call(verb, path), str(path), *told)


@pytest.mark.parametrize("verb", ["cost", "show"])
def test_the_good_file_is_taken(verb: str, tmp_path: Path) -> None:
    path = tmp_path / "mein netz ü.yaml"
    path.write_text(yaml.safe_dump(row(residual=True)), encoding="utf-8")
    done = call(verb, path)
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name: [", "cannot be read as YAML"),
        (b"\xff\xfe\x00", "is not written in UTF-8 (byte 0)"),
        (b"", "Allowed: a mapping"),
        (b"name: a\nbase: mobileone_s00\n", "did you mean 'mobileone_s0'"),
        (b"name: a\nbase: itself.yaml\n", "its base leads back to itself"),
    ],
)
def test_a_file_that_is_no_network(content: bytes, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("itself.yaml").write_bytes(content)
    refused(call("cost", "itself.yaml"), "itself.yaml", told) if b"s00" not in content else refused(
        call("cost", "itself.yaml"), told
    )


def test_missing_file_and_folder(tmp_path: Path) -> None:
    refused(call("show", tmp_path / "none.yaml"), "there is no such file")
    (tmp_path / "folder.yaml").mkdir()
    refused(call("show", tmp_path / "folder.yaml"), "is a folder. Give a file")


def test_names_are_printed_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(yaml.safe_dump(GOOD | {"name": "[/red] :smile: [b]"}), encoding="utf-8")
    for words in (("show", path), ("cost", path, "--layers", "--blocks"), ("sweep", path)):
        done = call(*words)
        assert done.returncode == 0, done.stderr
        assert "[/red] :smile: [b]" in done.stdout
