"""Tools that turn an exported file into 8-bit integers, one file each, behind one contract: `quantizer.Quantizer`."""

import importlib

from ridgepoint.deploy.quantize.quantizer import Quantizer
from ridgepoint.deploy.runtimes.runtime import lacking
from ridgepoint.errors import InputError

QUANTIZERS = {
    "onnxruntime": "ridgepoint.deploy.quantize.onnxruntime:OnnxRuntimeQuantizer",
    "openvino": "ridgepoint.deploy.quantize.openvino:OpenVinoQuantizer",
    "litert": "ridgepoint.deploy.quantize.litert:LiteRtQuantizer",
    "executorch": "ridgepoint.deploy.quantize.executorch:ExecuTorchQuantizer",
}
"""Where the tool of each runtime is."""


def find_quantizer(runtime: str) -> type[Quantizer]:
    """What quantises files of a runtime.

    Raises:
        InputError: If nothing does; the message names the runtimes with one. If it is not installed, with the line to
            type.
    """
    if runtime not in QUANTIZERS:
        raise InputError(f"runtime '{runtime}' has no int8 here. Allowed: {', '.join(QUANTIZERS)}; or leave int8 out")
    module, _, kind = QUANTIZERS[runtime].partition(":")
    found: type[Quantizer] = getattr(importlib.import_module(module), kind)
    if (why := lacking((found.tool,), found.extra)) is not None:
        raise InputError(f"int8 for runtime '{runtime}' {why}")
    return found
