"""What all pages share: where templates are, how they are filled, and plotly inside the page."""

import base64
import functools
import gzip
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ridgepoint.units import format_count, format_duration, format_ms

TEMPLATES = Path(__file__).parent / "templates"


def template(name: str, **filters: Any) -> jinja2.Template:
    """A page that escapes what it shows and refuses what it does not know, with filters of its own."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"opening": opening, "ms": format_ms, "count": format_count, "duration": format_duration, **filters}
    made.globals["plotly"] = packed_plotly
    return made.get_template(name)


def opening(words: str) -> str:
    """Words at the beginning of a sentence; one that has capitals inside, such as mIoU, stays as it is written."""
    first, space, rest = words.partition(" ")
    return f"{first if any(map(str.isupper, first)) else first.capitalize()}{space}{rest}"


def kilobytes(size: float) -> str:
    """Bytes for people."""
    return f"{size / 1e3:,.0f} kB" if size < 1e6 else f"{size / 1e6:.2f} MB"


@functools.cache
def packed_plotly() -> Markup:
    """The library, compressed, as text that may stand in a page: 2 MB instead of 5, which browsers unpack at once."""
    return Markup(base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode())
