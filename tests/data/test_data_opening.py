"""Whatever lies under an image's name: only regular files of known formats are opened, in bounded memory and time."""

import io
import os
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_helpers import noise
from PIL import Image

from ridgepoint.data import Preprocessing, detect
from ridgepoint.data.opening import FORMATS
from ridgepoint.errors import DataError

RGB = Preprocessing(height=16, width=16, channels=3, resize=16, mean=(0.5,) * 3, std=(0.5,) * 3)


def refused(path: Path, *told: str) -> None:
    """By whatever opens images: one by one, and in a class folder."""
    with pytest.raises(DataError) as caught:
        RGB(path)
    assert str(path.name) in str(caught.value)
    for words in told:
        assert words in str(caught.value)


@pytest.fixture
def recording_gs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a Ghostscript that is first on the path tells that it was run."""
    record = tmp_path / "gs_was_run"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {record}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    return record


def test_no_other_program_is_started(tmp_path: Path, make_tree, recording_gs: Path):
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n"
    (tmp_path / "x.png").write_bytes(drawing)
    refused(tmp_path / "x.png", "it is an EPS drawing, not an image in a format that is read (JPEG, PNG")
    root = make_tree({"a": 30, "b": 30}, size=(4, 4))
    (root / "a" / "x.png").write_bytes(drawing)
    assert detect(root).skipped[0].startswith("a/x.png: it is an EPS drawing")
    assert not recording_gs.exists()


OTHERS = ("PCX", "SGI", "ICO", "DDS", "MSP", "SPIDER", "ICNS")


@pytest.mark.parametrize("name", OTHERS)
def test_formats_that_are_not_listed_are_not_decoded(tmp_path: Path, name: str):
    buffer = io.BytesIO()
    noise(0, (32, 32)).convert("1" if name == "MSP" else "F" if name == "SPIDER" else "RGB").save(buffer, name)
    (tmp_path / "x.jpg").write_bytes(buffer.getvalue())
    refused(tmp_path / "x.jpg", "not an image in a format that is read")


@pytest.mark.parametrize("name", FORMATS)
def test_every_listed_format_is_read_under_any_name(tmp_path: Path, name: str):
    noise(0, (32, 32)).save(tmp_path / "x.png", name)
    assert RGB(tmp_path / "x.png").shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (bytes(5000), "begins with zeros, as an interrupted copy leaves it"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "it is an HEIC photograph"),
        (b"\n<!DOCTYPE html><html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"PK\3\4" + bytes(50), "it is a zip archive"),
    ],
)
def test_what_it_is_instead_is_told(tmp_path: Path, content: bytes, told: str):
    (tmp_path / "x.jpg").write_bytes(content)
    refused(tmp_path / "x.jpg", told)


def no_files(root: Path) -> dict[str, str]:
    """What lies under a file's name without being one, made below a folder, and what is told of it."""
    os.mkfifo(root / "pipe.png")
    (root / "zero.jpg").symlink_to("/dev/zero")
    (root / "loop.png").symlink_to("loop.png")
    (root / "gone.png").symlink_to("nowhere.png")
    (root / "folder.png").mkdir()
    here = Path.cwd()
    os.chdir(root)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket.png")
    os.chdir(here)
    with (root / "sparse.png").open("wb") as file:
        file.truncate(2**40)
    return {
        "pipe.png": "no regular file but a pipe",
        "zero.jpg": "no regular file but a pipe",
        "socket.png": "no regular file but a pipe",
        "loop.png": "",
        "gone.png": "there is no such file",
        "folder.png": "is a folder",
        "sparse.png": "has 1,099,511,627,776 bytes. Allowed: 268,435,456",
    }


@pytest.mark.timeout(30)
def test_only_regular_files_are_read(tmp_path: Path, make_tree):
    made = no_files(tmp_path)
    for name, told in made.items():
        refused(tmp_path / name, told)
    root = make_tree({"a": 70, "b": 70}, size=(4, 4))
    no_files(root / "a")
    skipped = detect(root).skipped
    assert {line.partition(": ")[0] for line in skipped} == {f"a/{name}" for name in made} - {"a/folder.png"}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes, width: int = 8, height: int = 8) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(72))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + body


def tiff(width: int, height: int, tags: dict[int, int]) -> bytes:
    data = zlib.compress(bytes(10_000))
    every = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1} | tags
    at = 8 + 2 + 12 * len(every) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, at if value < 0 else value) for tag, value in sorted(every.items())
    )
    return b"II*\0" + struct.pack("<IH", 8, len(every)) + entries + bytes(4) + data


def scans() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (1000, 1000)).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * 5_000 + whole[-2:]


BOMBS = {
    "wide": (lambda: png(width=50_000, height=1_001), "50,000 x 1,001 px; allowed: 50 million pixels"),
    "absurd": (lambda: png(width=2**31 - 1, height=2**31 - 1), "50 million pixels"),
    "text": (lambda: png(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))), "too large"),
    "profile": (lambda: png(chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(50_000_000)))), "too large"),
    "tiles": (lambda: tiff(100, 100, {322: 65_520, 323: 30_000, 324: -1, 325: 60}), "tiles have 1,965,600,000 px each"),
    "tall tiles": (lambda: tiff(100, 100, {322: 16, 323: 2**24, 324: -1, 325: 60}), "tiles have 268,435,456 px each"),
    "strips": (lambda: tiff(40, 2_097_152, {273: -1, 278: 2_097_152, 279: 60}), "40 x 2,097,152 px; allowed"),
    "scans": (scans, "scans of 1,000 x 1,000 px; usual are about 10"),
    "segments": (lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 1_500_000, "far too many pieces"),
    "comment": (lambda: b"P6\n#" + b"a" * 2_000_000 + b"\n8 8 255\n" + bytes(192), "far too many pieces"),
    "words": (lambda: b"P3 2000 1000 255 " + b"1 " * 6_000_000, "bytes of text; allowed: 8,388,608"),
    "screen": (lambda: b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(20), ""),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_before_they_unfold(tmp_path: Path, kind: str):
    make, told = BOMBS[kind]
    (tmp_path / "bomb.png").write_bytes(make())
    refused(tmp_path / "bomb.png", told)


def test_a_progressive_photograph_with_text_behind_it_is_read(tmp_path: Path):
    noise(0, (300, 200)).save(tmp_path / "x.jpg", progressive=True)
    with (tmp_path / "x.jpg").open("ab") as file:  # as phones put a film behind a photograph
        file.write(b"\xff\xda\0\2" * 100_000)
    assert RGB(tmp_path / "x.jpg").shape == (1, 3, 16, 16)


def test_frames_after_the_first_are_not_looked_at(tmp_path: Path):
    frames = [Image.new("RGB", (32, 32), (index, 0, 0)) for index in range(50)]
    for name in ("x.gif", "x.webp", "x.tif", "x.png"):
        frames[7].save(tmp_path / name, save_all=True, append_images=frames[8:])
        first = RGB(tmp_path / name)[0, :, 0, 0] * 127.5 + 127.5
        assert np.abs(first - [7, 0, 0]).max() < 6


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told by Linux")
@pytest.mark.parametrize("mode", ["RGBA", "F"])
def test_the_largest_images_stay_below_a_gigabyte(tmp_path: Path, mode: str):
    side = 7_070
    Image.new(mode, (side, side)).save(tmp_path / "x.tif", compression="tiff_adobe_deflate")
    script = (
        "import sys\nfrom pathlib import Path\nfrom ridgepoint.data import Preprocessing\n"
        "p = Preprocessing(height=16, width=16, channels=3, resize=16, mean=(0.5,) * 3, std=(0.5,) * 3)\n"
        "p(sys.argv[1])\nprint(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "x.tif"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 900_000
