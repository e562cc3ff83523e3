"""Blocks: the vocabulary of architectures, one file per family.

A new block is one file here: a class derived from `BlockBase` with a tag, a look, fields typed by their roles, and a
`recipe`. Counts, modules, folding, inheritance, drawings and searches read these; nothing else knows a block by name.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, TypeAlias, Union

from ridgepoint.arch.blocks.base import BlockBase

__all__ = ["BLOCKS", "Block", "BlockBase"]


def _kinds(base: type[BlockBase]) -> Iterator[type[BlockBase]]:
    for kind in base.__subclasses__():
        if kind.recipe is not BlockBase.recipe:
            yield kind
        yield from _kinds(kind)


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
BLOCKS: dict[str, type[BlockBase]] = {kind.tag(): kind for kind in _kinds(BlockBase)}

if TYPE_CHECKING:
    Block: TypeAlias = BlockBase
else:
    Block = Union[tuple(BLOCKS.values())]  # noqa: UP007 - of what the folder holds
