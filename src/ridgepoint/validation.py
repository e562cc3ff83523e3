"""What msgspec says about a wrong value, told to the one who wrote it."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from ridgepoint.errors import InputError, nearest, shown

# What files, tables and drawings are named after: one line, without what turns a terminal's writing around.
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+\Z"
Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_ONE_LINE)]
_WORDS = {"int": "a whole number", "float": "a number", "str": "a text", "object": "a mapping", "array": "a list"}
_WORDS |= {" | ": " or ", "null": "nothing"}


S = TypeVar("S", bound=msgspec.Struct)


def filled(struct: type[S], raw: Mapping[str, Any], changes: Mapping[str, Any], *, what: str) -> S:
    """A struct from plain content with single fields changed.

    Args:
        struct: What it becomes; numbers in it must be finite.
        raw: The content.
        changes: Keys, dotted where they are nested, and new values.
        what: What a message says it is about.

    Raises:
        InputError: If a key is unknown or a value is not allowed.
    """
    given = dict(raw)
    for key, value in changes.items():
        _set(given, key.split("."), value)
    try:
        found = msgspec.convert(given, struct)
    except msgspec.ValidationError as error:
        raise InputError(f"{what}: {told_wrong(str(error), given, struct)}") from None
    for key, value in _leaves(msgspec.to_builtins(found)):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{what}: {key} is {value}. Allowed: a finite number")
    return found


def told_wrong(message: str, given: Mapping[str, object], struct: type) -> str:
    """What a validation message of msgspec about nested mappings means to the one who wrote them.

    Args:
        message: The message, for example ``Expected `int` >= 1 - at `$.size```.
        given: The mapping.
        struct: What it should have become.

    Returns:
        ``size is 0. Allowed: a whole number >= 1``, or the nearest allowed key for an unknown one.
    """
    told, _, path = message.partition(" - at `$")
    steps = re.findall(r"\w+", path)
    value, info = _at(steps, given, msgspec.inspect.type_info(struct))
    where = ".".join(steps)
    if isinstance(info, msgspec.inspect.StructType):
        if unknown := re.search(r"unknown field `(.*?)`", told):
            return f"unknown key '{'.'.join([*steps, unknown[1]])}'; {_nearest_key(steps, unknown[1], info, struct)}"
        return f"{where} is {shown(value)}: {told}" if where else told
    if isinstance(info, msgspec.inspect.LiteralType):
        return f"{where} is {shown(value)}; {nearest(str(value), map(str, info.values))}"
    allowed = told.removeprefix("Expected ").partition(", got")[0].replace("`", "")
    for word, meaning in _WORDS.items():
        allowed = allowed.replace(word, meaning)
    return f"{where} is {shown(value)}. Allowed: {allowed}"


def _set(raw: dict[str, Any], steps: list[str], value: Any) -> None:
    """Put a value into nested mappings; what lies on the way and is no mapping becomes one."""
    *way, last = steps
    for step in way:
        inner = raw.get(step)
        raw[step] = raw = dict(inner) if isinstance(inner, dict) else {}
    raw[last] = value


def _leaves(raw: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every single value of nested mappings and lists, with its dotted key."""
    if isinstance(raw, dict | list | tuple):
        for key, value in raw.items() if isinstance(raw, dict) else enumerate(raw):
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, raw


def _at(steps: Sequence[str], value: Any, info: Any) -> tuple[Any, Any]:
    """What was given at a path, and what should have been there; the tags, where a tag is what is wrong."""
    if isinstance(info, msgspec.inspect.UnionType) and isinstance(value, Mapping):
        structs = [option for option in info.types if isinstance(option, msgspec.inspect.StructType)]
        chosen = [option for option in structs if option.tag is None or value.get(option.tag_field) == option.tag]
        tags = msgspec.inspect.LiteralType(tuple(option.tag for option in structs))
        info = chosen[0] if chosen else msgspec.inspect.DictType(msgspec.inspect.AnyType(), tags)
    if not steps:
        return value, info
    step, *rest = steps
    if isinstance(value, Mapping):
        fields = {field.encode_name: field.type for field in getattr(info, "fields", ())}
        return _at(rest, value.get(step), fields.get(step, getattr(info, "value_type", info)))
    if isinstance(value, Sequence) and step.isdigit() and int(step) < len(value):
        items = getattr(info, "item_types", None) or [info.item_type]
        return _at(rest, value[int(step)], items[min(int(step), len(items) - 1)])
    return value, info


def _nearest_key(steps: list[str], key: str, info: Any, struct: type) -> str:
    """The closest key of the mapping at hand; or the same key deeper down, if it is there."""
    here = [field.encode_name for field in info.fields]
    deeper = [] if steps else [path for path in _keys(msgspec.inspect.type_info(struct)) if path.endswith(f".{key}")]
    return f"did you mean '{deeper[0]}'? Allowed: {', '.join(sorted(here))}" if deeper else nearest(key, here)


def _keys(info: Any, path: str = "") -> list[str]:
    """Dotted paths of all keys of a struct, those of unions' members included."""
    options = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    fields = [field for option in options if isinstance(option, msgspec.inspect.StructType) for field in option.fields]
    return [f"{path}{field.encode_name}" for field in fields] + [
        key for field in fields for key in _keys(field.type, f"{path}{field.encode_name}.")
    ]
