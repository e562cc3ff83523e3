"""Sessions of ONNX Runtime on a device, with nothing but the runtime itself: what comes here was checked before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from ridgepoint.deploy.cores import choose_cores
from ridgepoint.deploy.runtimes.onnx_options import session_options
from ridgepoint.deploy.runtimes.session import Session, first_line
from ridgepoint.errors import InputError


class DeviceOnnxSession(Session):
    """An ONNX file loaded for a given number of threads."""

    runtime = "onnxruntime"
    version = onnxruntime.__version__

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        super().__init__(path, threads=threads, pinned=pinned)
        self.cores = choose_cores(threads) if pinned else ()
        options = session_options(threads, self.cores, folder=path.parent)
        try:
            content = path.read_bytes()
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own exception types are not public; texts may be no UTF-8
            raise InputError(f"ONNX Runtime {self.version} there cannot load it: {first_line(error)}") from None
        (given,) = self._session.get_inputs()
        batch, *sizes = given.shape
        self._name, self._batch = given.name, batch if isinstance(batch, int) else None
        self.input_shape = tuple(size if isinstance(size, int) else 0 for size in sizes)

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """Logits; a file exported for batch 1 is run once per image."""
        if self._batch in (None, len(x_BCHW)):
            return self._run(x_BCHW)
        return np.concatenate([self._run(x_BCHW[i : i + 1]) for i in range(len(x_BCHW))])

    def _run(self, x_BCHW: np.ndarray) -> np.ndarray:
        try:
            found: np.ndarray = self._session.run(None, {self._name: x_BCHW})[0]
        except Exception as error:  # the runtime's own exception types are not public
            raise InputError(f"ONNX Runtime {self.version} there cannot run it: {first_line(error)}") from None
        return found
