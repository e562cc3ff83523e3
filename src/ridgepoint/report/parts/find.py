"""From a task's name to its part of the report."""

import importlib
from functools import cache

from ridgepoint.errors import InputError
from ridgepoint.report.parts.part import Part
from ridgepoint.tasks.reading import find_task


@cache
def find_part(task: str) -> Part:
    """The part that a task names; a task that is not here any more is told by its score alone.

    Raises:
        InputError: If the part cannot be loaded.
    """
    try:
        reference = find_task(task).part
    except InputError:
        return Part()
    module, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]
    except Exception as error:
        raise InputError(f"the report's part of the task '{task}', {reference}, cannot be loaded: {error}") from error
