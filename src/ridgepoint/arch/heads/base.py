"""The base of all heads: from the last stage's output, and perhaps maps from before it, to a task's answer."""

from typing import ClassVar, Literal, Self

from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.layer import ToMap
from ridgepoint.arch.part import Look, Part
from ridgepoint.arch.recipe import Recipe
from ridgepoint.arch.roles import TAP
from ridgepoint.arch.shape import Shape

Answer = Literal["classes", "a class map", "boxes"]


class HeadBase(Part, frozen=True, tag_field="head"):
    """Base of all heads. A subclass with a tag, in any module of this folder, is a kind of head.

    Attributes:
        answers: What it gives: one number per class, or that for every position of a map, or boxes and their classes.
        of_data: Whether what it holds was chosen from images, so that for others it is chosen anew.
    """

    look: ClassVar = Look("head", "head", "Head", "graphite")
    answers: ClassVar[Answer] = "classes"
    of_data: ClassVar[bool] = False

    def recipe(self, shape: Shape, conventions: Conventions, num_classes: int) -> Recipe:
        """The head's layers for an input of the given shape; `Maps` where it taps: the last map, then the tapped ones.

        The only place where its topology is written.
        """
        raise NotImplementedError

    def to_learn(self) -> Self:
        """The head as a training on other images wants it."""
        return self

    @property
    def taps(self) -> tuple[int | str, ...]:
        """The maps that it takes beside the last one, in the order in which its recipe gets them."""
        return tuple(self.values(TAP).values())

    @property
    def detail(self) -> str:
        """Its kind, and what it taps."""
        told = [f"{field} {tap}" for field, tap in self.values(TAP).items()]
        return ", ".join([self.tag().replace("_", " "), *told])


def last_map(shape: Shape) -> ToMap | None:
    """What makes a map of a network's last output, where that is tokens."""
    return ToMap() if shape.layout == "tokens" else None
