"""Fit a vision network to a device.

Give images, a device and a latency budget; get the most accurate network that meets the budget as measured on the
exported file. `import ridgepoint as rp` is light: torch is imported when something needs it.
"""

from importlib.metadata import version

from ridgepoint.privacy import keep_private

keep_private()  # before anything is imported that would send

# ruff: noqa: E402
# The packages of the same names must be loaded first, or a later import of theirs would replace these functions.
import ridgepoint.cost
import ridgepoint.fit
import ridgepoint.search  # noqa: F401
from ridgepoint.api import (
    build,
    cost,
    create_model,
    export,
    fit,
    fuse,
    list_models,
    load,
    load_space,
    measure,
    predict_latency,
    search,
)

__version__ = version("ridgepoint")
__all__ = [
    "build",
    "cost",
    "create_model",
    "export",
    "fit",
    "fuse",
    "list_models",
    "load",
    "load_space",
    "measure",
    "predict_latency",
    "search",
]
