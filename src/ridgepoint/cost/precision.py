"""Byte widths: how many bytes a weight, an activation and a per-channel vector take."""

import msgspec

from ridgepoint.errors import InputError, nearest


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes per number. Vectors are biases and the gains of norms, which integer precisions keep wide."""

    name: str
    weight: float
    activation: float
    vector: float


FLOAT32 = Precision(name="float32", weight=4.0, activation=4.0, vector=4.0)
FLOAT16 = Precision(name="float16", weight=2.0, activation=2.0, vector=2.0)
INT8 = Precision(name="int8", weight=1.0, activation=1.0, vector=4.0)
W8A16 = Precision(name="w8a16", weight=1.0, activation=2.0, vector=8.0)
W8A32 = Precision(name="w8a32", weight=1.0, activation=4.0, vector=4.0)
"""int8 has 32-bit biases, w8a16 64-bit ones, as TensorFlow Lite's quantisation specification has them.
w8a16 and w8a32 are the mixed ones: 8-bit weights with 16-bit or with float activations (weight-only quantisation)."""

PRECISIONS = {each.name: each for each in (FLOAT32, FLOAT16, INT8, W8A16, W8A32)}
FORMER_NAMES = {"fp32": "float32", "fp16": "float16"}
"""What device files and command lines of older versions say."""


def precision_named(precision: str | Precision) -> Precision:
    """The precision with a name; a `Precision` is given back as it is, so callers may bring their own widths.

    Raises:
        InputError: If there is no such precision.
    """
    if isinstance(precision, Precision):
        return precision
    name = FORMER_NAMES.get(precision, precision)
    if name not in PRECISIONS:
        raise InputError(
            f"unknown precision '{precision}'; {nearest(precision, PRECISIONS)}. "
            "Other widths: ridgepoint.cost.precision.Precision"
        )
    return PRECISIONS[name]
