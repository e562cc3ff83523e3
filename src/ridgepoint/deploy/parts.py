"""Times of many small networks, or of single blocks: each is exported and loaded by itself."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ridgepoint.arch.network import PlacedBlock
from ridgepoint.arch.shape import Shape
from ridgepoint.cost.precision import INT8
from ridgepoint.cost.table import Conditions
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.measure import PATIENCE_S, time_sessions
from ridgepoint.deploy.places.place import LOCAL, Place
from ridgepoint.deploy.quantize.timing import quantise_for_timing
from ridgepoint.deploy.reference import references
from ridgepoint.deploy.rounds import example_image
from ridgepoint.deploy.runtimes import find_runtime
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.deploy.timing import Timing
from ridgepoint.errors import UnreachableError
from ridgepoint.nn import layers
from ridgepoint.nn.build import initialise, module_of

# A turn must be long: a small network of many passes takes a fifth longer in its first milliseconds than after ten.
ROUNDS, ROUND_S, WARMUP = 4, 0.016, 3
Part = tuple[nn.Module, Shape]


def time_parts(
    parts: Sequence[Part],
    conditions: Conditions,
    *,
    rounds: int | None = None,
    patience_s: float = PATIENCE_S,
    place: Place = LOCAL,
) -> list[Timing | None]:
    """Modules that are folded already, for inputs of their shapes, timed side by side.

    Args:
        parts: The modules and their shapes.
        conditions: The runtime, its threads and the precision of the files.
        rounds: How many turns each gets.
        patience_s: As of `time_sessions`.
        place: Where they run.

    Returns:
        A timing for each; None for what the runtime cannot run.
    """
    runtime, threads = conditions.runtime, conditions.threads
    with tempfile.TemporaryDirectory() as folder:
        sessions = {}
        for index, part in enumerate(parts):
            path = Path(folder) / f"{index}{find_runtime(runtime).suffix}"
            export_for_timing(*part, path, runtime, folded=False)
            if (session := _runnable(part, path, conditions, place)) is not None:
                sessions[index] = session
        timings = time_sessions(
            sessions,
            reference=references(runtime, threads, place),
            rounds=rounds or ROUNDS,
            round_s=ROUND_S,
            warmup=WARMUP,
            patience_s=patience_s,
        )
    return [timings.get(index) for index in range(len(parts))]


def _runnable(part: Part, path: Path, conditions: Conditions, place: Place) -> Session | None:
    """The session of a part's float file in its precision, if the runtime can run it at all.

    Exceptions of runtimes and of what quantises for them are of their own kinds.
    """
    module, shape = part
    try:
        if conditions.precision == INT8.name:
            int8 = path.with_stem(f"{path.stem}_int8")
            path = quantise_for_timing(path, int8, shape, conditions.runtime, module)
        session = place.open(path, runtime=conditions.runtime, threads=conditions.threads)
        if session.answers:
            session.run(example_image(session))
    except UnreachableError:
        raise
    except Exception:
        return None
    return session


def part_of(blocks: Sequence[PlacedBlock]) -> Part:
    """The module of blocks that follow each other, placed in deploy form, with fresh weights; and its input shape."""
    torch.manual_seed(0)
    grid, first = layers.Grid(), blocks[0].input
    grid.size = (first.height, first.width)  # of the map that tokens come from, if tokens come in
    parts = [module_of(block.recipe, block.input, grid, 0.0, 0.0) for block in blocks]
    module = nn.Sequential(*([_Apart(first)] if first.layout == "maps" else []), *parts)
    initialise(module)
    return module.eval(), first


class _Apart(nn.Module):
    """Several maps out of one vector, because a part that is timed has one input; it costs a copy.

    Shape: (B, elements of all) -> a tuple of (B, C, H, W).
    """

    def __init__(self, shape: Shape):
        super().__init__()
        self.shapes = [(each.channels, each.height, each.width) for each in shape.maps]
        self.sizes = [each.elements for each in shape.maps]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Split and reshape."""
        pieces = x.split(self.sizes, 1)
        return tuple(piece.unflatten(1, shape) for piece, shape in zip(pieces, self.shapes, strict=True))
