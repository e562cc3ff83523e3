"""ExecuTorch on the CPU with XNNPACK: `.pte` files."""

from pathlib import Path
from typing import TYPE_CHECKING

from ridgepoint.deploy.about import About
from ridgepoint.deploy.runtimes.runtime import Batch, Runtime
from ridgepoint.deploy.runtimes.session import Session

if TYPE_CHECKING:
    import torch
    from torch import nn


class ExecuTorch(Runtime):
    """One file for one image."""

    name, suffix, extra, form = "executorch", ".pte", "executorch", "executorch"
    packages = ("executorch",)
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
        write_program(module, example, path)

    def session_class(self) -> type[Session]:
        """See `Runtime`."""
        from ridgepoint.deploy.runtimes.executorch_session import ExecuTorchSession

        return ExecuTorchSession


def write_program(module: "nn.Module", example: "torch.Tensor", path: Path) -> None:
    """Write a module, in float or quantised, with all that XNNPACK takes handed to it."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with torch.no_grad():
        program = torch.export.export(module, (example,))
    _slice_splits(program)
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def _slice_splits(program: "torch.export.ExportedProgram") -> None:
    """Have slices in place of splits, which XNNPACK does not take."""
    import torch

    graph = program.graph_module.graph
    for split in graph.find_nodes(op="call_function", target=torch.ops.aten.split_with_sizes.default):
        given, sizes, dim = split.args[0], split.args[1], split.args[2] if len(split.args) > 2 else 0
        for part in list(split.users):
            number = part.args[1]
            start = sum(sizes[:number])
            with graph.inserting_before(part):
                slices = graph.call_function(torch.ops.aten.slice.Tensor, (given, dim, start, start + sizes[number]))
            slices.meta = dict(part.meta)
            part.replace_all_uses_with(slices)
            graph.erase_node(part)
        graph.erase_node(split)
    program.graph_module.recompile()
