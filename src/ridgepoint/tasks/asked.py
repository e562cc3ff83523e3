"""Data of which a user says what they are for: `detection:photos/`, where the same files could be for another task."""

from pathlib import Path

NAMED = ("segmentation", "detection")
"""Tasks that may be named so: annotations can hold boxes and outlines both."""


def parted(spec: str | Path) -> tuple[str, str]:
    """The task that is named, with its colon, or nothing; and what follows. A folder of such a name is just that."""
    text = str(spec)
    start = next((f"{name}:" for name in NAMED if text.startswith(f"{name}:")), "")
    return ("", text) if start and _is_folder(text) else (start, text.removeprefix(start))


def folder_for(name: str, spec: str | Path) -> tuple[Path | None, bool]:
    """The folder that is meant, None if there is none or it is for another task; and whether the task was named."""
    start, rest = parted(spec)
    if start not in ("", f"{name}:"):
        return None, False
    return (Path(rest).expanduser() if _is_folder(rest) else None), bool(start)


def _is_folder(text: str) -> bool:
    try:
        return Path(text).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):  # what cannot be a path
        return False
