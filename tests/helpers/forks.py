"""Processes that start in no time: forks of one that has loaded the program and computed nothing."""

import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import forkserver, get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import TimeoutExpired
from unittest import mock

LOADED = (
    "torch._dynamo",  # optimizers load it at their first step, for seconds
    "torchvision",
    "onnx",
    "onnxruntime",
    "onnxscript.function_libs.torch_lib.ops",  # what exports load
    "torch.onnx._internal.exporter._core",
    "torch.export._trace",
    "torch._inductor.decomposition",
    "networkx",
    "sklearn.datasets",
    "scipy.optimize",
    "scipy.stats",
    "optuna.storages._rdb.models",
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
    "plotly.graph_objs._scatter",
    "plotly.io._json",
    "pydantic.type_adapter",
    "ridgepoint.deploy.runtimes.onnx_session",
    "ridgepoint.distill.run",
    "ridgepoint.fit.pipeline",
    "ridgepoint.report.page",
    "known",
    "mortal",
    "quick_clock",
)


@cache
def forks() -> ForkServerContext:
    """Where such processes are started. They compute with one thread, and their sets have another order than here."""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    set_so = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "4242"}
    with mock.patch.dict(os.environ, set_so):
        forkserver.ensure_running()
    return context


class Command:
    """`ridgepoint` under way in a process of its own; may be asked what `subprocess.Popen` may be.

    `changes` are values that names of its modules have there, such as a patience that a test cannot have.
    """

    def __init__(
        self,
        words: Sequence[object],
        *,
        cwd: Path | None = None,
        stderr: Path | None = None,
        changes: Mapping[str, object] | None = None,
    ):
        self._place = tempfile.TemporaryDirectory(prefix="command-")
        self._out, self._err = Path(self._place.name, "out"), stderr or Path(self._place.name, "err")
        given = (list(map(str, words)), str(cwd or Path.cwd()), self._out, self._err, dict(os.environ), changes or {})
        self._process = forks().Process(target=_be, args=given)
        self._out.touch(), self._err.touch()
        self._process.start()
        self.pid: int = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it wrote to stdout and stderr."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutExpired("ridgepoint", timeout or 0.0)
        return self._out.read_text(), self._err.read_text()


def _be(
    words: list[str], cwd: str, out: Path, err: Path, environment: dict[str, str], changes: Mapping[str, object]
) -> None:
    """The process itself."""
    from ridgepoint.cli.main import main

    for name, value in changes.items():
        mock.patch(name, value).start()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment, OMP_NUM_THREADS="1")
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["ridgepoint", *words]
    main()
