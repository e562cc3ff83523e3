"""Taps: which maps of a network its head takes beside the last one, and where they lie. See `roles.Tap`."""

from collections.abc import Callable, Sequence

from ridgepoint.arch.layer import Activation
from ridgepoint.arch.recipe import PlacedLayer
from ridgepoint.arch.shape import Shape
from ridgepoint.errors import ArchitectureError

Layers = Sequence[PlacedLayer]


def leaving(tap: int | str, path: str, reduction: int, output: Shape, layers: Callable[[], Layers]) -> Shape | None:
    """The shape of a map if a block leaves it, None if not.

    Args:
        tap: The map.
        path: The block's.
        reduction: Input pixels of one position of what leaves it.
        output: What leaves it.
        layers: What is in it; asked for only where a part of it is tapped.

    Raises:
        ArchitectureError: If it is a part of the block that ends in no activation: folding would change what leaves it.
    """
    if isinstance(tap, int):
        return output if tap == reduction else None
    if not tap.startswith(f"{path}."):
        return output if tap == path else None
    placed = layers()
    inside = [at for at in placed if f"{path}{at.path}.".startswith(f"{tap}.")]
    if inside and isinstance(inside[-1].layer, Activation):
        return inside[-1].output
    units = dict.fromkeys(f"{path}{at.path.rpartition('.')[0]}" for at in placed if isinstance(at.layer, Activation))
    raise ArchitectureError(
        f": the head taps {tap}. Allowed: the block itself, {path}, or what ends in an activation there: "
        f"{', '.join(units) or 'nothing'}"
    )


def tap_paths(taps: Sequence[int | str], blocks: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """The paths of taps; the image has an empty one.

    Args:
        taps: Of a head, all of which there are.
        blocks: Path and reduction of every block before it, in order.
    """
    last, total = {1: ""}, 1
    for path, reduction in blocks:
        total *= reduction
        last[total] = path
    return tuple(last[tap] if isinstance(tap, int) else tap for tap in taps)
