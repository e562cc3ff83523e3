"""The errors of ridgepoint; each carries the exit code that the command line ends with.

    RidgepointError
    ├── InputError              exit 2: what the user gave is wrong
    │   ├── ArchitectureError   a network or space that is misspelt or impossible
    │   ├── DataError           images that are missing, broken or too few
    │   ├── BudgetError         a latency or time that cannot be read
    │   └── RunError            a run folder that cannot be used
    │       └── WriteError      a file that cannot be written: the disk is full, the folder is read-only
    ├── NotMetError             exit 3: everything worked, but the budget or a check was not met
    │   ├── ParityError         the exported file disagrees with its source
    │   └── DivergedError       the training loss is not finite
    └── InterruptedRun          exit 130: stopped by the user; the message says how to resume

A message says what was given, what is allowed and what to do next.
"""

import difflib
from collections.abc import Iterable


class RidgepointError(Exception):
    """Base of all errors that ridgepoint raises on purpose."""

    exit_code = 1


class InputError(RidgepointError, ValueError):
    """The user's input is wrong."""

    exit_code = 2


class ArchitectureError(InputError):
    """A network or search space is misspelt or impossible."""


class DataError(InputError):
    """Images are missing, broken or too few."""


class BudgetError(InputError):
    """A latency or time cannot be read or makes no sense."""


class RunError(InputError):
    """A run folder cannot be created, read or resumed."""


class WriteError(RunError):
    """A file cannot be written: the disk is full, or the folder is read-only."""


class NotMetError(RidgepointError):
    """The command finished, but the budget or a check was not met."""

    exit_code = 3


class ParityError(NotMetError):
    """An exported file disagrees with the model it came from."""


class DivergedError(NotMetError):
    """The training loss became NaN or infinite."""


class InterruptedRun(RidgepointError):
    """The user stopped the run; what was done is saved."""

    exit_code = 130


def stopped_by_user(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: extension modules that are being loaded turn it into errors of their own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def nearest(given: str, allowed: Iterable[str]) -> str:
    """A sentence that lists what is allowed, the closest spelling first.

    Args:
        given: What the user wrote.
        allowed: What could have been written.

    Returns:
        ``did you mean 'x'? Allowed: ...`` or ``Allowed: ...`` when nothing is close.
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    shown = ", ".join(names) if len(names) <= 40 else ", ".join(names[:40]) + ", ..."
    return f"{hint}Allowed: {shown}"
