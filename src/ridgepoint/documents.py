"""Documents of users: YAML or JSON read as plain content, by rules under which reading always ends.

A document is a regular file of UTF-8 (a byte order mark is allowed), at most 1 MB, 100 levels deep and of 50,000 values
with every alias written out. It holds mappings with text keys, none of them given twice, lists, texts that can be
shown, finite numbers, whole ones within 64 bits, true, false and null. Tags are refused.

Plain scalars are read as YAML 1.2 says (its core schema): `1e-3` is a number; `1:30`, `no`, `on` and dates are texts.
Texts come in Unicode's composed form (NFC), so that names compare equal that look equal.
"""

import json
import math
import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml

from ridgepoint.errors import InputError, shown
from ridgepoint.files import read_file

Raw = Any
LARGEST_BYTES = 1_000_000
DEEPEST = 100
MOST_VALUES = 50_000
LONGEST_TEXT = 10_000

_CONSTANTS: dict[str, bool | None] = {text: None for text in ("", "~", "null", "Null", "NULL")}
_CONSTANTS |= {text: True for text in ("true", "True", "TRUE")} | {text: False for text in ("false", "False", "FALSE")}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LAYOUT = str.maketrans("", "", "\n\t")


class _Pairs(list[tuple[Raw, Raw]]):
    """A mapping as it was written: keys may be anything, and there twice."""


class _Dumper(yaml.CSafeDumper):
    """Writes texts in quotes that would be read back as numbers."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", _BASED, ["0"])


def read_document(path: Path, *, error: type[InputError] = InputError, numbered: bool = False) -> Raw:
    """The plain content of a YAML file, or of a JSON file where the name ends in `.json`.

    Args:
        path: The file.
        error: What is raised.
        numbered: Whether keys may be whole numbers, as in files of other programs; they become texts.

    Raises:
        InputError: Or `error`: naming the file, and the place in it that breaks a rule.
    """
    content = read_file(path, limit_bytes=LARGEST_BYTES, error=error)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(f"{path}: is not written in UTF-8 (byte {cause.start:,}). Save it as UTF-8") from None
    is_json = path.suffix.lower() == ".json"
    try:
        content = _parse_json(text) if is_json else _parse_yaml(text)
    except _SyntaxError as cause:
        raise error(f"{path}: cannot be read as {'JSON' if is_json else 'YAML'}: {cause}") from None
    return _Guard(str(path), error, numbered=numbered).plain(content, "", 0)


def read_value(text: str, *, what: str) -> Raw:
    """A value as it is typed on a command line, by the rules of a document; what is no YAML is a text.

    Args:
        text: The value.
        what: What a message says it is about.

    Raises:
        InputError: If it breaks a rule.
    """
    try:
        content = _parse_yaml(text)
    except _RuleError as cause:
        raise InputError(f"{what}: cannot be read as YAML: {cause}") from None
    except _SyntaxError:
        content = text
    return _Guard(what, InputError).plain(content, "", 0)


def dump_document(content: Raw) -> str:
    """YAML that reads back as the content, mappings in their order, short ones on one line."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=160)


class _SyntaxError(Exception):
    """A text that is no YAML or JSON; says what is wrong, and in which line."""


class _RuleError(_SyntaxError):
    """YAML that breaks a rule which can only be seen while it is read."""


class _Guard:
    """Turns what was parsed into plain content, and refuses what breaks a rule by its place."""

    def __init__(self, source: str, error: type[InputError], *, numbered: bool = False):
        self.source, self.error, self.numbered = source, error, numbered
        self.values = 0

    def plain(self, value: Raw, where: str, depth: int) -> Raw:
        """The value with all mappings as dicts; every alias is written out, so nothing is shared."""
        self.values += 1
        if self.values > MOST_VALUES:
            raise self.error(f"{self.source}: holds more values than allowed, {MOST_VALUES:,} with aliases written out")
        if depth > DEEPEST:
            raise self.error(f"{self.source}: is nested deeper than {DEEPEST} levels")
        if isinstance(value, _Pairs):
            return self._mapping(value, where, depth)
        if isinstance(value, list):
            return [self.plain(each, _below(where, index), depth + 1) for index, each in enumerate(value)]
        if isinstance(value, str):
            return self._text(value, where)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refuse(where, f"is {value}. Allowed: a finite number")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise self._refuse(where, "is a whole number of more than 64 bits. Allowed: numbers within 64 bits")
        return value

    def _mapping(self, pairs: _Pairs, where: str, depth: int) -> dict[str, Raw]:
        found: dict[str, Raw] = {}
        for given, value in pairs:
            if self.numbered and type(given) is int:
                given = str(given)
            if not isinstance(given, str):
                raise self._refuse(where, f"has the key {shown(_seen(given))}. Allowed: texts, numbers in quotes")
            key = self._text(given, where)
            if key in found:
                raise self._refuse(_below(where, key), "is given twice. Give it once")
            found[key] = self.plain(value, _below(where, key), depth + 1)
        return found

    def _text(self, text: str, where: str) -> str:
        if len(text) > LONGEST_TEXT:
            raise self._refuse(where, f"has a text of {len(text):,} characters. Allowed: {LONGEST_TEXT:,}")
        if not text.translate(_LAYOUT).isprintable():
            raise self._refuse(where, f"has a text with characters that cannot be shown, {shown(text)}. Remove them")
        return unicodedata.normalize("NFC", text)

    def _refuse(self, where: str, told: str) -> InputError:
        return self.error(f"{self.source}: {where}: {told}" if where else f"{self.source}: {told}")


def _below(where: str, step: str | int) -> str:
    return f"{where}.{step}" if where else str(step)


def _seen(key: Raw) -> Raw:
    return dict(key) if isinstance(key, _Pairs) and all(isinstance(each, str) for each, _ in key) else key


def _parse_json(text: str) -> Raw:
    try:
        return json.loads(text, object_pairs_hook=_Pairs, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise _SyntaxError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _SyntaxError(f"it is nested deeper than {DEEPEST} levels") from None


def _parse_yaml(text: str) -> Raw:
    """Composed here from the parser's events: the library's own composer recurses in C, without a limit."""
    try:
        return _compose(text)
    except yaml.MarkedYAMLError as error:
        told = ", ".join(part for part in (error.context, error.problem) if part)
        raise _SyntaxError(_at(error.problem_mark, told)) from None
    except yaml.YAMLError as error:
        raise _SyntaxError(" ".join(str(error).split())) from None
    except UnicodeEncodeError:  # half a surrogate pair, from a command line that is no UTF-8
        raise _RuleError("it is no valid Unicode") from None


def _compose(text: str) -> Raw:
    roots: list[Raw] = []
    open_: list[tuple[list[Raw], str | None]] = [(roots, None)]  # what is being filled, innermost last, and its anchor
    anchors: dict[str, Raw] = {}
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if (tag := getattr(event, "tag", None)) is not None:
            raise _RuleError(_at(event.start_mark, f"the tag {shown(tag)} is not allowed. Remove it"))
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append(([], anchor))
            if len(open_) > DEEPEST + 1:
                raise _RuleError(_at(event.start_mark, f"it is nested deeper than {DEEPEST} levels"))
            continue
        if isinstance(event, yaml.AliasEvent):
            if anchor not in anchors:
                raise _RuleError(_at(event.start_mark, f"the alias {shown(anchor)} has no anchor before it"))
            open_[-1][0].append(anchors[anchor])
            continue
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event.value) if event.implicit[0] else event.value
        elif isinstance(event, yaml.CollectionEndEvent):
            value, anchor = open_.pop()
            if isinstance(event, yaml.MappingEndEvent):
                value = _Pairs(zip(value[::2], value[1::2], strict=True))
        else:
            continue
        if anchor is not None:
            anchors[anchor] = value
        open_[-1][0].append(value)
    if len(roots) > 1:
        raise _RuleError("it holds several documents. Give one")
    return roots[0] if roots else None


def _at(mark: Any, told: str) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: {told}" if mark else told


def _scalar(text: str) -> Raw:
    """A plain scalar by YAML 1.2's core schema."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _WHOLE.fullmatch(text):
        return _whole(text)
    if _BASED.fullmatch(text):
        return int(text, 0) if len(text) < 100 else _whole(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text


def _whole(text: str) -> int:
    """A whole number; one of very many digits, which Python does not read, as one that is too large as well."""
    return int(text) if len(text) < 100 else 10**99
