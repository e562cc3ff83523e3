"""Which images a network was trained on, as its exported file tells: enough to find its test part again."""

from typing import Self

import msgspec

from ridgepoint.data.dataset import Dataset


class TrainedOn(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a training, without the data.

    Attributes:
        name: The folder's or data set's name.
        fingerprint: The data set's, with its parts.
        seed: Of the parts that were drawn.
        counts: Images of train, val and test.
    """

    name: str
    fingerprint: str
    seed: int
    counts: dict[str, int]

    @classmethod
    def of(cls, dataset: Dataset, seed: int) -> Self:
        """What is to be remembered of a data set whose parts were drawn by a seed."""
        counts = {part: len(getattr(dataset, part)) for part in ("train", "val", "test")}
        return cls(name=dataset.name, fingerprint=dataset.fingerprint, seed=seed, counts=counts)
