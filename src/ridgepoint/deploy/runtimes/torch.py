"""PyTorch eager: an exported program, run operator by operator."""

from pathlib import Path
from typing import TYPE_CHECKING

from ridgepoint.deploy.about import About
from ridgepoint.deploy.runtimes.runtime import Batch, Runtime
from ridgepoint.deploy.runtimes.session import Session

if TYPE_CHECKING:
    import torch
    from torch import nn


class Torch(Runtime):
    """`.pt2` files; what is known about them lies beside them alone."""

    name, suffix = "torch", ".pt2"
    packages = ("torch",)

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
        import torch

        self.expect_precision(precision)
        shapes = None
        if batch == "dynamic":  # a batch of 1 would be taken for a fixed one
            example, shapes = torch.cat([example, example]), ({0: torch.export.Dim.DYNAMIC},)
        with torch.no_grad():
            torch.export.save(torch.export.export(module, (example,), dynamic_shapes=shapes), path)

    def session_class(self) -> type[Session]:
        """See `Runtime`."""
        from ridgepoint.deploy.runtimes.torch_session import TorchSession

        return TorchSession
