"""Core ML: `.mlpackage` folders, written on any system and run by Apple's alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ridgepoint.deploy.about import About
from ridgepoint.deploy.runtimes.runtime import Batch, Runtime
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.errors import ParityError

if TYPE_CHECKING:
    import torch
    from torch import nn


class CoreMl(Runtime):
    """A folder in float16, as Core ML's tools write it if nobody says otherwise, or in float32.

    Nothing here runs it: what was written is read again, and its structure compared with what it should be.
    """

    name, suffix, extra = "coreml", ".mlpackage", "coreml"
    packages = ("coremltools",)
    precisions = ("float16", "float32")
    runs_here = False

    def export(
        self,
        module: "nn.Module",
        example: "torch.Tensor",
        path: Path,
        *,
        about: About | None,
        precision: str = "float16",
        batch: Batch = "static",
    ) -> None:
        """See `Runtime`.

        Raises:
            ParityError: If what was written does not take and give what it should.
        """
        self.expect_precision(precision)
        self.expect_static(batch)
        import coremltools
        import torch

        with torch.no_grad():
            program = torch.export.export(module, (example,)).run_decompositions({})
        outputs = about.outputs if about else ("logits",)
        model = coremltools.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=coremltools.target.iOS17,
            compute_precision=getattr(coremltools.precision, precision.upper()),
            inputs=[coremltools.TensorType(name="image", shape=tuple(example.shape))],
            outputs=[coremltools.TensorType(name=name) for name in outputs],
            skip_model_load=True,
        )
        model.user_defined_metadata.update(
            {f"ridgepoint.{key}": text for key, text in (about.texts() if about else {}).items()}
        )
        model.save(str(path))
        _check(coremltools.models.MLModel(str(path), skip_model_load=True).get_spec(), path, example, outputs)

    def session_class(self) -> type[Session]:
        """None: see `expect_running`."""
        self.expect_running()
        raise AssertionError("unreachable")


def _check(spec: Any, path: Path, example: "torch.Tensor", outputs: tuple[str, ...]) -> None:
    """One image in, the outputs by their names, and no operator that an app would have to bring."""
    taken = {each.name: tuple(each.type.multiArrayType.shape) for each in spec.description.input}
    given = tuple(each.name for each in spec.description.output)
    blocks = [
        block for function in spec.mlProgram.functions.values() for block in function.block_specializations.values()
    ]
    operators = {operation.type for block in blocks for operation in block.operations}
    custom = sorted(each for each in operators if each.startswith("custom"))
    if taken != {"image": tuple(example.shape)} or given != outputs or not operators or custom:
        raise ParityError(
            f"{path}: takes {taken} and gives {given}, with {len(operators)} kinds of operators, {len(custom)} of them "
            f"custom. It should take an image of {tuple(example.shape)} and give {outputs}. Do not ship it"
        )
