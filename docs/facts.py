"""What the pages take from the code: constants, and tables of blocks, fields, methods, spaces, devices, runtimes."""

import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import msgspec
from msgspec.inspect import (
    AnyType,
    BoolType,
    DictType,
    FloatType,
    IntType,
    ListType,
    LiteralType,
    NoneType,
    StrType,
    StructType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.network import Network, Stage
from ridgepoint.arch.part import Part
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import SPACES, Variant, list_models, list_spaces
from ridgepoint.cost.device import Device, list_devices, load_device
from ridgepoint.deploy.runtimes import RUNTIMES
from ridgepoint.fit.policy import POLICY
from ridgepoint.run.result import FitResult, TrainResult
from ridgepoint.search.methods import OWN, find_method
from ridgepoint.units import format_duration

STRUCTS = {each.__name__: each for each in (Conventions, Device, FitResult, TrainResult, Variant)}


def value(path: str) -> Any:
    """A constant of the code: `fit.plan.FINALISTS`."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(f"ridgepoint.{module}"), name)


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{100 * share:g} %"


def duration(seconds: float) -> str:
    """Seconds in words, without what is zero."""
    return format_duration(seconds).removesuffix(" 0 s").removesuffix(" 0 min")


def rules() -> str:
    """The rules by which a network is chosen, with their reasons."""
    rows = [(f"`{name}`", f"{rule.value:g}", rule.reason) for name, rule in POLICY.rules().items()]
    return _markdown(("rule", "value", "of what, and why"), rows)


def blocks() -> str:
    """A section for every kind of block."""
    return "\n\n".join(_section(kind, f"`{kind.__struct_config__.tag}`") for kind in _members(Stage, "blocks"))


def heads() -> str:
    """A section for every kind of head."""
    return "\n\n".join(_section(kind, f"`{kind.__struct_config__.tag}`") for kind in _members(Network, "head"))


def fields(name: str) -> str:
    """The fields of one struct."""
    return _table(STRUCTS[name])


def schema(name: str) -> str:
    """The fields of a struct, then those of every struct inside, each in a section of its own."""
    first = STRUCTS[name]
    inner = [kind for kind in _inside(type_info(first), set()) if kind is not first]
    return "\n\n".join([_about(first), _table(first), *(_section(kind, kind.__name__) for kind in inner)])


def json_schema(name: str) -> bytes:
    """The same for programs."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(STRUCTS[name])))


def contract(path: str) -> str:
    """What a protocol of the code asks for, its bases' first: `tasks.task.Task`."""
    kinds = [kind for kind in reversed(value(path).__mro__) if kind.__module__.startswith("ridgepoint")]
    rows = [
        (f"`{name}`", _first_line(member))
        for kind in kinds
        for name, member in vars(kind).items()
        if inspect.isfunction(member) and not name.startswith("_")
    ]
    return _markdown(("method", "what it gives"), rows)


def methods() -> str:
    """Every search method: what it searches, in a line, and its settings."""
    rows = []
    for name in OWN:
        entry = find_method(name)
        known = ", ".join(f"`{each.name}`" for each in msgspec.structs.fields(entry.settings)) if entry.settings else ""
        trained = "trained " if entry.trained else ""
        rows.append((f"`{name}`", f"a {trained}{entry.takes}", _first_line(entry.method), known))
    return _markdown(("method", "searches", "what it does", "settings"), rows)


def spaces() -> str:
    """The search spaces that come with the package."""
    rows = []
    for name in list_spaces():
        space = load_space(name)
        said = [line.lstrip("# ") for line in (SPACES / f"{name}.yaml").read_text().splitlines() if line[:1] == "#"]
        first = " ".join(said).partition("Source:")[0].partition(". ")[0].rstrip(". ")
        rows.append((f"`{name}`", f"{space.size:.1e}", str(len(space.choices)), first))
    return _markdown(("space", "networks", "choices", "what is open"), rows)


def devices() -> str:
    """The devices that come with the package."""
    found = [load_device(name) for name in list_devices()]
    rows = [
        (f"`{each.name}`", each.description, f"{each.ridge:g}" if each.ridge else "none", each.precision)
        for each in found
    ]
    return _markdown(("device", "what it is", "ridge point, MACs per byte", "precision"), rows)


def runtimes() -> str:
    """The runtimes that load exported files."""
    return ", ".join(f"`{name}`" for name in RUNTIMES)


def zoo() -> str:
    """How many networks the zoo has, by family."""
    families: dict[str, list[str]] = {}
    for name in list_models():
        families.setdefault(name.removeprefix("tf_").partition("_")[0], []).append(name)
    rows = [(family, str(len(names)), ", ".join(f"`{name}`" for name in names)) for family, names in families.items()]
    return _markdown(("family", "networks", "names"), rows)


_FUNCTIONS = (value, percent, duration, rules, contract, blocks, heads, fields, schema, methods, spaces, devices)
_FUNCTIONS += (runtimes, zoo)
FACTS = {each.__name__: each for each in _FUNCTIONS} | {"policy": POLICY}
"""By the names that the pages know."""


def _members(struct: type[msgspec.Struct], field: str) -> Iterator[type[msgspec.Struct]]:
    """The structs of a field's union."""
    info = next(each.type for each in type_info(struct).fields if each.name == field)
    info = info.item_type if isinstance(info, VarTupleType) else info
    for each in info.types if isinstance(info, UnionType) else [info]:
        yield each.cls


def _inside(info: Type, met: set[type]) -> Iterator[type[msgspec.Struct]]:
    """Every struct that a type holds, outer ones first."""
    if isinstance(info, StructType):
        if info.cls in met:
            return
        met.add(info.cls)
        yield info.cls
        for field in info.fields:
            yield from _inside(field.type, met)
    for name in ("types", "item_types"):
        for each in getattr(info, name, ()):
            yield from _inside(each, met)
    for name in ("item_type", "value_type"):
        if hasattr(info, name):
            yield from _inside(getattr(info, name), met)


def _section(kind: type[msgspec.Struct], title: str) -> str:
    return f"### {title}\n\n{_about(kind)}\n\n{_table(kind)}"


def _about(kind: type) -> str:
    """A docstring as Markdown."""
    return (inspect.getdoc(kind) or "").strip()


def _table(kind: type[msgspec.Struct]) -> str:
    rows = [(f"`{each.encode_name}`", _allowed(each.type), _usual(each)) for each in type_info(kind).fields]
    return _markdown(("key", "allowed", "if left out"), rows) if rows else "It has no fields."


def _usual(field: msgspec.inspect.Field) -> str:
    if field.required:
        return "**needed**"
    plain = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if plain is None or plain in ("", [], {}, ()):
        return "nothing"
    if isinstance(plain, msgspec.Struct):
        return "the defaults"
    return f"`{msgspec.json.encode(plain).decode()}`".replace('"', "")


def _allowed(info: Type) -> str:
    """What a type takes, in words."""
    match info:
        case BoolType():
            return "true or false"
        case IntType() | FloatType():
            return _number(info)
        case StrType():
            return "a text"
        case NoneType():
            return "nothing"
        case LiteralType():
            return ", ".join(f"`{each}`" for each in info.values)
        case UnionType():
            return " or ".join(dict.fromkeys(_allowed(each) for each in info.types if not isinstance(each, NoneType)))
        case TupleType():
            return "[" + ", ".join(_allowed(each) for each in info.item_types) + "]"
        case VarTupleType() | ListType():
            return f"a list: {_allowed(info.item_type)}"
        case DictType():
            return f"by name: {_allowed(info.value_type)}"
        case StructType():
            if issubclass(info.cls, Part):  # a head's or a block's section is called by its tag
                return f"[`{info.cls.tag()}`](#{info.cls.tag()})"
            return f"[{info.cls.__name__}](#{info.cls.__name__.lower()})"
        case AnyType():
            return "any"
    raise TypeError(f"no words for {info}")


def _number(info: IntType | FloatType) -> str:
    words = ["a whole number" if isinstance(info, IntType) else "a number"]
    words += [f"above {info.gt:g}"] if info.gt is not None else []
    words += [f"from {info.ge:,}"] if info.ge is not None else []
    words += [f"to {info.le:,}"] if info.le is not None else []
    return " ".join(words)


def _first_line(of: object) -> str:
    return (inspect.getdoc(of) or "").partition("\n\n")[0].replace("\n", " ").rstrip(".")


def _markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head), *map(tuple, rows)]
    lines.insert(1, tuple("---" for _ in lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
