"""What a tool that quantises is to all else: it writes int8 files of one float file, and says which layers suffer.

A tool is one class in one file, and a line in `ridgepoint.deploy.quantize`. Weights are always quantised per channel:
per tensor, networks with depthwise convolutions lose up to all they know. Whether a file is one to ship is decided
elsewhere, by `gate`.
"""

import abc
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np

from ridgepoint.deploy.about import About
from ridgepoint.run.quantised import LayerNoise

if TYPE_CHECKING:
    from torch import nn


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One way of quantising: how ranges of activations are found, and which layers stay in float."""

    method: str
    left_float: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.left_float:
            return self.method
        return f"{self.method}, {len(self.left_float)} layer{'s' if len(self.left_float) > 1 else ''} in float"


class Quantizer(abc.ABC):
    """A tool at work on one float file.

    Attributes:
        tool: The installed package.
        extra: ridgepoint's extra that installs it; None where it comes with ridgepoint.
        methods: How it can find ranges of activations, the cheapest first.
    """

    tool: ClassVar[str]
    extra: ClassVar[str | None] = None
    methods: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def __init__(self, source: Path, images: np.ndarray, folder: Path, *, module: "nn.Module | None" = None):
        """Look at what is to be quantised.

        Args:
            source: The float artefact.
            images: What ranges are found by, float32 (N, C, H, W), normalised.
            folder: For files in between.
            module: What the artefact was exported from, in eval mode, for tools that begin there.

        Raises:
            InputError: If it cannot be quantised.
        """

    @abc.abstractmethod
    def write(self, recipe: Recipe, path: Path, *, about: About | None) -> None:
        """Write an int8 artefact.

        Args:
            recipe: Whose method is one of `methods`.
            path: Where it goes.
            about: What is written into it where the format can hold that; None if it is for the clock alone.

        Raises:
            InputError: If it cannot be written so.
        """

    def applicable(self, *, overflows: bool) -> tuple[str, ...]:
        """Those of `methods` that come to something of their own for this file, in the same order.

        Args:
            overflows: Whether sums of 8-bit products may overflow where the file will run.
        """
        return self.methods

    @property
    def version(self) -> str:
        """The tool's installed version."""
        return importlib.metadata.version(self.tool)

    def sensitivity(self, images: np.ndarray, *, method: str | None = None) -> tuple[LayerNoise, ...]:
        """What every layer does to the answers when it alone is quantised, the noisiest first; nothing if unknown.

        Args:
            images: Others than those that ranges are found by, float32 (N, C, H, W).
            method: By which it is quantised, one of `methods`; the cheapest if left out.
        """
        return ()

    def in_float(self, path: Path) -> dict[str, int]:
        """How many operators of each kind an int8 file runs in float; nothing where that is not known."""
        return {}
