"""Whether an exported file computes what its source computes, on real images in the real runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import torch
from torch import nn

from ridgepoint.deploy.artefact import Artefact
from ridgepoint.errors import ParityError
from ridgepoint.nn.memory import keep_freed_memory

# Both sides are float32 and sum in different orders; logits of a trained network lie around 1 to 10.
MAX_RELATIVE_DIFF = 1e-3
TOP1 = "top-1 agreement"


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """How an artefact's outputs compare with its source's on `count` images.

    `agreement` is the share of images that both answer alike, in the sense that `agrees` names.
    """

    max_abs_diff: float
    max_relative_diff: float
    agrees: str
    agreement: float
    count: int

    def document(self) -> dict[str, Any]:
        """For files and results, which have always had a classifier's agreement under a name of its own."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told | ({"top1_agreement": self.agreement} if self.agrees == TOP1 else {})


class Agreed(Protocol):
    """What was compared, and for which share of the images it is the same."""

    @property
    def name(self) -> str:
        """Such as `top-1 agreement`."""
        ...

    @property
    def share(self) -> float:
        """0 to 1."""
        ...


def verify(
    model: nn.Module,
    artefact: Artefact,
    images: torch.Tensor,
    *,
    agree: Callable[[np.ndarray, np.ndarray], Agreed],
    batch: int = 64,
) -> Parity:
    """Compare outputs and answers of a module and its exported file in float.

    Args:
        model: The source, in eval mode, not folded.
        artefact: The exported file, loaded.
        images: uint8 (N, C, H, W), cropped to the input size.
        agree: How far outputs of the source and of the file, (N, ...), mean the same, as the task has it.
        batch: Images per forward pass of the module.

    Raises:
        ParityError: If any answer differs, outputs differ by more than 0.1 % of their largest value, or one of the
            source's is no number.
        InputError: If one of the file's is no number.
    """
    keep_freed_memory()
    expected, got = [], []
    for chunk in images.split(batch):
        with torch.no_grad():
            expected.append(model(artefact.preprocessing.normalize(chunk)).numpy())
        got.append(artefact.logits(chunk.numpy()))
    return compare(np.concatenate(expected), np.concatenate(got), artefact.session.path, agree=agree, exact=True)


def _require(parity: Parity) -> None:
    if parity.agreement < 1.0 or not parity.max_relative_diff <= MAX_RELATIVE_DIFF:
        raise ParityError(
            f"the exported file disagrees with its source on {parity.count} images: {parity.agrees} "
            f"{parity.agreement:.4f} (allowed 1.0), largest logit difference {parity.max_abs_diff:.2g}, relative "
            f"{parity.max_relative_diff:.2g} (allowed {MAX_RELATIVE_DIFF:.0e}). Do not ship it; try another --runtime"
        )


def compare(
    expected: np.ndarray,
    got: np.ndarray,
    path: Path,
    *,
    agree: Callable[[np.ndarray, np.ndarray], Agreed],
    exact: bool,
) -> Parity:
    """How far a file, which may be int8, answers as its source does.

    Args:
        expected: Outputs of the source, (N, ...).
        got: Those of the file.
        path: The file.
        agree: How far they mean the same, as the task has it.
        exact: Whether the file is in float and has to compute what its source computes.

    Raises:
        ParityError: If an output of the source is no number, or, where it has to be exact, as `verify`.
    """
    if not np.isfinite(expected).all():
        raise ParityError(
            f"{path}: its source answers with values that are infinite or no numbers. Its weights are "
            "damaged, or its training diverged: train again"
        )
    agreed = agree(expected, got)
    difference = float(np.abs(expected - got).max())
    parity = Parity(
        max_abs_diff=difference,
        max_relative_diff=difference / max(float(np.abs(expected).max()), 1e-12),
        agrees=agreed.name,
        agreement=agreed.share,
        count=len(expected),
    )
    if exact:
        _require(parity)
    return parity
