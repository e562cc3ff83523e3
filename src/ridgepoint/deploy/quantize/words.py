"""What the gate found, for people: one sentence, and where a file is refused what to do next."""

import math

import msgspec

from ridgepoint.deploy.quantize.paired import images_needed
from ridgepoint.deploy.timing import remedy, when
from ridgepoint.run.quantised import Change, Quantised

CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")


def told(found: Quantised, *, doubt: str | None = None) -> Quantised:
    """The same with `reason` and `advice`."""
    if found.outcome == "cannot be clocked":
        reason, advice = f"whether int8 is faster cannot be told {when(doubt or '')}: {doubt}", remedy(doubt or "")
    else:
        reason, advice = _WORDS[found.outcome](found)
    if found.hurried:
        reason += f"; there was time for {len(found.attempts)} recipe{'s' * (len(found.attempts) > 1)} alone"
        advice += ", or more --time for further recipes"
    return msgspec.structs.replace(found, reason=reason, advice="" if found.accepted else advice)


def points(share: float) -> str:
    """A share of 0.0123 as 1.2."""
    return f"{100 * share:.1f}"


def change_in_words(change: Change) -> str:
    """Such as `-0.3 points (95 % sure of more than -0.9) on 460 val images`."""
    return (
        f"{100 * change.value:+.1f} points (95 % sure: more than {100 * change.low:+.1f}) on {change.count} "
        f"{change.split} images"
    )


def speed_in_words(found: Quantised) -> str:
    """Such as `2.3 times as fast as float`."""
    if found.ratio is None:
        return "not clocked"
    return f"{1 / found.ratio:.2f} times as fast as float"


def _passed(found: Quantised) -> tuple[str, str]:
    assert found.change is not None
    size = f"{found.int8_bytes / 1e6:.2f} of {found.float_bytes / 1e6:.2f} MB"
    return f"{found.change.metric} {change_in_words(found.change)}, {speed_in_words(found)}, {size}", ""


def _loses(found: Quantised) -> tuple[str, str]:
    assert found.change is not None
    return (
        f"int8 loses {points(-found.change.value)} points of {found.change.metric} on {found.change.count} "
        f"{found.change.split} images, and {points(found.most_drop)} are allowed ({len(found.attempts)} recipes tried)",
        f"Keep float; or allow as much with --max-drop {_enough(found.change)}; or train a network that int8 suits "
        "better: with ReLU or ReLU6, and re-parameterised branches with a norm of their sum (norms: sum)",
    )


def _cannot_tell(found: Quantised) -> tuple[str, str]:
    assert found.change is not None
    change, needed = found.change, images_needed(found.change, found.most_drop)
    more = f"About {needed:,} images would tell" if needed else "More images may tell"
    return (
        f"{change.count} {change.split} images are too few to tell that int8 loses less than "
        f"{points(found.most_drop)} points: they saw {100 * change.value:+.1f}, which may be {100 * change.low:+.1f} "
        f"to {100 * change.high:+.1f}",
        f"{more}; or accept this uncertainty with --max-drop {_enough(change)}",
    )


def _no_faster(found: Quantised) -> tuple[str, str]:
    assert found.ratio is not None
    slow = (
        f"{found.ratio:.2f} times as long as float" if found.ratio > 1 else "no less than float, as far as can be seen"
    )
    left = {name: count for name, count in found.in_float.items() if name not in CONVERSIONS}
    conversions = sum(found.in_float.get(name, 0) for name in CONVERSIONS)
    why = f"; {conversions} conversions between the two, in float: {_counted(left)}" if left else ""
    return (
        f"int8 takes {slow} on {found.device} with {found.tool} {found.tool_version}{why}",
        "Keep float; or train a network whose activations are ReLU or ReLU6, or a larger one; or quantise on the "
        "device's own processor",
    )


def _no_smaller(found: Quantised) -> tuple[str, str]:
    return (
        f"the int8 file has {found.int8_bytes:,} bytes, the float file {found.float_bytes:,}",
        "Keep float: a network this small gains nothing",
    )


def _counted(operators: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(operators.items(), key=lambda each: -each[1])[:4])


def _enough(change: Change) -> str:
    """The smallest allowance, in points, that accepts the change."""
    return f"{math.ceil(-1000 * change.low) / 10 + 0.1:.1f}"


_WORDS = {
    "passed": _passed,
    "cannot tell": _cannot_tell,
    "loses": _loses,
    "no faster": _no_faster,
    "no smaller": _no_smaller,
}
