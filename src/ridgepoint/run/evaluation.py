"""`evaluation.json`: what an exported file gets right and wrong, class by class."""

from typing import Annotated

import msgspec

from ridgepoint.run.result import Accuracy, Count, Share

EVALUATION = "evaluation.json"


class Mistake(msgspec.Struct, kw_only=True):
    """An image that the exported file got wrong; `image` is a file in the run folder."""

    id: str = ""
    true: str | int
    predicted: str | int
    probability: Share | None = None
    image: str | None = None


class Recall(msgspec.Struct, kw_only=True):
    """How much of one class was found."""

    label: str = msgspec.field(name="class")
    count: Count
    recall: Share | None = None


class Evaluation(msgspec.Struct, kw_only=True):
    """The exported file on images that no decision has seen; `confusion[true][predicted]`."""

    split: str = "test"
    classes: Annotated[list[str], msgspec.Meta(min_length=1)]
    confusion: list[list[Count]] = []
    mistakes: list[Mistake] = []
    per_class: list[Recall] = []

    def __post_init__(self) -> None:
        """Refuse what does not fit the classes."""
        count = len(self.classes)
        if self.confusion and {count} != {len(self.confusion), *map(len, self.confusion)}:
            raise ValueError(f"`confusion` is not {count} x {count}, as the classes are")
        for mistake in self.mistakes:
            for label in (mistake.true, mistake.predicted):
                if isinstance(label, int) and not 0 <= label < count:
                    raise ValueError(f"a mistake names class {label} of {count}")

    def name(self, label: str | int) -> str:
        """A class by name, whether it was written as a name or as an index."""
        return self.classes[label] if isinstance(label, int) else label

    def accuracy(self) -> Accuracy:
        """Balanced accuracy, and the share of the most frequent class, from the confusion."""
        images = [sum(row) for row in self.confusion]
        right = [row[place] for place, row in enumerate(self.confusion)]
        recalls = [hit / count for hit, count in zip(right, images, strict=True) if count]
        if not recalls:
            return Accuracy(split=self.split, count=0)
        return Accuracy(
            artefact=sum(right) / sum(images),
            balanced=sum(recalls) / len(recalls),
            majority=max(images) / sum(images),
            split=self.split,
            count=sum(images),
        )
