"""ONNX Runtime on the CPU, the default runtime."""

from pathlib import Path

import numpy as np
import onnxruntime

from ridgepoint.errors import InputError


class OnnxRuntimeSession:
    """An ONNX file loaded for a given number of threads."""

    runtime = "onnxruntime"
    version = onnxruntime.__version__

    def __init__(self, path: Path, *, threads: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such file") from None
        except Exception as error:  # the runtime's own exception types are not public
            raise InputError(f"{path}: ONNX Runtime cannot load it: {_first_line(error)}") from None
        given = self._session.get_inputs()[0]
        if len(given.shape) < 2 or given.type != "tensor(float)":
            raise InputError(
                f"{path}: takes {given.type} of shape {given.shape}. Allowed: float32 images, (batch, channels, "
                f"height, width)"
            )
        self._name = given.name
        self.input_shape = tuple(size if isinstance(size, int) else 0 for size in given.shape[1:])
        self.static_batch = given.shape[0] if isinstance(given.shape[0], int) else None
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """Logits; a file exported for batch 1 is run once per image."""
        if self.static_batch in (None, len(x_BCHW)):
            return self._session.run(None, {self._name: x_BCHW})[0]
        return np.concatenate([self._session.run(None, {self._name: x_BCHW[i : i + 1]})[0] for i in range(len(x_BCHW))])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
