"""Sessions of PyTorch's compiler: a program is built once, when the file is opened."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch._dynamo.exc import TorchDynamoException

from ridgepoint.deploy.runtimes.session import first_line
from ridgepoint.deploy.runtimes.torch_session import TorchSession
from ridgepoint.errors import InputError

# Weights become constants in the layout that the processor's kernels read, as one would deploy it.
OPTIONS: dict[str, str | int | bool | Callable[..., Any]] = {"freezing": True}


class CompiledSession(TorchSession):
    """A `.pt2` file compiled for a given number of threads.

    Opening takes seconds to a minute; inductor keeps what it built on the disk, so that the same graph opens faster
    again.
    """

    runtime = "torch_compile"

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        try:
            super().__init__(path, threads=threads, pinned=pinned)
        except TorchDynamoException as error:
            raise InputError(f"{path}: torch.compile cannot build it: {first_line(error)}") from None

    def _prepare(self, module: torch.nn.Module, image: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        # Its own place is a folder in /tmp of a name that anybody can take first, from which it unpickles.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(platformdirs.user_cache_path("ridgepoint") / "inductor"))
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it warns that there is no GPU
        compiled = torch.compile(module, fullgraph=True, dynamic=False, options=OPTIONS)
        compiled(image)  # the number of threads of this moment is built in
        return compiled
