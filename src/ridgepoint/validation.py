"""What msgspec says about a wrong value, told to the one who wrote it."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ridgepoint.errors import nearest

_WORDS = {"int": "a whole number", "float": "a number", "str": "a text", "object": "a mapping", "array": "a list"}
_WORDS |= {" | ": " or ", "null": "nothing"}


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
    value, info = _at(steps, given, struct)
    where = ".".join(steps)
    if isinstance(info, msgspec.inspect.StructType):
        if unknown := re.search(r"unknown field `(.*?)`", told):
            return f"unknown key '{'.'.join([*steps, unknown[1]])}'; {_nearest_key(steps, unknown[1], info, struct)}"
        return f"{where} is {value!r}: {told}" if where else told
    if options := [str(option) for option in _options(info)]:
        return f"{where} is {value!r}; {nearest(str(value), options)}"
    allowed = told.removeprefix("Expected ").partition(", got")[0].replace("`", "")
    for word, meaning in _WORDS.items():
        allowed = allowed.replace(word, meaning)
    return f"{where} is {value!r}. Allowed: {allowed}"


def _at(steps: list[str], value: Any, struct: type) -> tuple[Any, Any]:
    """What was given at a path, and what should have been there; the tags, where a tag is what is wrong."""
    info: Any = msgspec.inspect.type_info(struct)
    for step in [*steps, None]:
        if isinstance(info, msgspec.inspect.UnionType) and isinstance(value, Mapping):
            structs = [option for option in info.types if isinstance(option, msgspec.inspect.StructType)]
            chosen = [option for option in structs if option.tag is None or value.get(option.tag_field) == option.tag]
            info = chosen[0] if chosen else msgspec.inspect.LiteralType(tuple(option.tag for option in structs))
        if step is None or isinstance(info, msgspec.inspect.LiteralType):
            value = value.get(step) if step and isinstance(value, Mapping) else value
            continue
        if isinstance(info, msgspec.inspect.StructType):
            info = next((field.type for field in info.fields if field.encode_name == step), info)
        else:
            info = getattr(info, "item_type", None) or getattr(info, "item_types", (info,))[0]
        in_list = isinstance(value, list | tuple) and step.isdigit() and int(step) < len(value)
        value = value[int(step)] if in_list else value.get(step) if isinstance(value, Mapping) else value
    return value, info


def _options(info: Any) -> tuple[object, ...]:
    """The values that a literal type allows."""
    return info.values if isinstance(info, msgspec.inspect.LiteralType) else ()


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
