"""Names as users write them: sorted as people count, compared as people read, told apart where they only look alike."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable


def natural_key(name: str) -> tuple[tuple[object, ...], str]:
    """A sort key by which 2 comes before 10 in any script's numerals, and case matters last; any names can be sorted.

    A number is compared by its length, then by its digits, so it may have thousands of them.
    """
    pieces = re.split(r"(\d+)", normalized(name).casefold())
    return tuple(_value(piece) if i % 2 else piece for i, piece in enumerate(pieces)), name


def normalized(name: str) -> str:
    """The name in Unicode's composed form (NFC): macOS writes é as two characters, other systems as one."""
    return unicodedata.normalize("NFC", name)


def look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different names that differ only in case, width, spaces or invisible characters."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names), key=natural_key):
        groups[_read_as(name)].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def difference(one: str, other: str) -> str:
    """Where two names first differ, by code point: `'é' (U+00E9) and 'e' (U+0065) as character 4`."""
    place = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        place = min(len(one), len(other))
    return f"{_character(one, place)} and {_character(other, place)} as character {place + 1}"


def _character(name: str, place: int) -> str:
    if place >= len(name):
        return "nothing"
    each = name[place]
    return f"'{each}' (U+{ord(each):04X})" if each.isprintable() and not each.isspace() else f"U+{ord(each):04X}"


def _value(digits: str) -> tuple[int, str]:
    plain = "".join(str(unicodedata.decimal(digit)) for digit in digits).lstrip("0")
    return len(plain), plain


def _read_as(name: str) -> str:
    """What a reader sees of a name: without case, width variants, spaces and what has no width."""
    seen = unicodedata.normalize("NFKC", name).casefold()
    return "".join(each for each in seen if not each.isspace() and unicodedata.category(each) != "Cf")
