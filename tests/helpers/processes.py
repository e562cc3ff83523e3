"""All processes of this machine as they are now; any may be gone in the next moment."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def processes() -> dict[int, str]:
    """The words and the environment of every process, by its number."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            with suppress(OSError):
                told = [(place / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")]
                if place.joinpath("stat").read_text().rpartition(") ")[2][0] not in "ZX":
                    found[int(place.name)] = "\0".join(told)
    return found


def begun_by(parent: int, numbers: Iterable[int]) -> list[int]:
    """Those of the processes that this one began."""
    found = []
    for number in numbers:
        with suppress(OSError):
            if int(Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2].split()[1]) == parent:
                found.append(number)
    return found


def send(signal_number: int, numbers: Iterable[int]) -> None:
    """Send a signal to those that still run."""
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(number, signal_number)
