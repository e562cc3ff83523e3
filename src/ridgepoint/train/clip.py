"""Gradients kept in bounds."""

import math
from collections.abc import Iterable

import msgspec
import torch
from torch import Tensor, nn

from ridgepoint.train.schedule import Positive


class ClipNorm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="norm"):
    """The gradient of all weights together is shortened to at most `most`."""

    most: Positive

    def __call__(self, model: nn.Module) -> Tensor:
        """Shorten; the norm before."""
        weights = list(model.parameters())
        before = nn.utils.get_total_norm(_gradients(weights))
        if before > self.most:  # mostly it is not, and there is nothing to multiply
            nn.utils.clip_grads_with_norm_(weights, self.most, before)
        return before


class AdaptiveClip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="agc"):
    """The gradient of every unit (row of a weight) is shortened to at most `factor` of the norm of its weights.

    Norms of weights count as at least `eps`.

    Source: Brock et al., arXiv:2102.06171, section 4.1.
    """

    factor: Positive = 0.01
    eps: Positive = 1e-3

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> Tensor:
        """Shorten; the norm before, of all weights together."""
        before = nn.utils.get_total_norm(_gradients(model.parameters()))
        for weight in model.parameters():
            if weight.grad is not None:
                most = _unit_norms(weight).clamp_(min=self.eps).mul_(self.factor)
                weight.grad.mul_((most / _unit_norms(weight.grad).clamp_(min=1e-6)).clamp_(max=1.0))
        return before


AnyClip = ClipNorm | AdaptiveClip
NO_CLIP = ClipNorm(most=math.inf)


def _gradients(weights: Iterable[Tensor]) -> list[Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]


def _unit_norms(weight: Tensor) -> Tensor:
    """The norm of each output unit, shaped to multiply the weight; of a vector, its norm."""
    dims = tuple(range(1, weight.dim())) or None
    norms: Tensor = torch.linalg.vector_norm(weight, dim=dims, keepdim=weight.dim() > 1)
    return norms
