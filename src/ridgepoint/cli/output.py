"""What every verb shares: JSON on stdout, words for people on stderr or stdout, files written whole."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ridgepoint.errors import InputError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; progress goes to stderr.")]


def emit_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=plain, allow_nan=False) + "\n")


def console(*, json_output: bool = False) -> Any:
    """A rich console that prints text as it is: stderr when stdout is kept for JSON."""
    from rich.console import Console

    return Console(stderr=json_output, highlight=False, soft_wrap=True, markup=False, emoji=False)


def write_report(run: Path) -> None:
    """Build a run's page, and say what to do where that fails: the run itself is done.

    Raises:
        WriteError: If the disk is full or the folder cannot be written.
    """
    from ridgepoint.errors import WriteError
    from ridgepoint.report.page import build_report

    try:
        build_report(run)
    except WriteError as error:
        raise WriteError(f"{error}. All but the report is done; then: ridgepoint report {run}") from None


def expect_folder_of(html: Path | None) -> None:
    """Refuse a page for which there is no folder, before the work that fills it.

    Raises:
        InputError: Naming the folder.
    """
    if html is not None and not html.parent.is_dir():
        raise InputError(f"--html is '{html}', but there is no folder '{html.parent}'. Make it, or give another path")
