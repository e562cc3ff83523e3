"""Whether an exported file computes what its source computes, on real images in the real runtime."""

import msgspec
import numpy as np
import torch
from torch import nn

from ridgepoint.deploy.artefact import Artefact
from ridgepoint.errors import ParityError

# Both sides are float32 and sum in different orders; logits of a trained network lie around 1 to 10.
MAX_RELATIVE_DIFF = 1e-3


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """How an artefact's logits compare with its source's on `count` images."""

    max_abs_diff: float
    max_relative_diff: float
    top1_agreement: float
    count: int


@torch.no_grad()
def verify(model: nn.Module, artefact: Artefact, images: torch.Tensor, *, batch: int = 64) -> Parity:
    """Compare logits and top-1 of a module and its exported file.

    Args:
        model: The source, in eval mode, not folded.
        artefact: The exported file, loaded.
        images: uint8 (N, C, H, W), cropped to the input size.
        batch: Images per forward pass of the module.

    Raises:
        ParityError: If any top-1 differs, logits differ by more than 0.1 % of their largest value, or one of the
            source's is no number.
        InputError: If one of the file's is no number.
    """
    expected, got = [], []
    for chunk in images.split(batch):
        expected.append(model(artefact.preprocessing.normalize(chunk)).numpy())
        got.append(artefact.logits(chunk.numpy()))
    left, right = np.concatenate(expected), np.concatenate(got)
    if not np.isfinite(left).all():
        raise ParityError(
            f"{artefact.session.path}: its source answers with values that are infinite or no numbers. Its weights are "
            "damaged, or its training diverged: train again"
        )
    difference = float(np.abs(left - right).max())
    parity = Parity(
        max_abs_diff=difference,
        max_relative_diff=difference / max(float(np.abs(left).max()), 1e-12),
        top1_agreement=float((left.argmax(1) == right.argmax(1)).mean()),
        count=len(left),
    )
    if parity.top1_agreement < 1.0 or not parity.max_relative_diff <= MAX_RELATIVE_DIFF:
        raise ParityError(
            f"the exported file disagrees with its source on {parity.count} images: top-1 agreement "
            f"{parity.top1_agreement:.4f} (allowed 1.0), largest logit difference {difference:.2g}, relative "
            f"{parity.max_relative_diff:.2g} (allowed {MAX_RELATIVE_DIFF:.0e}). Do not ship it; try another --runtime"
        )
    return parity
