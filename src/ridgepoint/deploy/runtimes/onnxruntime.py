"""ONNX Runtime on the CPU, the default runtime."""

from pathlib import Path
from typing import TYPE_CHECKING

from ridgepoint.deploy.about import About, from_texts
from ridgepoint.deploy.runtimes.onnx_file import read_metadata, read_onnx
from ridgepoint.deploy.runtimes.runtime import Batch, Runtime
from ridgepoint.deploy.runtimes.session import Graph, Session

if TYPE_CHECKING:
    import torch
    from torch import nn

PREFIX = "ridgepoint."  # of the keys of a file's metadata that are ours


class OnnxRuntime(Runtime):
    """ONNX files, with what is known about them inside."""

    name, suffix = "onnxruntime", ".onnx"
    packages = ("onnxruntime", "onnx")
    suppresses = True

    def export(
        self,
        module: "nn.Module",
        example: "torch.Tensor",
        path: Path,
        *,
        about: About | None,
        precision: str = "float32",
        batch: Batch = "static",
    ) -> None:
        """See `Runtime`."""
        from ridgepoint.deploy.runtimes.onnx_export import write_checked, write_fast

        self.expect_precision(precision)
        if about is None:
            write_fast(module, example, path)
        else:
            metadata = {PREFIX + name: text for name, text in about.texts().items()}
            write_checked(module, example, path, metadata=metadata, outputs=about.outputs, batch=batch)

    def session_class(self) -> type[Session]:
        """See `Runtime`."""
        from ridgepoint.deploy.runtimes.onnx_session import OnnxRuntimeSession

        return OnnxRuntimeSession

    def about(self, path: Path) -> About | None:
        """See `Runtime`."""
        texts = {
            name.removeprefix(PREFIX): text for name, text in read_metadata(path).items() if name.startswith(PREFIX)
        }
        return from_texts(texts, path) if "labels" in texts else None

    def files(self, path: Path) -> tuple[Path, ...]:
        """The file, and those that it keeps weights in."""
        return (path, *read_onnx(path).beside)

    def graph(self, path: Path) -> Graph | None:
        """See `Runtime`."""
        from ridgepoint.deploy.runtimes.onnx_graph import optimised_graph

        return optimised_graph(path)
