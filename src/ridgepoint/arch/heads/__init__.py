"""Heads: how networks end, one file per task or design.

A new head is one file here: a class derived from `HeadBase` with a tag, fields typed by their roles, and a `recipe`.
A field of the type `Tap` names a map from within the network; the recipe gets it beside the last one.
"""

from typing import TYPE_CHECKING, TypeAlias, Union

from ridgepoint.arch.heads.base import HeadBase
from ridgepoint.arch.kinds import kinds_in

__all__ = ["HEADS", "Head", "HeadBase"]

HEADS: dict[str, type[HeadBase]] = kinds_in(__name__, __path__, HeadBase)

if TYPE_CHECKING:
    Head: TypeAlias = HeadBase
else:
    Head = Union[tuple(HEADS.values())]  # noqa: UP007 - of what the folder holds
