"""Whether torch is writing down what is computed, for which its own operators serve best."""

import torch


def recorded() -> bool:
    """Whether a compiler, a tracer or an exporter is at work."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.onnx.is_in_onnx_export()
