"""What a teacher answered, as it is kept: the best classes' logits in half precision; and as targets to learn from.

Shapes: B batch, K kept classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ridgepoint.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """A teacher's logits less the largest of them: the best class has exactly 0, where half precision is finest.

    Attributes:
        values: float16 (B, K).
        classes: Which classes the values belong to, integers (B, K); None if all are kept, in their order.
    """

    values: Tensor
    classes: Tensor | None


def encode(logits: Tensor, topk: int | None) -> Answers:
    """Logits, (B, classes), as they are kept: the `topk` best, or all of them.

    Raises:
        InputError: If a logit is not finite.
    """
    if not torch.isfinite(logits).all():
        raise InputError("the teacher's logits are not finite. Check its weights and its preprocessing")
    relative = logits.float() - logits.float().amax(1, keepdim=True)
    if topk is None or topk >= logits.shape[1]:
        return Answers(values=relative.half(), classes=None)
    values, classes = relative.topk(topk, dim=1)
    return Answers(values=values.half(), classes=classes.to(torch.int16 if logits.shape[1] < 2**15 else torch.int32))


def probabilities(answers: Answers, num_classes: int, *, temperature: float = 1.0) -> Tensor:
    """Softmax over the kept classes, which share all of the probability; float32 (B, num_classes)."""
    kept = (answers.values.float() / temperature).softmax(1)
    if answers.classes is None:
        return kept
    return kept.new_zeros(len(kept), num_classes).scatter_(1, answers.classes.long(), kept)
