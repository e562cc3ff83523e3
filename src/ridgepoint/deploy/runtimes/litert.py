"""LiteRT, formerly TensorFlow Lite, on the CPU with XNNPACK: `.tflite` files."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ridgepoint.deploy.about import About
from ridgepoint.deploy.runtimes.runtime import Batch, Runtime, lacking
from ridgepoint.deploy.runtimes.session import Session

if TYPE_CHECKING:
    import torch
    from torch import nn


class LiteRt(Runtime):
    """One file for one image, (1, C, H, W); an extra runs files, and another one, which is much larger, writes them."""

    name, suffix, extra, form = "litert", ".tflite", "litert", "litert"
    packages = ("ai-edge-litert",)
    hosted = True

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
        self.expect_precision(precision)
        self.expect_static(batch)
        named = _named(module, about.outputs[0] if about else "logits")
        with without_logs():
            import litert_torch

            litert_torch.convert(named, sample_kwargs={"image": example}).export(str(path))

    def missing_to_write(self) -> str | None:
        """See `Runtime`."""
        return lacking(("litert-torch",), "litert-convert")

    def session_class(self) -> type[Session]:
        """See `Runtime`."""
        from ridgepoint.deploy.runtimes.litert_session import LiteRtSession

        return LiteRtSession


def _named(module: "nn.Module", answer: str) -> "nn.Module":
    """The module with names for its image and its answer, by which an app asks for them; a file has no others."""
    from torch import Tensor, nn

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, image: Tensor) -> dict[str, Tensor]:
            return {answer: self.module(image)}

    return Named().eval()


@contextlib.contextmanager
def without_logs() -> Iterator[None]:
    """The converter logs from C++, past all that Python could do about it, and does so when it is imported."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
