"""Changes to valid documents: of their bytes, of their tokens, of their structure, of single values."""

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 5, 7, 8, 64, 1000, 2**31, 2**53, 2**63 - 1, -(2**63), 2**64, 10**400,
    0.0, 0.5, 1.0, -0.5, 1e-300, 1e300, float("inf"), float("nan"), "", " ", "a", "5", "5/300", "1/0", "no", "1e-3",
    "relu", "uib", "same", "x" * 300, "\n", "a\x00b", "\x1b[2J", "é", "e\u0301", "😀", "../../x", "{}", "[]", "*a",
    [], {}, [[]], [None], {"choice": []}, {"choice": [1, 2]}, {"choice": [None, "a"], "name": "stages"}, {"depth": 1},
    {"depth": 1, "blocks": [1]}, {"a": {"b": {}}}, [1, 2, 3], [3, 32, 32], {"block": "conv"}, {"kind": "sgd"},
)  # fmt: skip
TOKENS = (
    "{", "}", "[", "]", ":", ",", "-", "- ", "? ", "&a ", "*a", "!!python/name:os.system ", "!!int ", "!x ",
    "<<: ", "|\n",
    ">\n", "#", "'", '"', "%YAML 1.1\n", "---\n", "...\n", "\t", "\r", "\n", "\x00", "\x07", "\ufeff", "\u2028",
    ".inf", ".nan", "0x" + "f" * 300, "9" * 5000, "1e999", "2001-99-99", "1:30", "~", "null", "true",
    "{choice: [1, 2]}", "{choice: [3, 5], name: k}", "depth: 1", "repeat: 1000000000", "[" * 200, "{a: " * 200,
)  # fmt: skip


def document(rng: random.Random, content: Any, *, as_json: bool = False) -> bytes:
    """The text of a content after one to four changes."""
    content = copy.deepcopy(content)
    mild = rng.random() < 0.4
    changes = [_mild] * 2 if mild else [rng.choice((_structure, _value, _value)) for _ in range(rng.randrange(4))]
    for change in changes:
        content = change(rng, content)
    text = json.dumps(content) if as_json else _dumped(content)
    late: list[Callable[[random.Random, str], str]] = [] if mild else [_token] * rng.choice((0, 0, 0, 1, 2))
    if not changes and not late:
        late = [_token]
    for change_text in late:
        text = change_text(rng, text)
    raw = text.encode("utf-8", "surrogatepass")
    return _bytes(rng, raw) if not mild and rng.random() < 0.15 else raw


def _dumped(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10**6)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below a node."""
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from _places(node[key])


def _value(rng: random.Random, content: Any) -> Any:
    """A value replaced by another: a bad one, or one from elsewhere in the document."""
    places = list(_places(content))
    if not places:
        return rng.choice(VALUES)
    node, key = rng.choice(places)
    if isinstance(node[key], int | float) and rng.random() < 0.4:
        node[key] = node[key] * rng.choice((-1, 0, 2, 3, 10, 0.1, 1e6, 1e12, 10**30))
    else:
        node[key] = copy.deepcopy(rng.choice(VALUES))
    return content


def _mild(rng: random.Random, content: Any) -> Any:
    """A number replaced by another one of a kind that may well be right."""
    places = [(node, key) for node, key in _places(content) if type(node[key]) in (int, float)]
    if places:
        node, key = rng.choice(places)
        node[key] = rng.choice((1, 2, 3, 5, 8, 16, 24, 100, 255, 4096, 2**20, node[key] * 2, node[key] * 0.5, 0))
    return content


def _structure(rng: random.Random, content: Any) -> Any:
    """A part left out, doubled, wrapped, moved, or hung under another key."""
    places = list(_places(content))
    if not places:
        return content
    node, key = rng.choice(places)
    other, there = rng.choice(places)
    part = copy.deepcopy(node[key])
    match rng.randrange(7):
        case 0:
            del node[key]
        case 1:
            node[key] = rng.choice(([part], {"choice": [part]}, {"choice": [part, None]}, {"choice": [part, part]}))
        case 2:
            other[there] = part
        case 3 if isinstance(node, list):
            node[key:key] = [part] * rng.choice((1, 2, 50))
        case 4 if isinstance(node, dict):
            node[rng.choice(("depth", "choice", "name", "repeat", "blocks", "x", "", 5, str(key) + "s"))] = node.pop(
                key
            )
        case 5:
            for _ in range(rng.choice((2, 30, 120))):
                part = [part] if rng.random() < 0.5 else {"choice": [part]}
            node[key] = part
        case _:
            other[there], node[key] = node[key], copy.deepcopy(other[there])
    return content


def _token(rng: random.Random, text: str) -> str:
    """A word of the text replaced, left out or preceded by another."""
    words = list(re.finditer(r"[\w.]+|\W", text)) or [re.match("", text)]
    word = rng.choice(words)
    token = rng.choice(TOKENS) if rng.random() < 0.8 else rng.choice(words).group()
    return text[: word.start()] + token + text[rng.choice((word.start(), word.end())) :]


def _bytes(rng: random.Random, raw: bytes) -> bytes:
    """Bytes changed, cut off or doubled; sometimes another encoding."""
    if rng.random() < 0.2:
        return raw.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "cp500")), "replace")
    at, length = rng.randrange(len(raw) + 1), rng.choice((1, 2, 10, 1000))
    middle = rng.choice((b"", rng.randbytes(length), raw[at : at + length] * 2))
    return raw[:at] + middle + raw[at + length :]
