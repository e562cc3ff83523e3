"""ncnn on the CPU, in float32: a graph as `.param`, and its weights beside it as `.ncnn.bin`."""

import math
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ridgepoint.deploy.about import About
from ridgepoint.deploy.runtimes.runtime import Batch, Runtime
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

WEIGHTS = ".ncnn.bin"
INPUT = "Input "  # how the line of a graph begins that tells its input
SIZES = {1: ("0",), 2: ("1", "0"), 3: ("2", "1", "0")}  # of an input without its batch: channels, height, width


class Ncnn(Runtime):
    """Two files of one stem for one image; pnnx writes them."""

    name, suffix, extra, form = "ncnn", ".param", "ncnn", "ncnn"
    packages = ("ncnn", "pnnx")
    beside = (WEIGHTS,)
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
        import tempfile

        import pnnx
        import torch

        sizes = f"inputshape=[{','.join(map(str, example.shape))}]f32"
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            torch.jit.trace(module, (example,), check_trace=False).save(str(Path(folder, "model.pt")))
            command = [pnnx.EXEC_PATH, "model.pt", sizes, "fp16=0"]
            subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            graph, weights = (Path(folder, f"model.ncnn.{kind}") for kind in ("param", "bin"))
            if not graph.exists() or not weights.exists():
                raise InputError("pnnx, which writes files for ncnn, cannot write this network. Give another --runtime")
            path.write_text(_with_sizes(graph.read_text(), tuple(example.shape[1:])))
            path.with_suffix(WEIGHTS).write_bytes(weights.read_bytes())

    def session_class(self) -> type[Session]:
        """See `Runtime`."""
        from ridgepoint.deploy.runtimes.ncnn_session import NcnnSession

        return NcnnSession


def input_sizes(graph: str) -> tuple[int, ...] | None:
    """(channels, height, width) of the one input of a graph; None where it does not tell them."""
    lines = [line.split() for line in graph.splitlines() if line.startswith(INPUT)]
    if len(lines) != 1:
        return None
    told = dict(word.split("=", 1) for word in lines[0] if "=" in word)
    known = [each for each in ("2", "1", "0") if each in told]
    sizes = tuple(int(told[each]) for each in known if told[each].isdecimal() and len(told[each]) < 10)
    fits = tuple(known) in SIZES.values() and len(sizes) == len(known) and 0 < math.prod(sizes) < 1 << 28
    return sizes if fits else None


def _with_sizes(graph: str, sizes: tuple[int, ...]) -> str:
    """A graph that tells the sizes of its input, which pnnx leaves open."""
    told = " ".join(f"{key}={size}" for key, size in zip(SIZES[len(sizes)], sizes, strict=True))
    lines = [f"{line.partition(' 0=')[0]} {told}" if line.startswith(INPUT) else line for line in graph.splitlines()]
    return "\n".join(lines) + "\n"
