"""The JSON files of a run folder: written whole, and read typed, whatever became of them meanwhile."""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ridgepoint.errors import RunError
from ridgepoint.files import read_file, write_atomic

LARGEST_BYTES = 256 * 2**20
T = TypeVar("T")


def write_record(path: Path, content: Any) -> None:
    """Replace a JSON file.

    Raises:
        WriteError: If the disk is full or the folder cannot be written.
    """
    write_atomic(path, msgspec.json.format(msgspec.json.encode(content)))


def read_record(path: Path, kind: type[T], *, otherwise: str) -> T:
    """The content of a JSON file.

    Args:
        path: The file.
        kind: The type that it must have, ranges included.
        otherwise: What to do where it cannot be read: the last sentence of the message.

    Raises:
        RunError: If it is missing, no regular file, damaged or something else.
    """
    return _decoded(read_file(path, limit_bytes=LARGEST_BYTES, error=RunError), kind, str(path), otherwise)


def read_rows(path: Path, kind: type[T], *, otherwise: str) -> list[T]:
    """The content of a file with one JSON value a line, as `read_record` reads one."""
    lines = read_file(path, limit_bytes=LARGEST_BYTES, error=RunError).splitlines()
    return [_decoded(line, kind, f"{path}, line {number}", otherwise) for number, line in enumerate(lines, start=1)]


def _decoded(content: bytes, kind: type[T], where: str, otherwise: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # ValueError: no UTF-8
        raise RunError(
            f"{where}: is damaged, or no file of this version of ridgepoint ({error}). {otherwise}"
        ) from None
