"""What kits have in common: laws by name, each a function of what is tried and of an empty folder."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Laws = Mapping[str, Callable[[T, Path], None]]


def hold(subject: T, laws: Laws[T], *, called: str) -> None:
    """Try every law.

    Args:
        subject: What is tried.
        laws: By name.
        called: What the message calls it.

    Raises:
        AssertionError: Naming the first law that it breaks, and how.
    """
    for name, law in laws.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                law(subject, Path(folder))
            except Exception as error:
                raise AssertionError(f"{called} breaks '{name}': {error or type(error).__name__}") from error


def laws_of(*functions: Callable[[T, Path], None]) -> dict[str, Callable[[T, Path], None]]:
    """Functions by their names."""
    return {function.__name__: function for function in functions}
