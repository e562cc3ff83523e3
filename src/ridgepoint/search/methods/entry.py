"""What is known of a search method beside the method itself."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from ridgepoint.arch.space import Space
from ridgepoint.errors import InputError, shown
from ridgepoint.search.method import Method

Takes: TypeAlias = Literal["space", "network"]


class Entry(msgspec.Struct, frozen=True):
    """A method, and what it searches: a space, or a network that it changes, `trained` or not.

    Attributes:
        candidates: About how many trainings it divides a time limit into.
        space: Where the user names no space, this one or its form for small images.
        check: Raises InputError for a space that the method cannot search.
        settings: What `--set search.KEY=VALUE` changes.
        shared: Whether it teaches weights that all networks of a space share.
        example: Makes a small space that the contract kit has it search, where it cannot search any.
    """

    method: Method
    takes: Takes = "space"
    trained: bool = False
    candidates: int = 24
    space: str = "mobilenetv4_conv"
    check: Callable[[Space], object] = lambda space: None
    settings: type[msgspec.Struct] | None = None
    shared: bool = False
    example: Callable[[], Space] | None = None


def entry_of(given: object, *, takes: Takes = "space") -> Entry:
    """What is known of a method that is given as an object: all, or only what it searches.

    Raises:
        InputError: If it is no method.
    """
    if isinstance(given, Entry):
        return given
    if isinstance(given, type) or not callable(given):
        raise InputError(
            f"method is {shown(given)}. Allowed: a name, or a function that takes a Problem and yields Proposals"
        )
    return Entry(given, takes)


def reference(given: object) -> str:
    """How a run folder calls a method that was given as an object: `module:name`."""
    method = given.method if isinstance(given, Entry) else given
    named = method if hasattr(method, "__name__") else type(method)
    return f"{getattr(named, '__module__', '')}:{getattr(named, '__name__', '').strip('<>')}"


def is_reference(name: str) -> bool:
    """Whether a method was given as an object, by what a run folder calls it."""
    return ":" in name
