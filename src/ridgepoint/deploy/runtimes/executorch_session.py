"""Sessions of ExecuTorch."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime, Verification

from ridgepoint.deploy.runtimes.runtime import LARGEST_BYTES
from ridgepoint.deploy.runtimes.session import ImageSession, first_line
from ridgepoint.errors import InputError
from ridgepoint.files import read_file

FLOAT32 = 6  # of its scalar types


class ExecuTorchSession(ImageSession):
    """A `.pte` file loaded for a given number of threads.

    The number of threads is one for the whole process: each file has a process of its own.
    """

    runtime, title = "executorch", "ExecuTorch"
    version = version("executorch")

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        super().__init__(path, threads=threads, pinned=pinned)
        content = read_file(path, limit_bytes=LARGEST_BYTES)
        try:
            _unsafe_reset_threadpool(threads)
            self._program = Runtime.get().load_program(content, verification=Verification.InternalConsistency)
            self._method = self._program.load_method("forward")
            told = self._method.metadata
            image = told.input_tensor_meta(0)
            shape, kind, inputs = tuple(image.sizes()), image.dtype(), told.num_inputs()
        except Exception as error:  # RuntimeError and others, by what is damaged
            raise InputError(f"{path}: ExecuTorch cannot load it: {first_line(error)}") from None
        if inputs != 1 or kind != FLOAT32 or shape[:1] != (1,):
            raise InputError(f"{path}: takes {inputs} inputs, the first of shape {shape}. Allowed: one float32 image")
        self.input_shape = shape[1:]

    def answer(self, image_1CHW: np.ndarray) -> np.ndarray:
        """See `ImageSession`."""
        logits: np.ndarray = self._method.execute([torch.from_numpy(image_1CHW)])[0].numpy().copy()
        return logits
