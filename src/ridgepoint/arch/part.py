"""What blocks and heads have in common: fields with roles, and a look."""

from typing import Any, ClassVar, Literal

import msgspec

from ridgepoint.arch.roles import HEADS, KERNEL, NORMS, SE, SQUEEZE, STRIDE, Role, fields_with

Hue = Literal["slate", "teal", "orange", "blue", "violet", "green", "amber", "rose", "graphite"]


class Look(msgspec.Struct, frozen=True):
    """How a block or head is shown.

    Attributes:
        kind: What has one colour in a drawing, a word of letters and underscores.
        words: The kind in a legend.
        name: The block in a table.
        hue: The colour.
    """

    kind: str
    words: str
    name: str
    hue: Hue = "slate"


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A block or a head: a frozen row of a network's table."""

    look: ClassVar[Look | None] = None

    @classmethod
    def tag(cls) -> str:
        """What the part is called in YAML."""
        return str(cls.__struct_config__.tag)

    @classmethod
    def general_look(cls) -> Look:
        """How a part of this kind is shown, whatever its fields hold; its tag, unless it declares a look."""
        words = cls.tag().replace("_", " ")
        return cls.look or Look(cls.tag(), words, words.capitalize())

    def own_look(self) -> Look:
        """How this very part is shown."""
        look = self.general_look()
        name = f"{look.name} + SE" if any(self.values(SQUEEZE, SE).values()) else look.name
        name = f"{name}, normed sum" if "sum" in self.values(NORMS).values() else name
        return msgspec.structs.replace(look, name=name)

    @property
    def detail(self) -> str:
        """What tells it from its like in a drawing: its heads, or else its kernels."""
        heads = [f"{heads} heads" for heads in self.values(HEADS).values()]
        return ", ".join(heads or [f"{kernel}×{kernel}" for kernel in self.values(KERNEL).values() if kernel])

    def values(self, *roles: Role) -> dict[str, Any]:
        """The fields with one of the roles, by name."""
        return {name: getattr(self, name) for name in fields_with(type(self), *roles)}

    @property
    def taps(self) -> tuple[int | str, ...]:
        """The maps that it takes beside what reaches it; only heads take some."""
        return ()

    @property
    def reduction(self) -> int:
        """How many input pixels one output pixel stands for, along one side."""
        reduction = 1
        for stride in self.values(STRIDE).values():
            reduction *= stride
        return reduction
