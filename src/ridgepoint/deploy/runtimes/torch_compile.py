"""PyTorch's compiler: an exported program as C++ for this processor, built once when the file is opened."""

import shutil

from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.deploy.runtimes.torch import Torch


class TorchCompile(Torch):
    """The same files as `torch`."""

    name = "torch_compile"

    def session_class(self) -> type[Session]:
        """See `Runtime`."""
        from ridgepoint.deploy.runtimes.compiled_session import CompiledSession

        return CompiledSession

    def missing(self) -> str | None:
        """See `Runtime`."""
        if shutil.which("g++") is None:
            return (
                "needs g++, which is not on the path: torch.compile builds C++ for the processor. Install it, for "
                "example with: apt install g++"
            )
        return super().missing()
