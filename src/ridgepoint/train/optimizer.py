"""From a recipe to an optimizer: which rule, which learning rate for which batch, which weights are decayed."""

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
import torch
from torch import nn

from ridgepoint.nn.map_norms import ResponseNorm, RmsNorm
from ridgepoint.train.rmsprop import RMSPropTF as RMSPropTFRule
from ridgepoint.train.schedule import Positive, Share

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm, RmsNorm, ResponseNorm)
Kind = Literal["norm", "bias", "gain"]
Groups = list[dict[str, object]]


class OptimizerBase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of the optimizers; `lr` is the peak learning rate for the recipe's reference batch."""

    lr: Positive

    def rule(self, groups: Groups) -> torch.optim.Optimizer:
        """The optimizer of these parameter groups."""
        raise NotImplementedError


class SGD(OptimizerBase, frozen=True, kw_only=True, tag="sgd"):
    """Stochastic gradient descent with momentum; weight decay is L2."""

    momentum: Share = 0.9
    nesterov: bool = False

    def rule(self, groups: Groups) -> torch.optim.Optimizer:
        """Torch's, which fails at a weight that meets its first gradient later than others: so momenta begin at 0."""
        rule = torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, fused=True)
        for weight in (weight for group in rule.param_groups if self.momentum for weight in group["params"]):
            rule.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        return rule


class RMSPropTF(OptimizerBase, frozen=True, kw_only=True, tag="rmsprop_tf"):
    """RMSProp as TensorFlow defines it; weight decay is L2."""

    momentum: Share = 0.9
    rho: Share = 0.9
    eps: Positive = 1e-3

    def rule(self, groups: Groups) -> torch.optim.Optimizer:
        """Ours; torch has only its own kind."""
        return RMSPropTFRule(groups, self.lr, rho=self.rho, momentum=self.momentum, eps=self.eps)


class AdamW(OptimizerBase, frozen=True, kw_only=True, tag="adamw"):
    """Adam with decoupled weight decay, times the learning rate; `l2` of the decayed weights joins their gradients."""

    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Positive = 1e-8
    l2: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    def rule(self, groups: Groups) -> torch.optim.Optimizer:
        """Torch's."""
        optimizer = torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, eps=self.eps, fused=True)
        if self.l2:
            optimizer.register_step_pre_hook(lambda optimizer, *_: self._add_l2(optimizer.param_groups[0]["params"]))
        return optimizer

    @torch.no_grad()
    def _add_l2(self, weights: Iterable[nn.Parameter]) -> None:
        for weight in weights:
            if weight.grad is not None:
                weight.grad.add_(weight, alpha=self.l2)


AnyOptimizer = SGD | RMSPropTF | AdamW


class LrScaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the learning rate follows the batch size: times batch / `reference_batch`, or the root of it.

    Source: linear, Goyal et al., arXiv:1706.02677; root, Krizhevsky, arXiv:1404.5997.
    """

    rule: Literal["linear", "sqrt"]
    reference_batch: Annotated[int, msgspec.Meta(ge=1)]

    def factor(self, batch_size: int) -> float:
        """What the learning rate is multiplied by."""
        ratio = batch_size / self.reference_batch
        return ratio if self.rule == "linear" else math.sqrt(ratio)


def make_optimizer(model: nn.Module, optimizer: AnyOptimizer, undecayed: Iterable[Kind]) -> torch.optim.Optimizer:
    """An optimizer of two groups of weights: those that are decayed, and those whose kind is in `undecayed`."""
    kinds = kinds_of_weights(model)
    groups: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    for name, weight in model.named_parameters():
        groups[kinds[name] in tuple(undecayed)].append(weight)
    return optimizer.rule([{"params": groups[0]}, {"params": groups[1], "weight_decay": 0.0}])


def check_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Look whether a restored state has the shapes of the weights, which torch does not.

    Raises:
        ValueError: If it has not.
    """
    for weight, kept in optimizer.state.items():
        if any(isinstance(each, torch.Tensor) and each.dim() and each.shape != weight.shape for each in kept.values()):
            raise ValueError("the optimizer's state has other shapes than the weights")


def kinds_of_weights(model: nn.Module) -> dict[str, str]:
    """By name: `norm` for a norm's gain and shift, `bias`, `gain` for what else has one axis, or `weight`."""
    found = {}
    for path, module in model.named_modules():
        for name, weight in module.named_parameters(recurse=False):
            kind = "bias" if name == "bias" else "gain" if weight.dim() < 2 else "weight"
            found[f"{path}.{name}".lstrip(".")] = "norm" if isinstance(module, NORMS) else kind
    return found
