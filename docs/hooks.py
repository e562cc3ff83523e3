"""MkDocs: pages are templates whose values and tables come from the code, so they cannot drift from it."""

import sys
from pathlib import Path
from typing import Any

import jinja2
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

from facts import FACTS, STRUCTS, json_schema

RESULTS = {"FitResult": "fit.schema.json", "TrainResult": "train.schema.json"}
_TEMPLATES = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
_TEMPLATES.globals.update(FACTS)


def on_files(files: Files, config: Any) -> Files:
    """Add the JSON schemas of results."""
    for name, path in RESULTS.items():
        assert name in STRUCTS
        files.append(File.generated(config, path, content=json_schema(name)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill a page."""
    return filled(markdown)


def filled(markdown: str) -> str:
    """A page with the code's values.

    Raises:
        jinja2.UndefinedError: If it asks for what there is not.
    """
    return _TEMPLATES.from_string(markdown).render()
