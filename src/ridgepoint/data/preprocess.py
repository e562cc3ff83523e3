"""From an image to a network's input: one frozen value that training, evaluation and the exported file share.

Shapes: B batch, C channels, H height, W width; ``uint8_CHW`` holds 0..255.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar

import msgspec
import numpy as np
from PIL import Image

from ridgepoint.data.image import to_mode
from ridgepoint.data.opening import decoded
from ridgepoint.errors import DataError

if TYPE_CHECKING:
    import torch

LARGEST_SIDE = 16_384
_Images = TypeVar("_Images", np.ndarray, "torch.Tensor")
_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}


class Window(NamedTuple):
    """The part of an image that becomes a network's input, in pixels of the image, fractions of them included.

    A point of the image at (x, y) is in an input of so many pixels at ((x - left) * input_width / width, (y - top) *
    input_height / height), and the other way round.
    """

    left: float
    top: float
    width: float
    height: float


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an image becomes a network's input; travels as JSON in the exported file's metadata.

    The image is resized (keeping its proportions) until it just covers the canvas, whose shorter side is ``resize``,
    and its centre of ``height`` x ``width`` is cut out. For a square input that is the usual "resize the shorter
    side to ``resize``, centre crop". With ``resizing: squash`` the whole image becomes the whole input, whatever its
    proportions: nothing is cut off and nothing is padded; ``resize`` then tells the canvas of a training alone.

    Attributes:
        height: Input height in pixels.
        width: Input width in pixels.
        channels: 1 (grey) or 3 (RGB).
        resize: Shorter side of the canvas in pixels, at least the shorter of height and width.
        interpolation: Pillow's filter; bilinear and bicubic are antialiased when they shrink.
        mean: Subtracted from x/255, one value a channel.
        std: Divides the difference, one value a channel.
        white: The value that is white in images whose values are no bytes (16-bit, float); None: 65,535, or 1 or 255.
        resizing: Whether the image covers the canvas or is squashed into it.
    """

    height: int
    width: int
    channels: int
    resize: int
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    mean: tuple[float, ...]
    std: tuple[float, ...]
    white: float | None = None
    resizing: Literal["cover", "squash"] = "cover"

    def __post_init__(self) -> None:
        """Refuse values that no image could be prepared with."""
        if self.channels not in (1, 3):
            raise DataError(f"preprocessing channels is {self.channels}; allowed: 1 (grey) or 3 (RGB).")
        sizes = (self.height, self.width, self.resize)
        if min(sizes) < 1 or max(sizes) > LARGEST_SIDE or self.resize < min(self.height, self.width):
            raise DataError(
                f"preprocessing is {self.height} x {self.width} with resize {self.resize}; allowed: sizes from 1 to "
                f"{LARGEST_SIDE} and a resize not below the shorter of height and width."
            )
        if self.resizing not in ("cover", "squash"):
            raise DataError(f"preprocessing resizing is '{self.resizing}'; allowed: cover, squash.")
        if self.interpolation not in _FILTERS:
            raise DataError(f"preprocessing interpolation is '{self.interpolation}'; allowed: {', '.join(_FILTERS)}.")
        finite = all(math.isfinite(value) for value in (*self.mean, *self.std))
        if {len(self.mean), len(self.std)} != {self.channels} or not finite or min(self.std) <= 0:
            raise DataError(
                f"preprocessing mean is {self.mean} and std {self.std}; allowed: {self.channels} values each, "
                f"one a channel, finite, and every std above 0."
            )
        if self.white is not None and not 0 < self.white < math.inf:
            raise DataError(f"preprocessing white is {self.white}; allowed: a finite value above 0.")

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) of the area that training crops are taken from, in pixels."""
        short = min(self.height, self.width)
        return round(self.resize * self.height / short), round(self.resize * self.width / short)

    def open(self, image: str | Path | Image.Image) -> Image.Image:
        """The upright 8-bit RGB or grey image behind a path or a Pillow image of any mode.

        Raises:
            DataError: If it cannot be decoded; the message names the file and the reason.
        """
        if isinstance(image, Image.Image):
            return to_mode(image, self.channels, white=self.white)
        with decoded(image) as file:
            return to_mode(file, self.channels, white=self.white)

    def crop(self, image: Image.Image) -> np.ndarray:
        """Resized and centre-cropped, uint8 (C, H, W)."""
        return self._cut(image, self.height, self.width)

    def crop_canvas(self, image: Image.Image) -> np.ndarray:
        """The whole canvas, uint8 (C, canvas height, canvas width): what training crops are drawn from."""
        return self._cut(image, *self.canvas)

    def window(self, height: int, width: int, *, train: bool = False) -> Window:
        """The part of an upright image of that size that becomes the input; of a training, the canvas."""
        left, top, right, bottom = self._box(height, width, *(self.canvas if train else (self.height, self.width)))
        return Window(left, top, right - left, bottom - top)

    def cut_map(self, map_HW: np.ndarray, size: tuple[int, int], *, train: bool = False) -> np.ndarray:
        """A map of an upright image, uint8, such as a mask, cut as the image is; by nearest neighbours, at any size.

        Args:
            map_HW: Of the image's size.
            size: (height, width) of what is given back.
            train: Whether it is cut as the canvas of a training is.
        """
        left, top, width, height = self.window(*map_HW.shape, train=train)
        box = (left, top, min(map_HW.shape[1], left + width), min(map_HW.shape[0], top + height))
        return np.array(Image.fromarray(map_HW).resize(size[::-1], Image.Resampling.NEAREST, box=box))

    def normalize(self, images: _Images) -> _Images:
        """(x/255 - mean) / std as float32; numpy arrays and torch tensors alike, shape (..., C, H, W)."""
        mean = np.asarray(self.mean, np.float32).reshape(-1, 1, 1)
        std = np.asarray(self.std, np.float32).reshape(-1, 1, 1)
        if isinstance(images, np.ndarray):
            return (images.astype(np.float32) / np.float32(255) - mean) / std
        import torch

        scaled = images.div(255)
        return scaled.sub_(torch.from_numpy(mean).to(scaled.device)).div_(torch.from_numpy(std).to(scaled.device))

    def __call__(self, image: str | Path | Image.Image) -> np.ndarray:
        """A network's input for one image, float32 (1, C, H, W)."""
        return self.normalize(self.crop(self.open(image)))[None]

    def to_json(self) -> str:
        """The value as one line of JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The value that ``to_json`` wrote.

        Raises:
            DataError: If the text is no JSON or a field is missing, unknown or impossible.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise DataError(
                f"cannot read the preprocessing '{_shorten(text)}': {error}. It is the JSON that "
                f"Preprocessing.to_json writes; export the model again."
            ) from error

    def _box(self, of_height: int, of_width: int, height: int, width: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of what becomes so many pixels, in pixels of an image."""
        if self.resizing == "squash":
            return (0.0, 0.0, of_width, of_height)
        canvas_height, canvas_width = self.canvas
        scale = max(canvas_height / of_height, canvas_width / of_width)
        cut_height, cut_width = min(of_height, height / scale), min(of_width, width / scale)
        top, left = (of_height - cut_height) / 2, (of_width - cut_width) / 2
        return (left, top, min(of_width, left + cut_width), min(of_height, top + cut_height))

    def _cut(self, image: Image.Image, height: int, width: int) -> np.ndarray:
        """Resize and crop in one pass: only the pixels behind the crop are resampled; uint8 (C, height, width)."""
        image = image if image.mode == ("L" if self.channels == 1 else "RGB") else self.open(image)
        box = self._box(image.height, image.width, height, width)
        pixels = np.asarray(image.resize((width, height), _FILTERS[self.interpolation], box=box))
        return np.ascontiguousarray(pixels.reshape(height, width, self.channels).transpose(2, 0, 1))


def _shorten(text: Any) -> str:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."
