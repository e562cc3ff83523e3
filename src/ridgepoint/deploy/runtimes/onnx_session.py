"""Sessions of ONNX Runtime."""

import json
import math
import tempfile
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime

from ridgepoint.deploy.cores import choose_cores
from ridgepoint.deploy.runtimes.onnx_file import read_onnx
from ridgepoint.deploy.runtimes.onnx_options import session_options
from ridgepoint.deploy.runtimes.session import OperatorTime, Session, first_line
from ridgepoint.errors import InputError

LOOP_LIMIT_S = 5.0
LARGEST_IMAGE_BYTES = 256 << 20


class OnnxRuntimeSession(Session):
    """An ONNX file loaded for a given number of threads."""

    runtime = "onnxruntime"
    version = onnxruntime.__version__

    def __init__(self, path: Path, *, threads: int, pinned: bool, profile_into: Path | None = None):
        super().__init__(path, threads=threads, pinned=pinned)
        self.cores = choose_cores(threads) if pinned else ()
        options = session_options(threads, self.cores, folder=path.resolve().parent)
        if profile_into is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile_into)
        file = read_onnx(path)
        self.precision = "int8" if file.quantised else "float32"
        try:
            self._session = onnxruntime.InferenceSession(file.content, options, providers=["CPUExecutionProvider"])
            self._name, shape = self._image_input()
        except InputError:
            raise
        except Exception as error:  # the runtime's own exception types are not public; texts may be no UTF-8
            raise InputError(f"{path}: ONNX Runtime cannot load it: {first_line(error)}") from None
        self.input_shape = tuple(size if isinstance(size, int) else 0 for size in shape[1:])
        self.static_batch = shape[0] if isinstance(shape[0], int) else None
        self._limited = _Limited() if file.loops else None

    def _image_input(self) -> tuple[str, list[int | str | None]]:
        """Name and shape of the one input, float32 and for one image at a time."""
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(each.name for each in inputs[:6]) or "none"
            raise InputError(f"{self.path}: takes {len(inputs)} inputs ({names}). Allowed: one, images")
        (given,) = inputs
        if given.type != "tensor(float)" or len(given.shape) < 2:
            raise InputError(
                f"{self.path}: takes {given.type} of shape {given.shape}. Allowed: float32 images, (batch, channels, "
                f"height, width)"
            )
        if isinstance(given.shape[0], int) and given.shape[0] != 1:
            raise InputError(
                f"{self.path}: takes {given.shape[0]} images at once. Allowed: a batch of 1, or an open one. Export it "
                "again with one of these"
            )
        if 4 * math.prod(size for size in given.shape if isinstance(size, int)) > LARGEST_IMAGE_BYTES:
            raise InputError(
                f"{self.path}: takes images of shape {given.shape}. Allowed: up to {LARGEST_IMAGE_BYTES >> 20} MiB each"
            )
        outputs = self._session.get_outputs()
        if not outputs or any(not each.type.startswith("tensor(") for each in outputs):
            told = ", ".join(f"{each.name} {each.type}" for each in outputs[:6]) or "nothing"
            raise InputError(f"{self.path}: gives {told}. Allowed: tensors")
        return given.name, given.shape

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        """Logits; a file exported for batch 1 is run once per image."""
        if self.static_batch in (None, len(x_BCHW)):
            return self._run(x_BCHW)
        return np.concatenate([self._run(x_BCHW[i : i + 1]) for i in range(len(x_BCHW))])

    def _run(self, x_BCHW: np.ndarray) -> np.ndarray:
        try:
            if self._limited is None:
                found: np.ndarray = self._session.run(None, {self._name: x_BCHW})[0]
                return found
            with self._limited as options:
                found = self._session.run(None, {self._name: x_BCHW}, options)[0]
                return found
        except Exception as error:  # the runtime's own exception types are not public
            if self._limited is not None and self._limited.ended:
                raise InputError(
                    f"{self.path}: has a loop that did not end within {LOOP_LIMIT_S:g} s, and was stopped. Give a file "
                    "without loops"
                ) from None
            raise InputError(f"{self.path}: ONNX Runtime cannot run it: {first_line(error)}") from None

    @classmethod
    def profile(cls, path: Path, x_BCHW: np.ndarray, *, threads: int, runs: int) -> list[OperatorTime]:
        """Mean time of each kind of operator, by the runtime's own profiler; the first run is left out."""
        with tempfile.TemporaryDirectory() as folder:
            session = cls(path, threads=threads, pinned=True, profile_into=Path(folder) / "profile")
            for _ in range(runs + 1):
                session.run(x_BCHW)
            events = json.loads(Path(session._session.end_profiling()).read_text())
        ends = [event["ts"] + event["dur"] for event in events if event["name"] == "model_run"]
        kernels = [e for e in events if e["name"].endswith("_kernel_time") and e["ts"] >= min(ends)]
        calls, microseconds = Counter[str](), Counter[str]()
        for event in kernels:
            operator = event["args"]["op_name"]
            calls[operator] += 1
            microseconds[operator] += event["dur"]
        return [
            OperatorTime(operator, calls[operator] / runs, total / runs / 1e3)
            for operator, total in microseconds.most_common()
        ]


class _Limited:
    """Ends a run that takes too long: only loops can, all else ends by itself."""

    def __enter__(self) -> onnxruntime.RunOptions:
        self.ended, self.options = False, onnxruntime.RunOptions()
        self.timer = threading.Timer(LOOP_LIMIT_S, self._end)
        self.timer.daemon = True
        self.timer.start()
        return self.options

    def __exit__(self, *error: object) -> None:
        self.timer.cancel()

    def _end(self) -> None:
        self.ended = self.options.terminate = True
