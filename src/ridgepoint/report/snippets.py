"""Code that runs an exported file in an app, without ridgepoint, with this file's own preprocessing in it."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.report.template import TEMPLATES

LANGUAGES = {"python": "Python", "javascript": "JavaScript", "kotlin": "Kotlin, Android", "swift": "Swift, iOS"}


class Snippet(msgspec.Struct, frozen=True):
    """A file's worth of code; `key` is its language in one word, `title` as people read it."""

    key: str
    title: str
    code: str


def snippets(preprocessing: Mapping[str, Any], *, file: str, labels: str = "labels.txt") -> list[Snippet]:
    """One for every language that has a template for files of this kind; none where the preprocessing is not known.

    Args:
        preprocessing: As `result.json` has it.
        file: The exported file's name.
        labels: That of the file with a class a line.
    """
    try:
        known = msgspec.convert(preprocessing, Preprocessing)
    except (msgspec.ValidationError, ValueError):
        return []
    templates = TEMPLATES / "app" / Path(file).suffix.removeprefix(".")
    numbers = {name: list(getattr(known, name)) for name in ("mean", "std")}
    facts = msgspec.to_builtins(known) | numbers | {"canvas": known.canvas, "file": file, "labels": labels}
    facts |= {"file_stem": Path(file).stem, "labels_stem": Path(labels).stem, "floats": _floats}
    return [
        Snippet(key, title, _environment(templates).get_template(f"{key}.jinja").render(facts))
        for key, title in LANGUAGES.items()
        if (templates / f"{key}.jinja").is_file()
    ]


@functools.cache
def _environment(templates: Path) -> jinja2.Environment:
    """Of the templates for files of one kind, which are compiled once."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([templates, TEMPLATES / "app"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"python": repr, "script": json.dumps}
    return made


def _floats(values: list[float]) -> str:
    """Numbers as Kotlin's floats are written."""
    return ", ".join(f"{value}f" for value in values)
