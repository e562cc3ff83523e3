"""Kinds of parts: every class with a tag in the modules of a folder, by its tag."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

from ridgepoint.arch.part import Part

P = TypeVar("P", bound=Part)


def kinds_in(package: str, folder: Iterable[str], base: type[P]) -> dict[str, type[P]]:
    """The kinds of a part that the modules of a package define, by their tags.

    Args:
        package: Its name.
        folder: Its `__path__`.
        base: What they derive from; a class that leaves its `recipe` as it is there is no kind.
    """
    for module in iter_modules(folder):
        import_module(f"{package}.{module.name}")
    return {kind.tag(): kind for kind in _derived(base) if kind.recipe is not base.recipe}  # type: ignore[attr-defined]


def _derived(base: type[P]) -> Iterator[type[P]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _derived(kind)
