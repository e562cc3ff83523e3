"""Blocks: the vocabulary of architectures, one file per family.

A new block is one file here: a class derived from `BlockBase` with a tag, a look, fields typed by their roles, and a
`recipe`. Counts, modules, folding, inheritance, drawings and searches read these; nothing else knows a block by name.
"""

from typing import TYPE_CHECKING, TypeAlias, Union

from ridgepoint.arch.blocks.base import BlockBase
from ridgepoint.arch.kinds import kinds_in

__all__ = ["BLOCKS", "Block", "BlockBase"]

BLOCKS: dict[str, type[BlockBase]] = kinds_in(__name__, __path__, BlockBase)

if TYPE_CHECKING:
    Block: TypeAlias = BlockBase
else:
    Block = Union[tuple(BLOCKS.values())]  # noqa: UP007 - of what the folder holds
