"""What all pages share: where templates are, how they are filled, and plotly inside the page."""

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ridgepoint.units import format_count, format_ms

_TEMPLATES = Path(__file__).parent / "templates"


def template(name: str, **filters: Any) -> jinja2.Template:
    """A page that escapes what it shows and refuses what it does not know, with filters of its own."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"ms": format_ms, "count": format_count, **filters}
    made.globals["plotly"] = Markup(get_plotlyjs().replace("</script", "<\\/script"))
    return made.get_template(name)
