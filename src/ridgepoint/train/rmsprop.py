"""RMSProp as TensorFlow defines it, which is not torch's."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class RMSPropTF(torch.optim.Optimizer):
    """RMSProp with epsilon inside the root, a mean square that starts at 1, and the learning rate inside the momentum.

        mean_square = rho * mean_square + (1 - rho) * gradient ** 2
        velocity    = momentum * velocity + lr * gradient / sqrt(mean_square + eps)
        weight      = weight - velocity

    Weight decay is L2: it is added to the gradient.

    Source: TensorFlow 1, `tf.train.RMSPropOptimizer`. Torch's RMSprop has epsilon outside the root and starts at 0.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        *,
        rho: float = 0.9,
        momentum: float = 0.9,
        eps: float = 1e-3,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, dict(lr=lr, rho=rho, momentum=momentum, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all weights that have a gradient."""
        loss = closure() if closure else None
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._update(group, weights, tuple(weight.grad for weight in weights))
        return loss

    def _update(self, group: dict[str, Any], weights: list[Tensor], gradients: tuple[Tensor, ...]) -> None:
        states = [self.state[weight] for weight in weights]
        for state, weight in zip(states, weights, strict=True):
            if not state:
                state["mean_square"], state["velocity"] = torch.ones_like(weight), torch.zeros_like(weight)
        mean_squares = [state["mean_square"] for state in states]
        velocities = [state["velocity"] for state in states]
        if group["weight_decay"]:
            gradients = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
        torch._foreach_mul_(mean_squares, group["rho"])
        torch._foreach_addcmul_(mean_squares, gradients, gradients, value=1 - group["rho"])
        roots = torch._foreach_add(mean_squares, group["eps"])
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_addcdiv_(velocities, gradients, roots, value=group["lr"])
        torch._foreach_sub_(weights, velocities)
