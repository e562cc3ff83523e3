"""Sessions of ncnn."""

from importlib.metadata import version
from pathlib import Path

import ncnn
import numpy as np

from ridgepoint.deploy.runtimes.ncnn import Ncnn, input_sizes
from ridgepoint.deploy.runtimes.session import ImageSession
from ridgepoint.errors import InputError
from ridgepoint.files import read_file

LARGEST_GRAPH_BYTES = 16 << 20
IMAGE, LOGITS = "in0", "out0"  # as pnnx names them


class NcnnSession(ImageSession):
    """A network loaded for a given number of threads, all of it in float32."""

    runtime, title = "ncnn", "ncnn"
    version = version("ncnn")

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        super().__init__(path, threads=threads, pinned=pinned)
        graph, weights = Ncnn().files(path)
        text = read_file(graph, limit_bytes=LARGEST_GRAPH_BYTES).decode(errors="replace")
        sizes = input_sizes(text)
        if sizes is None:
            raise InputError(
                f"{path}: does not tell the sizes of one input, as ridgepoint writes them (Input ... 0=WIDTH 1=HEIGHT "
                "2=CHANNELS). Export it again"
            )
        self.input_shape = sizes
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads, options.use_vulkan_compute = threads, False
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_storage = False
        if self._net.load_param_mem(text) or self._net.load_model(str(weights)):  # it raises nothing
            raise InputError(f"{path}: ncnn cannot load it: it is damaged, or has layers that ncnn does not know")

    def answer(self, image_1CHW: np.ndarray) -> np.ndarray:
        """See `ImageSession`."""
        extractor = self._net.create_extractor()
        if image_1CHW.shape[1:] != self.input_shape:
            raise InputError(f"{self.path}: takes {self.input_shape}, not {image_1CHW.shape[1:]}")
        if extractor.input(IMAGE, ncnn.Mat(image_1CHW[0]).clone()):
            raise InputError(f"{self.path}: ncnn finds no input '{IMAGE}' in it")
        failed, logits = extractor.extract(LOGITS)
        if failed:
            raise InputError(f"{self.path}: ncnn cannot run it")
        return np.array(logits, np.float32)[None]
