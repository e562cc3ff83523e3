"""XML of strangers, by expat: no document types, no entities, bounded in size, depth and count."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from ridgepoint.errors import DataError
from ridgepoint.files import read_file

LARGEST_BYTES = 16 << 20
DEEPEST, MOST_ELEMENTS, LONGEST_TEXT = 20, 500_000, 10_000


@dataclass(slots=True)
class Element:
    """An element without its attributes.

    Attributes:
        line: Where it begins, from 1.
        text: All text directly in it, without spaces around.
    """

    name: str
    line: int
    text: str = ""
    children: "list[Element]" = field(default_factory=list)

    def child(self, name: str) -> "Element | None":
        """The first child of a name."""
        return next((each for each in self.children if each.name == name), None)

    def word(self, name: str) -> str:
        """The text of the first child of a name; empty where there is none."""
        found = self.child(name)
        return found.text if found else ""


class _Refused(Exception):
    """What no annotation needs."""


def read_xml(path: Path) -> Element:
    """The root of an XML file.

    Raises:
        DataError: If it is no XML, declares a document type or entities, or is larger or deeper than allowed.
    """
    content = read_file(path, limit_bytes=LARGEST_BYTES, error=DataError)
    parser = expat.ParserCreate()
    top = Element("", 0)
    open_, count = [top], 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(open_) > DEEPEST or count > MOST_ELEMENTS:
            raise _Refused(f"is nested deeper than {DEEPEST} levels, or has over {MOST_ELEMENTS:,} elements")
        made = Element(name, parser.CurrentLineNumber)
        open_[-1].children.append(made)
        open_.append(made)

    def end(name: str) -> None:
        open_[-1].text = open_[-1].text.strip()
        open_.pop()

    def text(data: str) -> None:
        if len(open_[-1].text) + len(data) > LONGEST_TEXT:
            raise _Refused(f"has a text of over {LONGEST_TEXT:,} characters")
        open_[-1].text += data

    def refuse(*_: object) -> int:
        raise _Refused("declares a document type or entities, which no annotation needs. Remove the declaration")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(content, True)
    except _Refused as error:
        raise DataError(f"{path}: {error}") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{path}: cannot be read as XML: {error}") from None
    return top.children[0]
