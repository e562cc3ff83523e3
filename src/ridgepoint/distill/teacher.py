"""A teacher: a trained network of any origin that answers for the images that its student sees."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from ridgepoint.data import Preprocessing
from ridgepoint.errors import DataError
from ridgepoint.nn.memory import keep_freed_memory

BATCH = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Teacher:
    """Images in, logits out.

    Attributes:
        name: What the user typed.
        digest: SHA-256 of what decides its answers: weights and preprocessing.
        classes: The names of its classes; None where its file holds none.
        preprocessing: Its own input size, channels and normalisation.
        forward: From normalised images, float32 (B, C, H, W), to logits, (B, classes).
    """

    name: str
    digest: str
    classes: tuple[str, ...] | None
    preprocessing: Preprocessing
    forward: Callable[[Tensor], Tensor]

    @torch.no_grad()
    def logits(self, images_BCHW: Tensor) -> Tensor:
        """Logits, float32 (B, classes), for a student's views, uint8 (B, C, H, W), resized to the teacher's input.

        Batches always have the same size, the last one filled up: what a view is answered does not depend on how many
        others are asked with it.
        """
        keep_freed_memory()
        views = _adapted(images_BCHW, self.preprocessing)
        filled = torch.cat([views, views[-1:].expand(-len(views) % BATCH, -1, -1, -1)])
        answers = [self.forward(self.preprocessing.normalize(chunk)) for chunk in filled.split(BATCH)]
        return torch.cat(answers)[: len(views)].float()

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Refuse to teach other classes than the teacher knows.

        Raises:
            DataError: If the names, or their order, differ.
        """
        if self.classes is not None and self.classes != classes:
            raise DataError(
                f"--teacher {self.name}: its {len(self.classes)} classes ({_some(self.classes)}) are not the data's "
                f"{len(classes)} ({_some(classes)}). Give a teacher that was trained on these classes, for example by "
                "`ridgepoint train`"
            )


def digest_of(tensors: Mapping[str, Tensor], preprocessing: Preprocessing) -> str:
    """SHA-256 over tensors by name and a preprocessing."""
    digest = hashlib.sha256(preprocessing.to_json().encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _adapted(images_BCHW: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Views in a teacher's size and channels, uint8."""
    channels, *size = images_BCHW.shape[1:]
    if channels != preprocessing.channels:
        to_grey = preprocessing.channels == 1
        images_BCHW = (functional.rgb_to_grayscale if to_grey else functional.grayscale_to_rgb)(images_BCHW)
    wanted = [preprocessing.height, preprocessing.width]
    return images_BCHW if size == wanted else functional.resize(images_BCHW, wanted, antialias=True)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
