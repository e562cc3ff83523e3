"""Checkpoints: written whole, synced, and read without running code from the file."""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypedDict, TypeVar

import msgspec
import torch

from ridgepoint.errors import RunError
from ridgepoint.files import check_regular, write_atomic

Count = Annotated[int, msgspec.Meta(ge=0)]


class Noted(TypedDict):
    """A row of metrics, whatever else it holds."""

    step: Count
    progress: Annotated[float, msgspec.Meta(ge=0, le=1)]


class Course(msgspec.Struct, kw_only=True):
    """How far something is taught, in every checkpoint."""

    step: Count
    elapsed_s: Annotated[float, msgspec.Meta(ge=0)]
    rows: list[Noted]


C = TypeVar("C", bound=Course)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint; after a crash the file holds the old state or the new one.

    Raises:
        WriteError: If the disk is full or the folder cannot be written.
    """
    whole = io.BytesIO()  # torch's own file writer hides why it fails
    torch.save(state, whole)
    write_atomic(path, whole.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state that `save_checkpoint` wrote, on the CPU.

    Raises:
        RunError: If the file is missing or is no checkpoint.
    """
    if path.exists():  # a pipe would never end
        check_regular(path, error=RunError)
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums that it writes
            if broken := archive.testzip():
                raise zipfile.BadZipFile(f"the checksum of {broken} is wrong")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such checkpoint") from None
    except Exception as error:  # a broken file can raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{path}: is no readable checkpoint ({reason}). Delete it to train anew") from None


@contextlib.contextmanager
def restoring(path: Path, kind: type[C], *, what: str, anew: str) -> Iterator[tuple[dict[str, Any], C]]:
    """The state of a checkpoint and the typed part of it; whatever does not fit inside the context is told.

    Args:
        path: The checkpoint.
        kind: The types and ranges that its numbers must have, all of them finite.
        what: Whose state it should be, for the message.
        anew: What deleting it leads to.

    Raises:
        RunError: If it is no readable checkpoint, or the state of something else.
    """
    state = load_checkpoint(path)
    try:
        course = msgspec.convert(state, kind)
        json.dumps([msgspec.to_builtins(course), state["rows"]], allow_nan=False)
        yield state, course
    except Exception as error:  # what was changed by hand can raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{path}: belongs to another {what} ({reason}). Delete it to {anew} anew") from None
