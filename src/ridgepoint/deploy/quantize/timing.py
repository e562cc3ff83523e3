"""A float file in int8 for the clock alone: how fast it is does not depend on what it has learnt."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ridgepoint.arch.shape import Shape
from ridgepoint.deploy.quantize import find_quantizer
from ridgepoint.deploy.quantize.quantizer import Recipe

if TYPE_CHECKING:
    from torch import nn

IMAGES = 2


def quantise_for_timing(source: Path, path: Path, shape: Shape, runtime: str, module: "nn.Module") -> Path:
    """Write an int8 file by the tool's cheapest method, with noise for images.

    Args:
        source: The float file.
        path: Where the int8 file goes.
        shape: Of its input.
        runtime: Of both.
        module: What the source was exported from, in eval mode.

    Raises:
        InputError: If the runtime has no int8, or the file cannot be quantised.
    """
    kind = find_quantizer(runtime)
    noise = np.random.default_rng(0).standard_normal((IMAGES, *shape.sizes))
    tool = kind(source, noise.astype(np.float32), path.parent, module=module)
    tool.write(Recipe(method=tool.methods[0]), path, about=None)
    return path
