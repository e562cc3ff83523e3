"""Files that are either whole or not there: written aside, synced, then renamed."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ridgepoint.errors import RunError


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace a file by the content; after a crash it holds the old or the new, never a part.

    Raises:
        RunError: If the disk is full or the folder cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    save_atomic(path, lambda temporary: temporary.write_bytes(data))


def save_atomic(path: Path, save: Callable[[Path], object]) -> None:
    """Let `save` write a temporary file beside the path, then put it in the path's place.

    Raises:
        RunError: If the disk is full or the folder cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise _cannot_write(path, error) from None
    temporary = Path(name)
    try:
        save(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save raises RuntimeError when the disk is full
        if isinstance(error, RuntimeError) and "writ" not in str(error) and "PytorchStreamWriter" not in str(error):
            raise
        raise _cannot_write(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        RunError: If it cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: Exception) -> RunError:
    return RunError(
        f"{path}: cannot be written ({error}). Free some space or give another folder with --out; what was saved "
        "before is intact, and --resume goes on from it"
    )
