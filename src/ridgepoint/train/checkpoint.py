"""Checkpoints: written whole, synced, and read without running code from the file."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from ridgepoint.errors import RunError
from ridgepoint.files import write_atomic


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
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums that it writes
            if broken := archive.testzip():
                raise zipfile.BadZipFile(f"the checksum of {broken} is wrong")
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such checkpoint") from None
    except Exception as error:  # a broken file can raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{path}: is no readable checkpoint ({reason}). Delete it to train anew") from None
