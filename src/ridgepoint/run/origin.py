"""What a run was begun on: digests of the content behind its settings, compared whenever the run goes on."""

import hashlib
from pathlib import Path

Origin = dict[str, str]
"""A digest by field of the settings: `data`, `model`, `weights`, `recipe`, ..."""


def digest(content: object) -> str:
    """SHA-256 of a value that is written the same wherever it is the same: frozen structs, mappings, texts."""
    return hashlib.sha256(repr(content).encode(errors="surrogateescape")).hexdigest()


def digest_file(given: str) -> str:
    """SHA-256 of a file; what is no file, such as a hub id, stands for itself."""
    if not Path(given).is_file():
        return given
    with Path(given).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
