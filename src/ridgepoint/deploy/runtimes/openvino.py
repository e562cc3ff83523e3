"""OpenVINO on the CPU: a graph as `.xml`, and its weights beside it as `.bin`."""

from pathlib import Path
from typing import TYPE_CHECKING

from ridgepoint.deploy.about import About
from ridgepoint.deploy.runtimes.runtime import Batch, Runtime
from ridgepoint.deploy.runtimes.session import Session

if TYPE_CHECKING:
    import torch
    from torch import nn


class OpenVino(Runtime):
    """Two files of one stem, in float32: OpenVINO's own default stores weights as float16."""

    name, suffix, extra = "openvino", ".xml", "openvino"
    packages = ("openvino",)
    beside = (".bin",)
    hosted = True
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
        import openvino
        import torch

        from ridgepoint.deploy.runtimes.onnx_export import write_checked, write_fast

        self.expect_precision(precision)
        graph = path.with_suffix(".onnx")
        if about is None:  # from ONNX it takes a third of the time
            write_fast(module, example, graph)
        elif about.suppression is not None:  # which OpenVINO reads from ONNX alone
            write_checked(module, example, graph, metadata={}, outputs=about.outputs, batch=batch)
        if graph.exists():
            model = openvino.convert_model(graph)
            graph.unlink()
        else:
            assert about is not None
            shapes = None
            if batch == "dynamic":  # a batch of 1 would be taken for a fixed one
                example, shapes = torch.cat([example, example]), ({0: torch.export.Dim.DYNAMIC},)
            with torch.no_grad():
                model = openvino.convert_model(torch.export.export(module, (example,), dynamic_shapes=shapes))
            model.inputs[0].get_tensor().set_names({"image"})
            for output, name in zip(model.outputs, about.outputs, strict=True):
                output.get_tensor().set_names({name})
        model.reshape({0: [-1 if batch == "dynamic" else 1, *example.shape[1:]]})
        openvino.save_model(model, path, compress_to_fp16=False)

    def session_class(self) -> type[Session]:
        """See `Runtime`."""
        from ridgepoint.deploy.runtimes.openvino_session import OpenVinoSession

        return OpenVinoSession
