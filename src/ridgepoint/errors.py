"""The errors of ridgepoint; each carries the exit code that the command line ends with.

    RidgepointError
    ├── InputError              exit 2: what the user gave is wrong
    │   ├── ArchitectureError   a network or space that is misspelt or impossible
    │   ├── InheritanceError    a network that is no narrower or shallower form of the one it should start from
    │   ├── DataError           images that are missing, broken or too few
    │   ├── BudgetError         a latency or time that cannot be read
    │   └── RunError            a run folder that cannot be used
    │       └── WriteError      a file that cannot be written: the disk is full, the folder is read-only
    ├── NotMetError             exit 3: everything worked, but the budget or a check was not met
    │   ├── NotMeasurableError  the machine is too busy to tell how long something takes
    │   ├── UnreachableError    the connection to a device broke; what was measured is kept
    │   ├── ParityError         the exported file disagrees with its source
    │   └── DivergedError       the training loss is not finite
    └── InterruptedRun          exit 130: stopped by the user; the message says how to resume

A message says what was given, what is allowed and what to do next.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

LONGEST_MESSAGE = 2000
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 4
_SHORT.maxlevel = 3


class RidgepointError(Exception):
    """Base of all errors that ridgepoint raises on purpose.

    What a message quotes may come from a file or a peer: control characters are shown as escapes, and what is too long
    to read is cut in the middle.
    """

    exit_code = 1

    def __init__(self, message: str = ""):
        super().__init__(shortened(printable(message), LONGEST_MESSAGE))


class InputError(RidgepointError, ValueError):
    """The user's input is wrong."""

    exit_code = 2


class ArchitectureError(InputError):
    """A network or search space is misspelt or impossible."""


class InheritanceError(InputError):
    """A network cannot take over the weights of another one: it is no narrower or shallower form of it."""


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


class NotMeasurableError(NotMetError):
    """The machine is too busy to tell how long something takes."""


class UnreachableError(NotMetError):
    """The connection to a device broke, or it does not answer any more; what was measured until then is kept."""


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


def shown(value: object, *, limit: int = 60) -> str:
    """What was given, for a message: as Python writes it, on one line, never longer than `limit` characters."""
    try:
        text = _SHORT.repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list that holds itself
        text = f"<{type(value).__name__}, too large to show>"
    return shortened(printable(text), limit)


def printable(text: str) -> str:
    """Text from anywhere as it may go to a terminal: control characters but line ends become escapes."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text
    )


def shortened(text: str, limit: int) -> str:
    """Text of at most so many characters: of a longer one, the beginning and the end."""
    if len(text) <= limit:
        return text
    end = limit // 4
    return f"{text[: limit - end - 5]} ... {text[len(text) - end :]}"


def nearest(given: str, allowed: Iterable[str]) -> str:
    """A sentence that lists what is allowed, the closest spelling first.

    Args:
        given: What the user wrote.
        allowed: What could have been written.

    Returns:
        ``did you mean 'x'? Allowed: ...`` or ``Allowed: ...`` when nothing is close.
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(given[:100], names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    shown = ", ".join(names) if len(names) <= 40 else ", ".join(names[:40]) + ", ..."
    return f"{hint}Allowed: {shown}"
