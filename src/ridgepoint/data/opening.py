"""The one place where an image file is opened: regular files of known formats and bounded size, nothing else.

A file's name does not decide how it is read: left to itself, Pillow tries every decoder it has on the content, those
included that start other programs (EPS runs Ghostscript).
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path

from PIL import Image

from ridgepoint.data.bombs import Pieces, check_size, too_large
from ridgepoint.errors import DataError, InputError, printable
from ridgepoint.files import read_file

FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2",),
    "AVIF": (".avif",),
    "TGA": (".tga",),
}
"""The formats that are read, by Pillow's names, with the file name endings that stand for them; TGA last: it is told by
no mark of its own."""

SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
"""File name endings that count as images, lower case."""

MAX_BYTES = 256 * 2**20
"""The largest image file that is read."""

_ALONE_BYTES, _ALONE_PIXELS = 32 * 2**20, 16_000_000  # from here on one image at a time, so that memory stays bounded
_alone = threading.RLock()

_OTHERS = (  # what else is found under an image's name, by the first bytes
    (b"\x00\x00\x00", b"ftyphei", "an HEIC photograph"),
    (b"\x00\x00\x00", b"ftypmif1", "an HEIC photograph"),
    (b"%!PS", b"", "an EPS drawing"),
    (b"%PDF", b"", "a PDF document"),
    (b"8BPS", b"", "a Photoshop file"),
    (b"\xff\x0a", b"", "a JPEG XL image"),
    (b"<svg", b"", "an SVG drawing"),
    (b"<", b"", "a web page or XML text"),
    (b"PK\x03\x04", b"", "a zip archive"),
    (b"version https://git-lfs", b"", "a pointer of Git LFS, whose file was not fetched"),
)


class ImageError(DataError):
    """An image that cannot be read.

    Attributes:
        reason: One line on why, without the path.
    """

    def __init__(self, message: str, reason: str = ""):
        super().__init__(message)
        self.reason = reason


def suffix_of(name: str) -> str:
    """The ending of a file's name with its dot; empty if it has none."""
    stem, dot, ending = name.rpartition(".")
    return dot + ending if stem else ""


@contextmanager
def content_of(path: str | Path) -> Iterator[bytes]:
    """The bytes of an image file; of large files one at a time is held.

    Raises:
        ImageError: If it is missing, a folder, a pipe, a socket, a device, or larger than allowed; it is not read then.
    """
    path = Path(path)
    with ExitStack() as held:
        try:
            if path.stat().st_size > _ALONE_BYTES:
                held.enter_context(_alone)
            content = read_file(path, limit_bytes=MAX_BYTES)
        except (InputError, OSError, ValueError) as error:
            raise bad_image(path, error) from error
        yield content


@contextmanager
def opened(path: str | Path, content: bytes) -> Iterator[Image.Image]:
    """The image in the bytes of a file, opened but not decoded; of large images one at a time is open.

    Raises:
        ImageError: If it is no image in a known format, damaged, or larger than allowed; also for whatever happens to
            the image inside the `with` block.
    """
    try:
        with Image.open(Pieces(content), formats=_formats()) as image:
            pixels = check_size(image, content)
            image.filename = str(path)
            with _alone if pixels > _ALONE_PIXELS else nullcontext():
                yield image
    except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file
        raise bad_image(path, error, content) from error


@contextmanager
def decoded(path: str | Path) -> Iterator[Image.Image]:
    """The decoded image of a file, in the mode it is stored in; of large images one at a time is held.

    Raises:
        ImageError: As `content_of` and `opened`.
    """
    with content_of(path) as content, opened(path, content) as image:
        image.load()
        yield image


def bad_image(path: str | Path, error: Exception, content: bytes = b"") -> ImageError:
    """The error that names a file and why it could not be read."""
    reason = reason_of(error, content).removeprefix(f"{printable(str(path))}: ")
    return ImageError(f"cannot read image '{path}': {reason}", reason)


def reason_of(error: Exception, content: bytes = b"") -> str:
    """One line on why an image could not be read, without the path that the caller already names."""
    if isinstance(error, ImageError):
        return error.reason
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, Image.DecompressionBombError):
        return too_large("far more pixels")
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if type(error).__name__ == "UnidentifiedImageError":
        return _what_it_is(content)
    return " ".join(str(error).split()) or type(error).__name__


@cache
def _formats() -> tuple[str, ...]:
    """The formats that this build of Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _what_it_is(content: bytes) -> str:
    if not content:
        return "not an image: the file is empty"
    if not any(content[:4096]):
        return "not an image: the file begins with zeros, as an interrupted copy leaves it"
    start = content[:64].lstrip(b"\xef\xbb\xbf\r\n\t ")
    for mark, further, name in _OTHERS:
        if start.startswith(mark) and further in content[:64]:
            return f"it is {name}, not an image in a format that is read ({', '.join(FORMATS)})"
    return "not an image in a format that is read, or its header is damaged"
