"""The fenced blocks and the commands of Markdown pages; what `<!-- not run: WHY -->` stands before is not run."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(
    r"(?P<marked><!-- not run: [^\n]+ -->\n)?"
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"`(ridgepoint [^`\n]+)`")


@dataclass(frozen=True)
class Fence:
    """A block: its language, the name of the file that it is, if any, what it holds, and whether it is run."""

    language: str
    title: str | None
    text: str
    run: bool


def fences(page: Path, *languages: str) -> list[Fence]:
    """The blocks of a page, in order; all, or those in some languages."""
    found = [
        Fence(match["language"], match["title"], match["text"], run=match["marked"] is None)
        for match in _FENCE.finditer(page.read_text())
    ]
    return [each for each in found if not languages or each.language in languages]


def commands(text: str) -> list[str]:
    """The lines of a console block that are commands of ours, without their comments."""
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line.startswith("ridgepoint ")]


def every_command(page: Path) -> list[str]:
    """Of a page, in blocks and in its text."""
    blocks = [line for each in fences(page, "console") for line in commands(each.text)]
    return blocks + _INLINE.findall(_FENCE.sub("", page.read_text()))
