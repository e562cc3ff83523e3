"""`ridgepoint.json`: what is known about the artefacts of a folder, beside them.

A file whose format can hold that holds it too; of all others this is the only place. Every artefact is told by its
name, with a hash of each of its files: one that was changed or lost is refused before anything opens it.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ridgepoint.deploy.about import EXPORT_AGAIN, About
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.errors import InputError, shown
from ridgepoint.files import read_file, write_atomic
from ridgepoint.run.quantised import Quantised

NAME = "ridgepoint.json"
LARGEST_BYTES = 64 << 20


class Entry(About, frozen=True, kw_only=True):
    """An artefact.

    Attributes:
        runtime: The runtime that it was written and checked for.
        files: SHA-256 of each file, by its path from here.
        parity: How far its answers are from its source's, where they were compared.
        quantisation: Of an int8 artefact, how it was made and what that cost.
    """

    runtime: str
    files: dict[str, str]
    parity: dict[str, float | str] | None = None
    quantisation: Quantised | None = None


class Companion(msgspec.Struct, kw_only=True):
    """The document; artefacts by name."""

    artefacts: dict[str, Entry] = {}


def read_entry(path: Path) -> Entry | None:
    """What the document beside an artefact tells of it; None without a document, or where it does not name it.

    Raises:
        InputError: If the document is damaged.
    """
    return _read(path.parent / NAME).artefacts.get(path.name)


def precision_of(path: Path, otherwise: str) -> str:
    """Of an artefact's multiplications, by the document beside it: of most formats no runtime tells it.

    Raises:
        InputError: If the document is damaged.
    """
    entry = read_entry(path)
    return otherwise if entry is None else entry.precision


def write_entry(
    path: Path,
    about: About,
    runtime: Runtime,
    *,
    parity: Mapping[str, float | str] | None = None,
    quantisation: Quantised | None = None,
) -> None:
    """Tell of an artefact that is complete, and no longer of those that are gone.

    Raises:
        InputError: If a document lies there that is damaged, or a file of the artefact is missing.
        WriteError: If the disk is full or the folder cannot be written.
    """
    fields = {name: getattr(about, name) for name in About.__struct_fields__}
    told = Entry(
        **fields,
        runtime=runtime.name,
        files=runtime.hashes(path),
        parity=None if parity is None else dict(parity),
        quantisation=quantisation,
    )
    document = path.parent / NAME
    others = {
        name: entry
        for name, entry in _read(document).artefacts.items()
        if name != path.name and Path(name).name == name and (path.parent / name).exists()
    }
    content = Companion(artefacts=dict(sorted({**others, path.name: told}.items())))
    write_atomic(document, msgspec.json.format(msgspec.json.encode(content)))


def is_told(path: Path, runtime: Runtime) -> bool:
    """Whether an artefact is there, whole, and the one that is told of."""
    try:
        entry = read_entry(path)
        if entry is not None:
            expect_same(path, entry, runtime)
    except InputError:
        return False
    return entry is not None


def expect_same(path: Path, entry: Entry, runtime: Runtime) -> None:
    """Refuse an artefact that is not what is told of it.

    Raises:
        InputError: If a file is missing, or is not the one that was written.
    """
    hashes = runtime.hashes(path)
    if missing := sorted(entry.files.keys() - hashes.keys()):
        raise InputError(
            f"{path}: lacks {shown(missing[0])}, which {NAME} beside it names as a part of it. Fetch or copy all its "
            "files"
        )
    for name, digest in hashes.items():
        if entry.files.get(name) != digest:
            part = "it" if name == path.name else f"its part {shown(name)}"
            raise InputError(
                f"{path}: {part} is not what {NAME} beside it tells of: one of the two was changed or replaced. Fetch "
                f"or copy both, or {EXPORT_AGAIN[0].lower() + EXPORT_AGAIN[1:]}"
            )


def _read(document: Path) -> Companion:
    if not document.exists():
        return Companion()
    try:
        return msgspec.json.decode(read_file(document, limit_bytes=LARGEST_BYTES), type=Companion)
    except (ValueError, RecursionError) as error:  # msgspec's errors, no UTF-8, and what our own types refuse
        raise InputError(
            f"{document}: is damaged, or no file of ridgepoint's ({error}). Remove it, and export the models beside it "
            "again"
        ) from None
