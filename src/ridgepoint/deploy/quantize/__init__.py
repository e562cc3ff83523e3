"""Tools that turn an exported file into 8-bit integers, one file each, behind one contract: `quantizer.Quantizer`."""

import importlib

from ridgepoint.deploy.quantize.quantizer import Quantizer
from ridgepoint.errors import InputError

QUANTIZERS = {
    "onnxruntime": "ridgepoint.deploy.quantize.onnxruntime:OnnxRuntimeQuantizer",
}
"""Where the tool of each runtime is."""


def find_quantizer(runtime: str) -> type[Quantizer]:
    """What quantises files of a runtime.

    Raises:
        InputError: If nothing does; the message names the runtimes with one.
    """
    if runtime not in QUANTIZERS:
        raise InputError(f"runtime '{runtime}' has no int8 here. Allowed: {', '.join(QUANTIZERS)}; or leave int8 out")
    module, _, kind = QUANTIZERS[runtime].partition(":")
    found: type[Quantizer] = getattr(importlib.import_module(module), kind)
    return found
