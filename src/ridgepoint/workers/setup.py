"""What every candidate of a fit is taught with: images at any size, and recipes."""

from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec
import torch

from ridgepoint.arch.network import Network
from ridgepoint.data import Augmentation, Dataset, Preprocessing
from ridgepoint.search.candidate import Candidate
from ridgepoint.tasks.task import Task
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.recipe import Recipe


@dataclass(kw_only=True)
class TrainingSetup:
    """Data and recipes; images are decoded once per resolution."""

    task: Task
    dataset: Dataset
    preprocessing: Preprocessing
    recipe: Recipe
    finetune: Recipe
    augmentation: Augmentation
    accelerator: torch.device
    _decoded: dict[tuple[int, int], TrainingData] = field(default_factory=dict)

    @property
    def sizes(self) -> Collection[tuple[int, int]]:
        """Heights and widths that images were decoded for."""
        return self._decoded.keys()

    def recipe_for(self, candidate: Candidate) -> Recipe:
        """The run's recipe; `finetune` for what starts from weights, unless the user named a recipe."""
        return self.recipe if candidate.weights is None else self.finetune

    def preprocessing_for(self, network: Network) -> Preprocessing:
        """The data's preprocessing at a network's input size."""
        _, height, width = network.input
        resize = round(self.preprocessing.resize * min(height, width) / self.preprocessing.height)
        return msgspec.structs.replace(self.preprocessing, height=height, width=width, resize=resize)

    def data_for(self, network: Network) -> TrainingData:
        """Decoded training and validation images at a network's input size."""
        size = network.input[1:]
        if size not in self._decoded:
            preprocessing = self.preprocessing_for(network)
            self._decoded[size] = training_data(self.dataset, preprocessing, augmentation=self.augmentation, keep=True)
        return self._decoded[size]
