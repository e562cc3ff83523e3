"""A runtime as somebody else would add it, in one file: an artefact is two files of its own names."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.errors import InputError
from ridgepoint.files import read_file

LIMIT_BYTES = 1 << 30


class ToySession(Session):
    runtime = "toy"
    version = version("onnxruntime")

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        super().__init__(path, threads=threads, pinned=pinned)
        head, weights = Toy().files(path)
        try:
            self.input_shape = tuple(json.loads(read_file(head, limit_bytes=LIMIT_BYTES))["input"])
            self._inner = onnxruntime.InferenceSession(read_file(weights, limit_bytes=LIMIT_BYTES))
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{path}: is no toy, or a damaged one ({type(error).__name__})") from None

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        name = self._inner.get_inputs()[0].name
        return np.concatenate([self._inner.run(None, {name: image[None]})[0] for image in x_BCHW])


class Toy(Runtime):
    name, suffix, packages = "toy", ".toy", ("onnxruntime",)

    def export(
        self, module: nn.Module, example: torch.Tensor, path: Path, *, about: Any, precision="float32", batch="static"
    ):
        self.expect_precision(precision)
        path.write_text(json.dumps({"input": list(example.shape[1:])}))
        torch.onnx.export(module, (example,), str(path.with_suffix(".toyw")), dynamo=False, opset_version=17)

    def files(self, path: Path) -> tuple[Path, ...]:
        found = (path, path.with_suffix(".toyw"))
        if not all(file.is_file() for file in found):
            raise InputError(f"{path}: a toy is two files, {' and '.join(file.name for file in found)}. Fetch both")
        return found

    def session_class(self) -> type[Session]:
        return ToySession


class Boxed(Toy):
    """Its artefact is a folder."""

    name, suffix = "boxed", ".toybox"

    def export(self, module: nn.Module, example: torch.Tensor, path: Path, **how: Any):
        self.expect_precision(how.get("precision", "float32"))
        path.mkdir(exist_ok=True)
        super().export(module, example, path / "net.toy", **how)

    def files(self, path: Path) -> tuple[Path, ...]:
        return Runtime.files(self, path)

    def session_class(self) -> type[Session]:
        return BoxedSession


class BoxedSession(ToySession):
    runtime = "boxed"

    def __init__(self, path: Path, *, threads: int, pinned: bool):
        super().__init__(path / "net.toy", threads=threads, pinned=pinned)
        self.path = path
