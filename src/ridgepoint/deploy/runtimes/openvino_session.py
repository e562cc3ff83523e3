"""Sessions of OpenVINO."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import openvino

from ridgepoint.deploy.runtimes.openvino import OpenVino
from ridgepoint.deploy.runtimes.runtime import LARGEST_BYTES
from ridgepoint.deploy.runtimes.session import ImageSession, first_line
from ridgepoint.errors import InputError
from ridgepoint.files import read_file


class OpenVinoSession(ImageSession):
    """A graph compiled for a given number of threads, in float32 and in one stream of inferences."""

    runtime, title = "openvino", "OpenVINO"
    version = version("openvino")

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        super().__init__(path, threads=threads, pinned=pinned)
        graph, weights = (read_file(file, limit_bytes=LARGEST_BYTES) for file in OpenVino().files(path))
        how = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,  # threads have the cores of the process
        }
        try:
            core = openvino.Core()
            model = core.read_model(model=graph, weights=weights)  # by content: a name could choose another reader
            (image,), (_,) = model.inputs, model.outputs
            shape = image.partial_shape
            if image.element_type != openvino.Type.f32 or shape.rank.is_dynamic:
                raise InputError(f"{path}: takes {image.element_type} of shape {shape}. Allowed: float32 images")
            self.input_shape = tuple(0 if size.is_dynamic else size.get_length() for size in list(shape)[1:])
            self._request = core.compile_model(model, "CPU", how).create_infer_request()
        except InputError:
            raise
        except Exception as error:  # its exceptions are RuntimeError, and ValueError where there are several inputs
            raise InputError(f"{path}: OpenVINO cannot load it: {_told(error)}") from None

    def answer(self, image_1CHW: np.ndarray) -> np.ndarray:
        """See `ImageSession`."""
        found: np.ndarray = self._request.infer([image_1CHW], share_inputs=True)[0]
        return found


def _told(error: Exception) -> str:
    """What an error says after the places in OpenVINO's source."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith(("Exception from", "Check '"))]
    return first_line(Exception("\n".join(lines) or str(error)))
