"""Reading and writing what people type: latencies, times, names."""

import re

from ridgepoint.errors import BudgetError, InputError

_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_COUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_QUANTITY = re.compile(r"\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-zA-Zµ]*)\s*")


def parse_seconds(text: str, *, what: str, default_unit: str) -> float:
    """A duration in seconds from text such as ``5ms``, ``90s``, ``10m`` or a bare number.

    Args:
        text: The duration as typed.
        what: The option's name, for the error message.
        default_unit: The unit of a bare number, one of us, ms, s, m, h.

    Raises:
        BudgetError: If the text is no duration, its unit is unknown, or it is not above zero.
    """
    return _parse(text, what, default_unit, "s")


def parse_quantity(text: str, *, what: str, unit: str) -> float:
    """A duration in the unit that a bare number has, too; otherwise as `parse_seconds`."""
    return _parse(text, what, unit, unit)


def spelled_duration(seconds: float) -> str:
    """Seconds as one would type them, such as 4m: in the largest unit that needs no fraction."""
    unit = next((unit for unit in ("h", "m") if not seconds % _SECONDS[unit]), "s")
    return f"{seconds / _SECONDS[unit]:g}{unit}"


def _parse(text: str, what: str, default_unit: str, into: str) -> float:
    match = _QUANTITY.fullmatch(text)
    unit = (match[2] or default_unit) if match else ""
    if match is None or unit not in _SECONDS:
        raise BudgetError(
            f"{what} is '{text}': not a duration. Allowed: a number above 0 with one of the units "
            f"us, ms, s, m, h, for example 5ms or 10m."
        )
    value = float(match[1]) * (_SECONDS[unit] / _SECONDS[into])  # exact where no unit changes
    if not 0 < value < float("inf"):
        raise BudgetError(f"{what} is '{text}': it must be above 0 and finite, for example 5ms or 10m.")
    return value


def parse_count(text: str, *, what: str) -> float:
    """A count from text such as 300M, 1.5G or a bare number.

    Raises:
        InputError: If it is none, or not above zero.
    """
    match = _QUANTITY.fullmatch(text)
    value = float(match[1]) * _COUNTS[match[2]] if match and match[2] in _COUNTS else 0.0
    if not 0 < value < float("inf"):
        raise InputError(f"{what} is '{text}'. Allowed: a number above 0, alone or with k, M or G, for example 300M")
    return value


def format_ms(ms: float) -> str:
    """Milliseconds with three significant digits, for people."""
    return f"{ms:.3g} ms" if ms < 100 else f"{ms:.0f} ms"


def format_count(count: float) -> str:
    """A count such as 3.77 M or 186 M, three significant digits, decimal units."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size:
            return f"{count / size:.3g} {letter}"
    return f"{count:.3g}"


def format_duration(seconds: float) -> str:
    """A duration such as 42 s, 3 min 10 s or 1 h 5 min, for people."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8; file names in other encodings cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
