"""What every verb shares: JSON on stdout, words for people on stderr or stdout, files written whole."""

import json
import mmap
import re
import sys
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ridgepoint.errors import InputError, WriteError, printable
from ridgepoint.run.settings import BUSY

_STEERING = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")  # what JSON leaves as it is
P = TypeVar("P", Path, Path | None)
PAGE, DRAWING, MODEL = b"ridgepoint</title>", b'class="rp-net"', b"ridgepoint.version"  # what our files hold
ForceFlag = Annotated[bool, typer.Option("--force", help="Replace a file even where ridgepoint did not write it.")]
Busy = Annotated[bool, typer.Option("--busy", help=BUSY)]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; progress goes to stderr.")]


def end_doubted(display: Any, doubts: list[str], *, busy: bool) -> None:
    """Warn of times that are not to be relied on; exit code 3 unless the user accepts such times."""
    for text in doubts:
        display.warn(text)
    if doubts and not busy:
        raise typer.Exit(3)


def emit_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    text = json.dumps(document, indent=2, ensure_ascii=plain, allow_nan=False)
    sys.stdout.write(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def console(*, json_output: bool = False) -> Any:
    """A rich console that prints text as it is, control characters as escapes: stderr when stdout is kept for JSON."""
    from rich.console import Console

    class Plain(Console):
        def render_str(self, text: str, **how: Any) -> Any:
            return super().render_str(printable(text), **how)

    return Plain(stderr=json_output, highlight=False, soft_wrap=True, markup=False, emoji=False)


def write_report(run: Path) -> None:
    """Build a run's page, and say what to do where that fails: the run itself is done.

    Raises:
        WriteError: If the disk is full or the folder cannot be written.
    """
    from ridgepoint.report.page import build_report

    try:
        build_report(run)
    except WriteError as error:
        raise WriteError(f"{error}. All but the report is done; then: ridgepoint report {run}") from None


def destination(path: P, *, option: str, mark: bytes, force: bool) -> P:
    """Where a file goes that the user names, if any, checked before the work that fills it.

    Args:
        path: What was given; a link is followed.
        option: How it was given.
        mark: What every file of this kind holds that ridgepoint wrote: such a file may be replaced.
        force: Whether any other may be too.

    Raises:
        InputError: If no file can be written there, or another program's would be lost.
    """
    from ridgepoint.files import check_destination

    if path is None:
        return None
    try:
        check_destination(path)
    except WriteError:
        raise
    except InputError as error:
        raise InputError(f"{option} {error}") from None
    if not force and path.is_file() and path.stat().st_size and not _holds(path, mark):
        raise InputError(f"{option} {path}: exists, and is no such file of ridgepoint. Give another path, or --force")
    return path.resolve() if path.is_symlink() else path


def _holds(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(mark) >= 0
