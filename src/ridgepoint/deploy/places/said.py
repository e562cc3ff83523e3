"""What the program that leads to a device says when it fails, as a sentence with what to do."""

from collections.abc import Mapping, Sequence

from ridgepoint.errors import InputError

Meanings = Sequence[tuple[str, str]]
"""What occurs in small letters in what was said, and what it means; words in braces are filled in."""

OF_AGENTS: Meanings = (
    ("no module named 'numpy'", "its Python ({python}) has no numpy. On it: {python} -m pip install numpy onnxruntime"),
    ("is too old: 3.9", "its Python ({python}) is older than 3.9. Name another one: {address}/path/to/python"),
    ("no space left", "no room is left on its disk. Make some, or name another folder by TMPDIR there"),
    ("read-only file system", "its folder for temporary files cannot be written. Name another one by TMPDIR there"),
    ("exec format error", "its {python} is for another architecture"),
)
NO_PYTHON = (
    "has no {python}. Install Python 3.9 or newer, numpy and onnxruntime there, or name one: {address}/path/to/python"
)
CANNOT_RUN, NOT_FOUND = 126, 127  # what a shell ends with


def explained(
    name: str, meanings: Meanings, words: Mapping[str, str], said: str, code: int | None, *, program: str
) -> InputError:
    """The error of a connection to a device that never came about.

    Args:
        name: The device.
        meanings: The first that fits is told.
        words: To fill in; `hand` is the command to try by hand.
        said: What the program wrote.
        code: What it ended with.
        program: What it is called.
    """
    why = next((text for mark, text in meanings if mark in said.lower()), None)
    if why is None and (code == NOT_FOUND or (code == CANNOT_RUN and "not found" in said)):
        why = NO_PYTHON
    if why is not None:
        return InputError(f"{name}: {why.format(**words)}")
    told = f"({said})" if said else f"({program} ended with {code})"
    return InputError(f"{name}: no agent could be begun there {told}. Try: {words['hand']}")
