"""What came of turning an exported file into 8-bit integers: how it was done, what that cost, and what it gained."""

from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Outcome = Literal["passed", "loses", "cannot tell", "no faster", "no smaller", "cannot be clocked"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """By how much the share of right answers, or another score, changes from float to int8, on the same images.

    The true change lies above `low` with 95 % confidence, and below `high` with as much. Below 0 is a loss.
    """

    value: float
    low: float
    high: float
    count: Count
    split: str = "val"
    metric: str = "accuracy"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One way of quantising, judged; `agreement` is the share of images that both files answer alike."""

    recipe: str
    left_float: tuple[str, ...] = ()
    agreement: Share | None = None
    change: Change | None = None
    outcome: Outcome


class LayerNoise(msgspec.Struct, frozen=True, kw_only=True):
    """What quantising one layer alone does to the answers.

    `share` is of the noise of all layers so taken, `weights` of all weights.
    """

    layer: str
    operator: str
    share: Share
    weights: Share


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """The images by which ranges of activations were found; `digest` is over their names and contents."""

    count: Count
    seed: Count
    digest: str
    split: str = "train"


class Quantised(msgspec.Struct, frozen=True, kw_only=True):
    """An int8 file against the float file that it was made of.

    Attributes:
        accepted: Whether it is one to ship; else `reason` says why not and `advice` what to do next.
        recipe: How it was made; of a refused one, the best that was tried.
        left_float: Layers that stay in float.
        ratio: What one run takes, over what the float file takes, in the same rounds; `p` of their being equal.
        in_float: How many operators of each kind the runtime runs in float, where it tells.
        hurried: Whether there was no time for further recipes.
        sensitivity: The layers, the noisiest first, where they were looked at.
        device: The processor; another may compute something else.
        overflows: Whether sums of 8-bit products may overflow there: processors of one name may differ in that.
    """

    tool: str
    tool_version: str
    accepted: bool
    outcome: Outcome
    reason: str
    advice: str = ""
    recipe: str
    left_float: tuple[str, ...] = ()
    calibrated: Calibrated
    agreement: Share | None = None
    change: Change | None = None
    most_drop: float
    ratio: Positive | None = None
    p: Share | None = None
    float_ms: Positive | None = None
    int8_ms: Positive | None = None
    float_bytes: Count
    int8_bytes: Count
    in_float: dict[str, Count] = {}
    attempts: tuple[Attempt, ...] = ()
    hurried: bool = False
    sensitivity: tuple[LayerNoise, ...] = ()
    device: str
    overflows: bool | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0)]

    @property
    def speed(self) -> float | None:
        """How many times as fast as float."""
        return None if self.ratio is None else 1 / self.ratio
