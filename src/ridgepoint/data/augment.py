"""Training augmentation of uint8 batches, every sample on its own; the geometry is one resampling of the batch.

Random crop, flip, shift and turn are folded into one affine map a sample and drawn by a single ``grid_sample``:
torchvision's transforms do the same one image and one step at a time, which costs more than a small network's
forward pass. What is rarer, policies and erasing, is torchvision's, sample by sample.

Shapes: B batch, C channels, H height, W width. All that happens to a sample follows from its own seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from ridgepoint.data.dataset import Dataset
from ridgepoint.data.draws import uniform
from ridgepoint.data.policy import Policy
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.errors import DataError

if TYPE_CHECKING:
    import torch

_GEOMETRY_DRAWS, _JITTER_DRAWS = 8, 3
_CHUNK = 2**19  # values resampled at once: what stays in a core's cache is several times faster


class Augmentation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How strongly training images are varied; the defaults change nothing but cut the canvas to the input size.

    Attributes:
        crop_scale: Smallest and largest part of the canvas's area that becomes the input; above 1 zooms out.
        crop_ratio: Smallest and largest stretch of width over height.
        horizontal_flip: Probability of mirroring left to right.
        translate: Largest shift either way, as a part of the input's height and width.
        rotate: Largest turn either way, in degrees.
        color_jitter: Largest relative change of brightness, contrast and (RGB only) saturation.
        policy: RandAugment or AutoAugment.
        random_erasing: Probability of blanking a rectangle with the mean colour.
    """

    crop_scale: tuple[float, float] = (1.0, 1.0)
    crop_ratio: tuple[float, float] = (1.0, 1.0)
    horizontal_flip: float = 0.0
    translate: float = 0.0
    rotate: float = 0.0
    color_jitter: float = 0.0
    policy: Policy | None = None
    random_erasing: float = 0.0

    def __post_init__(self) -> None:
        """Refuse strengths that make no sense, naming the field."""
        allowed = {
            "crop_scale": (0 < self.crop_scale[0] <= self.crop_scale[1] <= 4, "two rising numbers in 0..4, not 0"),
            "crop_ratio": (0 < self.crop_ratio[0] <= self.crop_ratio[1], "two rising numbers above 0"),
            "horizontal_flip": (0 <= self.horizontal_flip <= 1, "0..1"),
            "translate": (0 <= self.translate <= 1, "0..1"),
            "rotate": (0 <= self.rotate <= 180, "0..180 degrees"),
            "color_jitter": (0 <= self.color_jitter <= 1, "0..1"),
            "random_erasing": (0 <= self.random_erasing <= 1, "0..1"),
        }
        for field, (good, what) in allowed.items():
            if not good:
                raise DataError(f"augmentation {field} is {getattr(self, field)}; allowed: {what}.")

    def times(self, strength: float) -> Augmentation:
        """The same with the policy's strength multiplied."""
        return self if self.policy is None else msgspec.structs.replace(self, policy=self.policy.times(strength))


def default_augmentation(dataset: Dataset, preprocessing: Preprocessing) -> Augmentation:
    """Augmentation that suits the images.

    - Grey and up to 32 px: taken for characters and digits, which a mirror image or a strong crop turns into
      another class: small shifts, turns and zooms only.
    - Colour up to 64 px: moderate crops and shifts.
    - Everything else: photographs, random resized crops of 35 % to 100 % of the area and mild colour jitter.

    The latter two are mirrored, unless the class names say that left and right matter: every name a single digit or
    letter (characters), or one with the word left or right in it.
    """
    flip = 0.5 if _mirror_keeps_class(dataset.classes) else 0.0
    size = max(preprocessing.height, preprocessing.width)
    if dataset.grey and size <= 32:
        return Augmentation(crop_scale=(0.8, 1.2), crop_ratio=(0.9, 1.1), translate=0.08, rotate=10.0)
    if size <= 64:
        return Augmentation(
            crop_scale=(0.6, 1.0), crop_ratio=(0.8, 1.25), horizontal_flip=flip, translate=0.08, color_jitter=0.1
        )
    return Augmentation(crop_scale=(0.35, 1.0), crop_ratio=(0.75, 4 / 3), horizontal_flip=flip, color_jitter=0.2)


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the pixels of a batch's inputs come from: an affine map a sample, from input to canvas.

    Coordinates are -1..1 from edge to edge of either, as complex numbers x + iy: an input's point at (u, v) comes from
    ``origin + u * right + v * down`` of its canvas. What moves with an image, such as its mask or boxes, follows it.

    Attributes:
        origin: What is in the middle of the input, complex (B,).
        right: From there to the middle of its right edge, complex (B,).
        down: From there to the middle of its lower edge, complex (B,).
        padding: What is beyond the canvas: `border` or `reflection`.
    """

    origin: torch.Tensor
    right: torch.Tensor
    down: torch.Tensor
    padding: str

    def grid(self, height: int, width: int) -> torch.Tensor:
        """The canvas's coordinates (x, y) of every pixel's centre of inputs of that size, float32 (B, H, W, 2)."""
        import torch

        # As a sum of a row and a column, which takes a fifth of `affine_grid`'s time.
        row_BW = self.right[:, None] * _centres(width) + self.origin[:, None]
        column_BH = self.down[:, None] * _centres(height)
        return torch.view_as_real(column_BH[:, :, None] + row_BW[:, None, :])

    def maps(self, maps_BHW: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Maps of whole numbers on canvases, such as masks, uint8 (B, H', W'), on inputs of (height, width) `size`."""
        from torch.nn import functional

        grid_BHW2 = self.grid(*size).to(maps_BHW.device)
        moved = functional.grid_sample(
            maps_BHW[:, None].float(), grid_BHW2, mode="nearest", padding_mode=self.padding, align_corners=False
        )
        return moved[:, 0].to(maps_BHW.dtype)

    def boxes(self, boxes_BM4: torch.Tensor) -> torch.Tensor:
        """Boxes on canvases on inputs; of a turned one the upright box around it. Some reach beyond the input.

        Left, top, right, bottom in parts of canvas or input, float32 (B, M, 4).
        """
        import torch

        left, top, right, bottom = (2 * boxes_BM4 - 1).unbind(-1)
        corners_KBM = torch.stack([torch.complex(x, y) for x in (left, right) for y in (top, bottom)])
        of = corners_KBM - self.origin[:, None]
        across, down = self.right[:, None], self.down[:, None]
        area = across.real * down.imag - across.imag * down.real
        u_KBM = (of.real * down.imag - of.imag * down.real) / area
        v_KBM = (across.real * of.imag - across.imag * of.real) / area
        return (torch.stack([u_KBM.amin(0), v_KBM.amin(0), u_KBM.amax(0), v_KBM.amax(0)], -1) + 1) / 2


class Augment:
    """From canvases, uint8 (B, C, H', W'), and seeds, 64-bit (B,), to augmented inputs, uint8 (B, C, H, W).

    A sample's seed alone decides what happens to it, whatever else is in the batch. Torchvision's transforms draw from
    torch's global generator, which is left seeded by the last sample.
    """

    def __init__(self, augmentation: Augmentation, preprocessing: Preprocessing):
        from torchvision.transforms import v2

        self.augmentation, self.preprocessing = augmentation, preprocessing
        self._one_by_one: list[Callable[[torch.Tensor], torch.Tensor]] = []
        if augmentation.policy:
            self._one_by_one.append(augmentation.policy.build())
        if augmentation.random_erasing:
            fill = [round(255 * mean) for mean in preprocessing.mean]
            self._one_by_one.append(v2.RandomErasing(augmentation.random_erasing, value=fill))

    def __call__(self, images_BCHW: torch.Tensor, seeds_B: np.ndarray) -> torch.Tensor:
        """The augmented inputs."""
        import torch

        if images_BCHW.dtype != torch.uint8 or images_BCHW.ndim != 4:
            shape = tuple(images_BCHW.shape)
            raise DataError(f"augmentation got {images_BCHW.dtype} of shape {shape}; allowed: uint8 (B, C, H, W).")
        a, (height, width) = self.augmentation, (self.preprocessing.height, self.preprocessing.width)
        batch, channels, canvas_height, canvas_width = images_BCHW.shape
        out_BCHW = images_BCHW.new_empty(batch, channels, height, width)
        draws_KB = uniform(seeds_B, _GEOMETRY_DRAWS + _JITTER_DRAWS)
        chunk = max(1, _CHUNK // max(1, images_BCHW[:1].numel())) if images_BCHW.device.type == "cpu" else batch
        for start in range(0, batch, chunk):
            part = slice(start, start + chunk)
            geometry = _geometry(draws_KB[:_GEOMETRY_DRAWS, part], a, (canvas_height, canvas_width), channels)
            x_BCHW = _resample(images_BCHW[part].float(), geometry, height, width)
            if a.color_jitter:
                x_BCHW = _jitter(x_BCHW, draws_KB[_GEOMETRY_DRAWS:, part], a.color_jitter)
            out_BCHW[part] = x_BCHW.round_().clamp_(0, 255)
        if self._one_by_one:
            for image_CHW, seed in zip(out_BCHW, seeds_B.tolist(), strict=True):
                torch.default_generator.manual_seed(seed)  # torch.manual_seed takes 200 us: it visits every device
                varied_CHW = image_CHW
                for transform in self._one_by_one:
                    varied_CHW = transform(varied_CHW)
                image_CHW.copy_(varied_CHW)
        return out_BCHW

    def geometry(self, seeds_B: np.ndarray, canvas: tuple[int, int]) -> Geometry:
        """What moves the samples of these seeds, whose canvases are of (height, width) `canvas`; no policy is in it."""
        draws_KB = uniform(seeds_B, _GEOMETRY_DRAWS)
        return _geometry(draws_KB, self.augmentation, canvas, self.preprocessing.channels)


def build(augmentation: Augmentation, preprocessing: Preprocessing) -> Augment:
    """What varies a batch of canvases; see `Augment`."""
    return Augment(augmentation, preprocessing)


def _mirror_keeps_class(classes: tuple[str, ...]) -> bool:
    words = [word for name in classes for word in name.casefold().replace("_", " ").replace("-", " ").split()]
    return not (all(len(name) == 1 for name in classes) or "left" in words or "right" in words)


def _between(share: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return share * (high - low) + low


def _geometry(draws_KB: torch.Tensor, a: Augmentation, canvas: tuple[int, int], channels: int) -> Geometry:
    """Crop, stretch, flip, shift and turn as one map a sample."""
    import torch

    canvas_height, canvas_width = canvas
    of_scale, of_ratio, of_x, of_y, of_dx, of_dy, of_angle, of_flip = draws_KB
    scale = _between(of_scale, *a.crop_scale)
    stretch = torch.exp(_between(of_ratio, *(math.log(ratio) for ratio in a.crop_ratio)))
    limit = scale.sqrt().clamp(min=1)  # a crop passes the canvas's edge only where it zooms out
    across = (scale * stretch).sqrt().minimum(limit)  # the crop's width and height as parts of the canvas's
    down = (scale / stretch).sqrt().minimum(limit)
    x0 = _between(of_x, -1, 1) * (1 - across).clamp(min=0) + _between(of_dx, -a.translate, a.translate) * 2 * across
    y0 = _between(of_y, -1, 1) * (1 - down).clamp(min=0) + _between(of_dy, -a.translate, a.translate) * 2 * down
    angle = torch.deg2rad(_between(of_angle, -a.rotate, a.rotate))
    side = 1 - 2 * (of_flip < a.horizontal_flip).float()

    # Scale, turn (in pixels, so that squares stay square), shift.
    aspect = canvas_height / canvas_width
    return Geometry(
        origin=torch.complex(x0, y0),
        right=torch.complex(across * angle.cos() * side, across * angle.sin() / aspect * side),
        down=torch.complex(-down * angle.sin() * aspect, down * angle.cos()),
        # A flat background continues past the border; a photograph is better mirrored than smeared.
        padding="border" if channels == 1 else "reflection",
    )


def _resample(images_BCHW: torch.Tensor, geometry: Geometry, height: int, width: int) -> torch.Tensor:
    """One bilinear resampling; float (B, C, H, W), 0..255."""
    from torch.nn import functional

    grid_BHW2 = geometry.grid(height, width).to(images_BCHW.device)
    return functional.grid_sample(
        images_BCHW, grid_BHW2, mode="bilinear", padding_mode=geometry.padding, align_corners=False
    )


def _centres(count: int) -> torch.Tensor:
    """The centres of so many pixels between -1 and 1."""
    import torch

    return (2 * torch.arange(count) + 1) / count - 1


def _jitter(x_BCHW: torch.Tensor, draws_KB: torch.Tensor, strength: float) -> torch.Tensor:
    """Brightness, contrast and saturation by factors of 1 +- strength a sample, as torchvision's ColorJitter.

    Differs: always in this order, and no hue; batched, at a tenth of the cost.
    """
    import torch

    channels = x_BCHW.shape[1]
    brightness, contrast, saturation = _between(draws_KB.to(x_BCHW.device), 1 - strength, 1 + strength)[
        ..., None, None, None
    ]

    def grey(x: torch.Tensor) -> torch.Tensor:
        if channels == 1:
            return x
        weights = torch.tensor([0.2989, 0.587, 0.114], device=x.device).view(1, 3, 1, 1)
        return (x * weights).sum(1, keepdim=True)

    x_BCHW = x_BCHW.mul(brightness).clamp_(0, 255)
    mean = grey(x_BCHW).mean(dim=(1, 2, 3), keepdim=True)
    x_BCHW = torch.lerp(mean, x_BCHW, contrast).clamp_(0, 255)
    if channels == 3:
        x_BCHW = torch.lerp(grey(x_BCHW), x_BCHW, saturation).clamp_(0, 255)
    return x_BCHW
