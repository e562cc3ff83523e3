"""Image files of every format and mode, mutated: bytes, lengths, structure; bombs, other formats, pipes and devices."""

import contextlib
import io
import os
import random
import socket
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from harness import Case
from PIL import Image
from tiny_model import tiny_model

SIDE = 24
SUFFIXES = (".jpg", ".png", ".webp", ".gif", ".bmp", ".tif", ".ppm", ".jp2", ".avif", ".tga", ".JPG", ".pgm")
SAVED = (
    ("JPEG", "L", {}),
    ("JPEG", "RGB", {}),
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("PNG", "1", {}),
    ("PNG", "L", {}),
    ("PNG", "LA", {}),
    ("PNG", "P", {"transparency": 3}),
    ("PNG", "RGBA", {}),
    ("PNG", "I;16", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("GIF", "P", {}),
    ("GIF", "P", {"save_all": True, "frames": 4}),
    ("WEBP", "RGB", {"save_all": True, "frames": 4}),
    ("TIFF", "L", {"save_all": True, "frames": 4}),
    ("PNG", "RGB", {"save_all": True, "frames": 4}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
    ("BMP", "1", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "RGBA", {"compression": "tiff_lzw"}),
    ("TIFF", "L", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "1", {"compression": "group4"}),
    ("TIFF", "F", {}),
    ("TIFF", "I", {}),
    ("TIFF", "I;16", {}),
    ("TIFF", "CMYK", {"compression": "packbits"}),
    ("TIFF", "LAB", {}),
    ("PPM", "RGB", {}),
    ("PPM", "L", {}),
    ("PPM", "1", {}),
    ("PPM", "I;16", {}),
    ("PPM", "F", {}),
    ("JPEG2000", "RGB", {}),
    ("JPEG2000", "RGBA", {}),
    ("AVIF", "RGB", {}),
    ("AVIF", "RGBA", {}),
    ("TGA", "RGBA", {"compression": "tga_rle"}),
    ("TGA", "L", {}),
)


def make(rng: random.Random, folder: Path) -> Case:
    """One image given to `predict`, or among good ones in a class folder given to `eval`."""
    if rng.random() < 0.7:
        path = _written(rng, folder)
        return Case(words=["predict", tiny_model(), path, *["--json"] * (rng.random() < 0.3)], names=path.name[:3])
    for name in "ab":
        (folder / "photos" / name).mkdir(parents=True)
        for index in range(8):
            image = noise("RGB", 100 * (name == "a") + index)
            image.save(folder / "photos" / name / f"{index}.png")
    for _ in range(rng.randrange(1, 4)):
        _written(rng, folder / "photos" / rng.choice("ab"))
    return Case(words=["eval", tiny_model(), "photos"])


def _written(rng: random.Random, folder: Path) -> Path:
    path = folder / f"odd{rng.randrange(1000)}{rng.choice(SUFFIXES)}"
    if path.exists():
        return path
    if rng.random() < 0.08:
        rng.choice(NO_FILES)(path)
    elif rng.random() < 0.25:
        path.write_bytes(rng.choice(NASTY)())
    else:
        path.write_bytes(_mutated(rng, _valid(rng.randrange(len(SAVED)))))
    return path


@cache
def _valid(number: int) -> bytes:
    """A good file of each format and mode."""
    format_, mode, options = SAVED[number]
    frames = [noise(mode, seed) for seed in range(options.get("frames", 1))]
    given = {key: value for key, value in options.items() if key != "frames"}
    if len(frames) > 1:
        given["append_images"] = frames[1:]
    if format_ in ("JPEG", "PNG", "WEBP", "TIFF") and number % 2:
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8
        given["exif"] = exif
    return saved(frames[0], format_, **given)


def saved(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def noise(mode: str, seed: int) -> Image.Image:
    generator = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(generator.integers(0, 2**16, (SIDE, SIDE), np.uint16))
    if mode in ("I", "F"):
        return Image.fromarray(generator.integers(0, 2**16, (SIDE, SIDE)).astype("int32" if mode == "I" else "float32"))
    if mode in ("P", "1"):
        return Image.fromarray(generator.integers(0, 256, (SIDE, SIDE), np.uint8)).convert(mode)
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (SIDE, SIDE), generator.bytes(SIDE * SIDE * bands))


def _mutated(rng: random.Random, content: bytes) -> bytes:
    """At one level or another, most often only a little; sometimes not at all."""
    data = bytearray(content)
    for _ in range(rng.choice((0, 1, 1, 2, 5, 30))):
        rng.choice((_flip, _number, _number, _cut, _repeat, _insert, _splice, _header))(rng, data)
        if not data:
            break
    return _with_checksums(bytes(data)) if rng.random() < 0.5 else bytes(data)


def _place(rng: random.Random, data: bytearray) -> int:
    """The beginning of a file is where its structure is."""
    return min(len(data) - 1, int(rng.expovariate(1 / 60)) if rng.random() < 0.7 else rng.randrange(len(data)))


def _flip(rng: random.Random, data: bytearray) -> None:
    data[_place(rng, data)] = rng.randrange(256)


def _number(rng: random.Random, data: bytearray) -> None:
    """Two or four bytes become an extreme number, in either order."""
    value = rng.choice((0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x8000, 7000, 65500, 2**31 - 1, 2**32 - 1, 2**24, 50_000))
    form = rng.choice("HI")
    at = _place(rng, data)
    piece = struct.pack(rng.choice("<>") + form, value & (0xFFFF if form == "H" else 0xFFFFFFFF))
    data[at : at + len(piece)] = piece


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[_place(rng, data) :]


def _repeat(rng: random.Random, data: bytearray) -> None:
    start = _place(rng, data)
    data[start:start] = data[start : start + rng.randrange(1, 400)] * rng.choice((1, 2, 50))


def _insert(rng: random.Random, data: bytearray) -> None:
    start = _place(rng, data)
    data[start:start] = rng.randbytes(rng.randrange(1, 40))


def _splice(rng: random.Random, data: bytearray) -> None:
    other = _valid(rng.randrange(len(SAVED)))
    data[rng.randrange(len(data)) :] = other[rng.randrange(len(other)) :]


def _header(rng: random.Random, data: bytearray) -> None:
    other = _valid(rng.randrange(len(SAVED)))
    count = rng.randrange(2, 40)
    data[:count] = other[:count]


def _with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks' checksums are right again, so that a decoder goes on."""
    if not content.startswith(b"\x89PNG"):
        return content
    out, place = content[:8], 8
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        body = content[place + 4 : place + 8 + size]
        out += content[place : place + 4] + body + struct.pack(">I", zlib.crc32(body))
        place += 12 + size
    return out


def _socket(path: Path) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket must be short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


NO_FILES = (
    os.mkfifo,
    Path.mkdir,
    _socket,
    _sparse,
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/dev/stdin"),
    lambda path: path.symlink_to(path.name),
    lambda path: path.symlink_to("nowhere.png"),
    lambda path: path.symlink_to("/proc/self/mem"),
)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(*chunks: bytes, width: int = 8, height: int = 8, pixels: bytes = bytes(8 * 9), depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    body = _chunk(b"IDAT", zlib.compress(pixels)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(chunks) + body


def _tiff(width: int, height: int, tags: dict[int, int], data: bytes) -> bytes:
    base = {256: width, 257: height, 258: 8, 262: 1, 277: 1} | tags
    at = 8 + 2 + 12 * len(base) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, at if value < 0 else value) for tag, value in sorted(base.items())
    )
    return b"II*\0" + struct.pack("<IH", 8, len(base)) + entries + bytes(4) + data


@cache
def _many_scans() -> bytes:
    whole = saved(Image.new("L", (1000, 1000)), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * 20_000 + whole[-2:]


@cache
def _bomb(kind: str) -> bytes:
    zeros = zlib.compress(bytes(60_000_000), 9)
    return {
        "text": lambda: _png(_chunk(b"zTXt", b"k\0\0" + zeros)),
        "profile": lambda: _png(_chunk(b"iCCP", b"k\0\0" + zeros)),
        "chunks": lambda: _png(*[_chunk(b"tEXt", b"k%d\0v" % index) for index in range(30_000)]),
        "wide": lambda: _png(width=2**31 - 1, height=1),
        "large": lambda: _png(width=49_000, height=1_000),
        "huge": lambda: _png(width=50_000, height=50_000),
        "full": lambda: _png(width=6_000, height=8_000, pixels=bytes(6_001 * 8_000)),
    }[kind]()


NASTY = (
    bytes,
    lambda: bytes(5000),
    lambda: b"hello",
    lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n",
    lambda: b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
    lambda: b"\x00\x00\x00\x18ftypheic" + bytes(50),
    lambda: b"8BPS" + bytes(200),
    lambda: b"SIMPLE  =                    T" + b" " * 3000,
    lambda: b"\xd7\xcd\xc6\x9a" + bytes(200),
    lambda: b"GIF89a" + struct.pack("<HH", 7000, 7000) + b"\x80\0\0" + bytes(6) + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
    lambda: b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + bytes(6) + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
    lambda: b"GIF89a\x10\0\x10\0\x80\0\0" + bytes(6) + b"\x21\xfe\1a\0" * 300_000 + b";",
    lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000,
    lambda: b"P6\n#" + b"a" * 3_000_000 + b"\n8 8 255\n" + bytes(192),
    lambda: b"P3 1000 1000 255 " + b"1 " * 3_000_000,
    lambda: b"P3 1000 1000 255 " + b"1" * 3_000_000,
    lambda: b"P5 " + b"9" * 50_000 + b" 8 255\n",
    lambda: b"Pf 8 8 nan\n" + bytes(256),
    lambda: saved(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"),
    lambda: saved(Image.fromarray(np.full((8, 8), -np.inf, np.float32)), "TIFF"),
    lambda: saved(Image.new("RGB", (1, 1)), "PNG"),
    lambda: saved(Image.new("RGB", (1, 3000)), "PNG"),
    lambda: saved(Image.new("RGB", (4, 60_000)), "PNG"),
    lambda: _tiff(40, 1_240_000, {259: 8, 273: -1, 278: 1_240_000, 279: 60}, zlib.compress(bytes(49_600_000))),
    lambda: _tiff(100, 100, {259: 8, 322: 65520, 323: 30000, 324: -1, 325: 60}, zlib.compress(bytes(10_000))),
    lambda: _tiff(100, 100, {259: 8, 322: 16, 323: 2**24, 324: -1, 325: 60}, zlib.compress(bytes(10_000))),
    lambda: _tiff(100, 100, {259: 1, 273: -1, 278: 2**32 - 1, 279: 2**32 - 1}, bytes(10_000)),
    lambda: _tiff(100, 100, {259: 5, 273: 2**32 - 1, 278: 100, 279: 100}, bytes(100)),
    _many_scans,
    *[lambda kind=kind: _bomb(kind) for kind in ("text", "profile", "chunks", "wide", "large", "huge", "full")],
)
