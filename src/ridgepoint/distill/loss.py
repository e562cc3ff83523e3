"""Losses of distillation: a student that says what its teacher says.

Shapes: B batch.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ridgepoint.nn.layers import Average
from ridgepoint.train.batches import Batch, Loss


def soft_loss(temperature: float = 1.0) -> Loss:
    """Cross-entropy of the student's softened answer with the teacher's, whose gradient is as large at any temperature.

    Source: Hinton et al., "Distilling the knowledge in a neural network", 2015, section 2. MobileNetV4 takes 1.
    """
    return lambda model, batch: temperature**2 * cross_entropy(model(batch.images) / temperature, batch.targets)


def two_head_loss(label_smoothing: float) -> Loss:
    """Half the label's cross-entropy on the first head, half the teacher's class on the second.

    The targets are (B, 2, classes); the network's head is a `TokenHead` that is distilled.

    Source: EfficientFormer, arXiv:2206.01191, released training code; hard distillation of DeiT, alpha 0.5.
    """

    def loss(model: Callable[[Tensor], Tensor], batch: Batch) -> Tensor:
        head = _head(model)
        head.separate = True
        try:
            by_label, by_teacher = model(batch.images)
        finally:
            head.separate = False
        of_label = cross_entropy(by_label, batch.targets[:, 0], label_smoothing=label_smoothing)
        return 0.5 * of_label + 0.5 * cross_entropy(by_teacher, batch.targets[:, 1])

    return loss


def _head(model: Callable[[Tensor], Tensor]) -> Average:
    """What joins the two classifiers."""
    assert isinstance(model, nn.Module)
    return next(module for module in model.modules() if isinstance(module, Average))
