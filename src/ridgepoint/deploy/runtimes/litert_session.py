"""Sessions of LiteRT."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from ridgepoint.deploy.runtimes.runtime import LARGEST_BYTES
from ridgepoint.deploy.runtimes.session import ImageSession, first_line
from ridgepoint.errors import InputError
from ridgepoint.files import read_file


class LiteRtSession(ImageSession):
    """A `.tflite` file loaded for a given number of threads, with XNNPACK for all that it takes."""

    runtime, title = "litert", "LiteRT"
    version = version("ai-edge-litert")

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        super().__init__(path, threads=threads, pinned=pinned)
        content = read_file(path, limit_bytes=LARGEST_BYTES)
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
            (image,), (logits,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except Exception as error:  # ValueError and RuntimeError, and what several inputs or outputs raise
            raise InputError(f"{path}: LiteRT cannot load it: {first_line(error)}") from None
        shape = tuple(int(size) for size in image["shape"])
        if image["dtype"] is not np.float32 or logits["dtype"] is not np.float32 or shape[:1] != (1,):
            raise InputError(
                f"{path}: takes {np.dtype(image['dtype'])} of shape {shape} and gives {np.dtype(logits['dtype'])}. "
                "Allowed: one float32 image"
            )
        self._image, self._logits, self.input_shape = image["index"], logits["index"], shape[1:]
        # There is no public way to ask; each part that XNNPACK took is one operator of this name.
        self.partitions = sum("DELEGATE" in each["op_name"] for each in self._interpreter._get_ops_details())

    def answer(self, image_1CHW: np.ndarray) -> np.ndarray:
        """See `ImageSession`."""
        self._interpreter.set_tensor(self._image, image_1CHW)
        self._interpreter.invoke()
        logits: np.ndarray = self._interpreter.get_tensor(self._logits)
        return logits
