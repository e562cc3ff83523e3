"""The input size that suits the images: no larger than they are, no smaller than a network can use."""

import msgspec

from ridgepoint.data.dataset import Dataset
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.errors import DataError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

SMALLEST, LARGEST = 8, 1024
"""Input sizes in pixels that may be asked for."""

_SMALL = 64  # up to this shorter side images are icons, digits and the like: used whole, at their own size
_TINY = 16  # the least that a network of total stride 8 turns into a 2 x 2 map
_PHOTO = (96, 224)
_SQUASHED = (96, 320)  # what lies in an image is often small


def choose_input(dataset: Dataset, *, size: int | None = None) -> tuple[Preprocessing, str]:
    """A square input for the data set, and one sentence on why.

    With s the median shorter side of the images:

    - s up to 64: s rounded to a multiple of 4, at least 16 so that a network of total stride 8 still has a 2 x 2
      map (digits of 8 px are enlarged to 16); the whole shorter side is used.
    - s above 64: s rounded down to a multiple of 32, at least 96 and at most 224; images are resized to 8/7 of
      that, and the centre is used.

    Colour is normalised by ImageNet's mean and deviation, which pretrained weights expect; grey to -1..1.

    Args:
        dataset: Gives the median size and whether all images are grey.
        size: Input size in pixels that the user asks for instead, 8 to 1024.

    Raises:
        DataError: If the asked size is out of bounds.
    """
    short = min(dataset.median_size)
    if size is not None:
        if not SMALLEST <= size <= LARGEST:
            raise DataError(f"input size is {size}; allowed: {SMALLEST} to {LARGEST} pixels, for example 96.")
        reason = f"input {size} x {size} as asked for (the images' median shorter side is {short} px)"
    elif short <= _SMALL:
        size = max(_TINY, 4 * round(short / 4))
        why = "the least that leaves a 2 x 2 map at stride 8" if size > short + 2 else "their own size"
        reason = f"input {size} x {size}: the images' median shorter side is {short} px; {why}"
    else:
        low, high = _PHOTO
        size = min(high, max(low, short // 32 * 32))
        why = (
            f"{high} is the largest input chosen unasked"
            if size == high
            else f"{low} is the smallest input for photographs"
            if size == low
            else "rounded down to a multiple of 32"
        )
        reason = f"input {size} x {size}: the images' median shorter side is {short} px; {why}"
    channels = 1 if dataset.grey else 3
    preprocessing = Preprocessing(
        height=size,
        width=size,
        channels=channels,
        resize=size if short <= _SMALL else round(size / 0.875),
        interpolation="bilinear",
        mean=(0.5,) if dataset.grey else IMAGENET_MEAN,
        std=(0.5,) if dataset.grey else IMAGENET_STD,
        white=dataset.white,
    )
    return preprocessing, f"{reason}; {'grey' if dataset.grey else 'colour'}, {channels} channel(s)."


def choose_squashed(dataset: Dataset, *, size: int | None = None, canvas: float = 1.0) -> tuple[Preprocessing, str]:
    """A square input that the whole image is squashed into, and one sentence on why: nothing is cut off.

    As `choose_input`, but of photographs up to 320 px, for what is looked for is often small in them.

    Args:
        dataset: As for `choose_input`.
        size: As for `choose_input`.
        canvas: The canvas of a training over the input, if images are as large: crops of it are enlarged less.

    Raises:
        DataError: If the asked size is out of bounds.
    """
    found, reason = choose_input(dataset, size=size)
    short, side = min(dataset.median_size), found.height
    if size is None and short > _SMALL:
        low, high = _SQUASHED
        side = min(max(short // 32 * 32, low), high)
        reason = (
            f"input {side} x {side}: the images' median shorter side is {short} px; from {low} to {high} px, a "
            f"multiple of 32; {found.channels} channel(s)."
        )
    resize = min(round(side * canvas), max(short, side))
    squashed = msgspec.structs.replace(found, height=side, width=side, resize=resize, resizing="squash")
    return squashed, f"{reason} The whole image is squashed into it."
