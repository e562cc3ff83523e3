"""Files: written whole or not at all (aside, synced, then renamed), and read only where that must end."""

import contextlib
import errno
import hashlib
import os
import re
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ridgepoint.errors import InputError, RidgepointError, WriteError

_TEMPORARY = re.compile(r"\..+(\.[^.]+)\.[a-z0-9_]{8}\1")
_WAYS_OUT = {
    errno.EROFS: "Make it writable",
    errno.EACCES: "Make it writable",
    errno.EPERM: "Make it writable",
    errno.ENAMETOOLONG: "Shorten the name",
    errno.ENOENT: "Make its folder",
    errno.EEXIST: "Remove what is there",
    errno.ENOTDIR: "Remove what is there",
    errno.EISDIR: "Remove what is there",
}
_DATABASE = ("full", "readonly", "read-only", "disk i/o", "unable to open")


def read_file(path: Path, *, limit_bytes: int, error: type[InputError] = InputError) -> bytes:
    """The content of a regular file that is not larger than allowed.

    A pipe, a device or a folder under a file's name is refused before anything is read from it, so reading always ends.

    Args:
        path: The file; a link to one is followed.
        limit_bytes: The largest size that a file of this kind has.
        error: What is raised.

    Raises:
        InputError: Or `error`: if it is missing, no regular file, too large or cannot be read.
    """
    check_regular(path, limit_bytes=limit_bytes, error=error)
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror})") from None
    if len(content) > limit_bytes:  # it has grown since it was looked at
        raise error(f"{path}: is larger than {limit_bytes:,} bytes, the most that such a file may have")
    return content


def exists(path: Path) -> bool:
    """Whether anything lies there; no for a text that can be no path."""
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):  # a name too long, a NUL
        return False


def check_regular(path: Path, *, limit_bytes: int | None = None, error: type[InputError] = InputError) -> None:
    """Refuse what is no regular file of allowed size, before a library opens it.

    Raises:
        InputError: Or `error`: if it is missing, no regular file, too large or cannot be looked at.
    """
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"{path}: there is no such file") from None
    except ValueError:  # a NUL in the name
        raise error(f"{str(path)!r}: no file has such a name") from None
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror})") from None
    if stat.S_ISDIR(about.st_mode):
        raise error(f"{path}: is a folder. Give a file")
    if not stat.S_ISREG(about.st_mode):
        raise error(f"{path}: is no regular file but a pipe, a socket or a device. Give a file")
    if limit_bytes is not None and about.st_size > limit_bytes:
        raise error(
            f"{path}: has {about.st_size:,} bytes. Allowed: {limit_bytes:,}, the most that such a file may have"
        )


def digest_file(path: Path, *, limit_bytes: int, error: type[InputError] = InputError) -> str:
    """SHA-256 of a regular file that is not larger than allowed, as `read_file` reads one.

    Raises:
        InputError: Or `error`: if it is missing, no regular file, too large or cannot be read.
    """
    check_regular(path, limit_bytes=limit_bytes, error=error)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as cause:
        raise error(f"{path}: cannot be read ({cause.strerror})") from None


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace a file by the content; after a crash it holds the old or the new, never a part.

    Raises:
        WriteError: If the disk is full or the folder cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    save_atomic(path, lambda temporary: temporary.write_bytes(data))


def save_atomic(path: Path, save: Callable[[Path], object]) -> None:
    """Let `save` write a temporary file beside the path, then put it in the path's place.

    Raises:
        WriteError: If the disk is full or the folder cannot be written.
    """
    with writing(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            save(temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def check_destination(path: Path) -> None:
    """Refuse a path to which no file can be written, before the work that fills it; what is there stays as it is.

    Raises:
        InputError: If it is a folder, a device, a link to nowhere, or below a folder that does not exist.
        WriteError: If the disk is full or the folder cannot be written.
    """
    with writing(path):
        if path.is_symlink() and not path.exists():
            raise InputError(
                f"{path}: is a link to {path.readlink()}, which is not there. Remove it, or give another path"
            )
        if path.is_dir():
            raise InputError(f"{path}: is a folder. Give the path of a file")
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is a pipe, a socket or a device. Give the path of a file")
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder '{path.parent}'. Make it, or give another path")
        with tempfile.TemporaryFile(dir=path.parent, buffering=0) as file:
            file.write(b"1")


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that killed processes left in a folder and below: whoever does owns the folder."""
    for path in folder.rglob(".*"):
        if is_leftover(path):
            with contextlib.suppress(OSError):
                path.unlink()


def is_leftover(path: Path) -> bool:
    """Whether a file has a name that only `save_atomic` gives, while it writes."""
    return _TEMPORARY.fullmatch(path.name) is not None and path.is_file() and not path.is_symlink()


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        WriteError: If it cannot be created or written.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass


@contextlib.contextmanager
def writing(what: Path | str, *, verb: str = "written") -> Iterator[None]:
    """Turn what the system says about a full disk or a read-only folder into a `WriteError`.

    Args:
        what: What is named where the system names no file.
        verb: What could not be done to it.
    """
    try:
        yield
    except RidgepointError:
        raise
    except Exception as error:
        cause = _system_error(error)
        if cause is None:
            raise
        raise WriteError(cannot_write(what, cause, verb=verb)) from None


def cannot_write(what: Path | str, cause: Exception, *, verb: str = "written") -> str:
    """One sentence on a file that cannot be written, and the way out."""
    reason = getattr(cause, "strerror", None) or str(cause)
    name = str(getattr(cause, "filename2", None) or getattr(cause, "filename", None) or "")  # the second one: a copy's
    unknown_to_user = not name or Path(name).name.startswith((".", "tmp"))
    way_out = _WAYS_OUT.get(getattr(cause, "errno", 0) or 0, "Free some space")
    return f"{what if unknown_to_user else name}: cannot be {verb} ({reason}). {way_out}, or give another place"


def _system_error(error: BaseException | None) -> Exception | None:
    """What the system itself said, if that is behind an error: a full disk and the like, no fault of the program."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            return error
        if isinstance(error, sqlite3.Error) and any(word in str(error).lower() for word in _DATABASE):
            return error
        number = re.search(r"\(os error (\d+)\)", str(error))  # how libraries written in Rust tell it
        if number is not None:
            return OSError(int(number[1]), os.strerror(int(number[1])))
        error = error.__cause__ or error.__context__
    return None
