"""What of a pretrained network keeps still at first, and statistics taken anew at the end."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.optim.swa_utils import update_bn

from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.nn.layers import Chain
from ridgepoint.train.batches import Batches


def freeze_backbone(model: BuiltNetwork, frozen: bool) -> None:
    """Let only the head learn (frozen), or everything; frozen norms also keep their statistics."""
    for part in (model.stem, model.stages):
        part.requires_grad_(not frozen)
        part.train(not frozen)


def keep_statistics(model: nn.Module) -> None:
    """Let batch norms divide by the statistics that they have; their gains and shifts go on learning.

    They do so within the convolutions before them: see `ridgepoint.nn.held`. Small batches of few classes have
    other statistics than the weights were taught with, and running means that follow a new batch by a hundredth, as
    TensorFlow's do, do not get there in an epoch or two.
    """
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.eval()
        elif isinstance(module, Chain):
            module.held = True


def reestimate_norms(model: nn.Module, batches: Batches, steps: Iterable[int]) -> None:
    """Replace the running statistics of all batch norms by plain means over the images of these steps."""
    images = (batches.batch(step, 1.0).images for step in steps)
    with torch.no_grad():
        update_bn(images, model, device=next(model.parameters()).device)
