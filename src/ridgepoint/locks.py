"""Locks on files: one process at a time has what a lock stands for, and one that is killed loses it."""

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ridgepoint.errors import RunError
from ridgepoint.files import writing
from ridgepoint.system import in_forked_children, lock_file

POLL_S = 0.05
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
_held: set[int] = set()
"""Open files of this process's locks, which a forked child must not keep alive."""


@contextlib.contextmanager
def owning(path: Path, *, what: Path | str, otherwise: str, wait_s: float = 0.0) -> Iterator[None]:
    """Own what a lock's file stands for, until the context ends or the process does.

    Args:
        path: The lock's file, which is made and stays; its content is the number of the process that has it.
        what: What is owned, for the message.
        otherwise: What to do where another process has it: the last sentence of the message.
        wait_s: How long to wait for the other process.

    Raises:
        RunError: If another process (or another call in this one) has it.
        WriteError: If the lock's file cannot be made.
    """
    end = time.monotonic() + wait_s
    while (file := _taken(path, what)) is None:
        if time.monotonic() >= end:
            raise RunError(f"{what}: {_owner(path)} is at work on it. {otherwise}")
        time.sleep(POLL_S)
    _held.add(file)
    try:
        with contextlib.suppress(OSError):  # a full disk: the number is for the message only
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, str(os.getpid()).encode())
        yield
    finally:
        _held.discard(file)
        os.close(file)


def _taken(path: Path, what: Path | str) -> int | None:
    """The open file of a lock that nobody had. Where the file system has no locks, everybody may go on."""
    with writing(what):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock_file(file)
        if not os.path.samestat(os.fstat(file), path.stat()):  # its owner has deleted it meanwhile
            raise FileNotFoundError
    except OSError as error:
        if error.errno in _TAKEN or isinstance(error, FileNotFoundError):
            os.close(file)
            return None
    return file


def _owner(path: Path) -> str:
    number = path.read_bytes()[:20].decode("ascii", "replace") if path.exists() else ""
    return f"process {number}" if number.isdecimal() else "another process"


def _let_go() -> None:
    """In a forked child: its copies would hold the locks after the parent was killed."""
    for file in _held:
        os.close(file)
    _held.clear()


in_forked_children(_let_go)
