"""From a recipe to an optimizer."""

import torch
from torch import nn

from ridgepoint.train.recipe import Recipe


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum; norms, gains and biases are not decayed."""
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, weight in model.named_parameters():
        groups[weight.dim() > 1 and not name.endswith("bias")].append(weight)
    decayed = {"params": groups[True], "weight_decay": recipe.weight_decay}
    others = {"params": groups[False], "weight_decay": 0.0}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD([decayed, others], lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    return torch.optim.AdamW([decayed, others], lr=recipe.lr)
