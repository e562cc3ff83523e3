"""Roles: what a field of a block or head decides. Whoever shrinks, searches, inherits or draws asks for a role.

A field gets its role from its type: `expand_channels: Expansion`. Nothing else knows fields by name.
"""

from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec


class Role(msgspec.Struct, frozen=True):
    """What a field decides.

    Attributes:
        plain: The field's name, where a block has but one of its role.
        word: What a drawing of a space calls a field of that name; empty where such fields are not shown. Fields of
            other names go by their first word: `start_kernel` is `start`.
        decides: What a search has in it: a width, an operator, or neither, which is only ever drawn.
    """

    plain: str
    word: str = ""
    decides: Literal["width", "operator", ""] = ""

    def called(self, field: str) -> str:
        """The word for a field of this role."""
        return self.word if field == self.plain or not self.word else field.partition("_")[0]


KERNEL = Role("kernel", "kernel", "operator")
EXPAND_RATIO = Role("expand_ratio", "expansion", "width")
EXPANSION = Role("expand_channels", "expanded", "width")
SE_RATIO = Role("se_ratio", "SE", "operator")
SQUEEZE = Role("se_channels", "SE", "width")
SE = Role("se", "", "operator")
REPEAT = Role("repeat", "depth")
LAYERS = Role("layers", "layers", "operator")
BRANCHES = Role("branches", "branches", "operator")
NORMS = Role("norms", "norms", "operator")
HEADS = Role("heads", "heads", "operator")
HIDDEN = Role("", "hidden", "width")
OUT = Role("out_channels", "", "width")
DIM = Role("")
STRIDE = Role("stride")
DILATION = Role("dilation", "dilation", "operator")
RESIDUAL = Role("residual")
GROUPS = Role("groups", "groups")
TAP = Role("")
ROLES = (
    KERNEL, EXPAND_RATIO, EXPANSION, SE_RATIO, SQUEEZE, SE, REPEAT, BRANCHES, HEADS, HIDDEN, OUT, DIM, STRIDE, DILATION,
    RESIDUAL, TAP, LAYERS, GROUPS, NORMS,
)  # fmt: skip
# What a child of a network may have less of.
SIZES = (OUT, EXPANSION, SQUEEZE, HEADS, DIM)

# Far beyond any network; with them every count of a network is a number that floats, tables and people can hold.
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**20)]
Out: TypeAlias = Annotated[Count, OUT]
Expansion: TypeAlias = Annotated[Count, EXPANSION]
Squeeze: TypeAlias = Annotated[Count, SQUEEZE]
Hidden: TypeAlias = Annotated[Count, HIDDEN]
Heads: TypeAlias = Annotated[Count, HEADS]
Dim: TypeAlias = Annotated[Count, DIM]
Stride: TypeAlias = Annotated[Count, STRIDE]
Groups: TypeAlias = Annotated[Count, GROUPS]
Dilation: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=64), DILATION]
Kernel: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=255), KERNEL]
KernelOrNone: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=255), KERNEL]
Layers: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=64), LAYERS]
Branches: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=64), BRANCHES]
NormsAt: TypeAlias = Annotated[Literal["branches", "sum"], NORMS]
SqueezeExcite: TypeAlias = Annotated[bool, SE]
Residual: TypeAlias = Annotated[bool | None, RESIDUAL]
# A map: what leaves a block (`stages.1.0`) or a part of one that ends in an activation (`stages.4.0.expand`), by its
# path in the tables of costs; or the last one of which a position stands for so many input pixels, 1 being the image.
_PATH = r"^(stem|stages\.\d+)\.\d+(\.\w+)*$"
Tap: TypeAlias = Annotated[
    Annotated[int, msgspec.Meta(ge=1, le=1024)] | Annotated[str, msgspec.Meta(pattern=_PATH)], TAP
]


@lru_cache(maxsize=1024)
def roles_of(part: type[msgspec.Struct]) -> dict[str, Role]:
    """The fields of a block or head that have a role, in order."""
    found = {field.name: _role(field.type) for field in msgspec.structs.fields(part)}
    return {name: role for name, role in found.items() if role is not None}


@lru_cache(maxsize=4096)
def fields_with(part: type[msgspec.Struct], *roles: Role) -> tuple[str, ...]:
    """The fields of a block or head that have one of the roles, in order."""
    return tuple(name for name, role in roles_of(part).items() if role in roles)


def _role(annotation: Any) -> Role | None:
    own = [each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, Role)]
    return own[-1] if own else next(filter(None, map(_role, get_args(annotation))), None)
