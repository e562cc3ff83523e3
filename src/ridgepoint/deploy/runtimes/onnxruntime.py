"""ONNX Runtime on the CPU, the default runtime."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime

from ridgepoint.deploy.cores import choose_cores
from ridgepoint.deploy.runtimes import OperatorTime, first_line
from ridgepoint.errors import InputError

SPIN_US = "100"


class OnnxRuntimeSession:
    """An ONNX file loaded for a given number of threads.

    Threads wait for each other by spinning within a run, as they do in an app by default, but never long, and sleep
    between runs: otherwise a session that has had its turn would take the next one's cores, and one whose partner has
    lost its core to another process would keep its own busy for nothing. On a calm machine that costs no time;
    sleeping at once does, up to half of a small network's.
    """

    runtime = "onnxruntime"
    version = onnxruntime.__version__

    def __init__(self, path: Path, *, threads: int, pinned: bool, profile_into: Path | None = None):
        self.threads = threads
        self.cores = choose_cores(threads) if pinned else ()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN_US)
        if len(self.cores) > 1:  # the caller's thread is the first; the runtime counts cores from 1
            places = ";".join(str(core + 1) for core in self.cores[1:])
            options.add_session_config_entry("session.intra_op_thread_affinities", places)
        if profile_into is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile_into)
        try:
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such file") from None
        except Exception as error:  # the runtime's own exception types are not public
            raise InputError(f"{path}: ONNX Runtime cannot load it: {first_line(error)}") from None
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
