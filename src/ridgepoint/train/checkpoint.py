"""Checkpoints: written whole, synced, and read without running code from the file."""

import io
import pickle
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
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such checkpoint") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise RunError(f"{path}: is no readable checkpoint ({str(error).splitlines()[0]})") from None
