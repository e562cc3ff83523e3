"""Files that the user names: refused before the work, written whole, and nobody else's file is lost."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_helpers import call, fill, refused, run

from ridgepoint.arch.zoo import load
from ridgepoint.cli.live import Live
from ridgepoint.cli.output import console, emit_json
from ridgepoint.cli.table import print_table
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.nn.build import build
from ridgepoint.train.folder import About, save_training

Writing = Callable[[Path], list]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that never was."""
    folder = tmp_path_factory.mktemp("training")
    model = build(load("mobileone_s0").at(height=32).with_classes(2)).eval()
    about = About(
        labels=("a", "b"),
        preprocessing=Preprocessing(height=32, width=32, channels=3, resize=32, mean=(0.5,) * 3, std=(0.5,) * 3),
        val_accuracy=0.5,
        steps=1,
        seconds=1.0,
    )
    save_training(folder, model, about)
    return folder


@pytest.fixture(params=["svg", "space svg", "sweep", "bench", "probe", "export"])
def words(request: pytest.FixtureRequest, training: Path) -> list:
    """A command but for the file that it writes."""
    return {
        "svg": ["show", "mobileone_s0", "--svg"],
        "space svg": ["show", "mobileone_32px", "--svg"],
        "sweep": ["sweep", "mobileone_s0", "--html"],
        "bench": ["bench", "mobileone_s0", "--html"],
        "probe": ["probe", "--html"],
        "export": ["export", training, "--out"],
    }[request.param]


@pytest.mark.clock
def test_what_cannot_be_written_is_refused_before_the_work(words: list, tmp_path: Path) -> None:
    suffix = ".onnx" if words[0] == "export" else ".out"
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / "text").write_text("x")
    (tmp_path / f"gone{suffix}").symlink_to(tmp_path / "nowhere" / "file")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    began = time.monotonic()
    for name, told in (
        ("missing/a", f"there is no folder '{tmp_path}/missing'. Make it"),
        ("text/a", f"there is no folder '{tmp_path}/text'"),
        ("folder", "is a folder. Give the path of a file"),
        ("gone", f"is a link to {tmp_path}/nowhere/file, which is not there. Remove it"),
        ("pipe", "is a pipe, a socket or a device"),
        ("x" * 300, "File name too long"),
    ):
        refused(call(*words, tmp_path / f"{name}{suffix}"), told)
    assert time.monotonic() - began < 20, "it worked before it looked"


def test_a_file_of_somebody_else_is_not_lost(words: list, tmp_path: Path) -> None:
    mine = tmp_path / "mine.onnx"
    mine.write_text("ridgepoint is what my thesis is about")
    refused(call(*words, mine), f"{mine}: exists, and is no such file of ridgepoint", "or --force")
    assert mine.read_text() == "ridgepoint is what my thesis is about"


@pytest.mark.parametrize("verb", [("show", "mobileone_s0", "--svg"), ("sweep", "mobileone_s0", "--html")])
def test_own_files_are_replaced_and_others_by_force(verb: tuple, tmp_path: Path) -> None:
    file, link = tmp_path / "a.out", tmp_path / "link"
    file.touch()  # empty, as from mktemp
    link.symlink_to(file)
    for place in (file, file, link):
        assert call(*verb, place).returncode == 0
    assert link.is_symlink() and file.stat().st_size > 1000
    file.write_text("other")
    refused(call(*verb, link), "exists")
    assert call(*verb, link, "--force").returncode == 0
    assert link.is_symlink() and file.stat().st_size > 1000


def test_an_exported_file_is_replaced_only_by_the_same_kind(training: Path, tmp_path: Path) -> None:
    refused(call("export", training, "--out", tmp_path / "m.bin"), "Allowed: a name that ends in .onnx")
    for _ in range(2):
        assert call("export", training, "--out", tmp_path / "m.onnx").returncode == 0


def test_a_drawing_that_does_not_fit_leaves_the_old_one(disk: Callable[[int], Path]) -> None:
    place = disk(100)
    old = place / "a.svg"
    assert call("show", "mobileone_s0", "--svg", old).returncode == 0
    before = old.read_bytes()
    filler = fill(place)
    os.truncate(filler, filler.stat().st_size - 8192)  # room for the beginning of a drawing
    refused(call("show", "mobilenetv4_conv_large", "--svg", old), "No space left on device", "Free some space")
    assert old.read_bytes() == before and {path.name for path in place.iterdir()} == {"a.svg", ".filler"}


def test_the_version_is_told() -> None:
    done = call("--version")
    assert (done.returncode, done.stdout) == (0, "ridgepoint 0.1.0\n")


def test_tables_lose_nothing_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for words in (
        ("models", "mobilenetv4_hybrid*"),
        ("show", "mobilenetv4_hybrid_large"),
        ("show", "mobilenetv4_hybrid"),
        ("cost", "mobilenetv4_hybrid_large_075", "--device", "snapdragon-8-elite-gen5-npu", "--layers"),
        ("sweep", "mobilenetv4_hybrid_large_075"),
        ("devices",),
    ):
        done = run(*words)
        assert done.returncode == 0 and "…" not in done.stdout
        assert any(len(line) > 60 for line in done.stdout.splitlines())


def test_nothing_that_is_printed_steers_a_terminal(capsys: pytest.CaptureFixture) -> None:
    text = "a\x1b[2J\x9b1m\u202eb[red]:smile:"
    console().print(text)
    Live().say(text)
    print_table(console(), ["title"], [[text]], left=())
    emit_json({"name": text})
    out, err = capsys.readouterr()
    assert all(each.isprintable() or each == "\n" for each in out + err)
    assert "a\\x1b[2J\\x9b1m\\u202eb[red]:smile:" in out and "[2J" in err
    assert json.loads(out[out.index("{") :]) == {"name": text}
