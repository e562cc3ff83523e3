"""How rows of a detector become final boxes; what a file that does that itself tells of it."""

from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]

COLUMNS = 6
"""Of a final box: left, top, right, bottom in parts of the image, score, class."""

NOTHING = -1.0
"""The class of a row that holds no box."""


class Suppression(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Greedy suppression within each class.

    Attributes:
        least_score: What less sure boxes are left out by.
        most_iou: How far boxes of a class may overlap.
        candidates: How many rows are looked at, the surest first, so that the time hardly depends on the image.
        most_boxes: How many boxes remain.
    """

    least_score: Share = 0.01
    most_iou: Share = 0.55
    candidates: Count = 400
    most_boxes: Count = 100
