from pathlib import Path

import pytest
import torch
from train_helpers import quick, small_network

from ridgepoint.deploy.export import export_artefact
from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.train.batches import TrainingData
from ridgepoint.train.loop import Bound, train

torch.set_num_threads(1)
LABELS = tuple(str(digit) for digit in range(10))


@pytest.fixture(scope="session")
def trained(data: TrainingData) -> BuiltNetwork:
    """A small network that knows the digits roughly; its batch norms have seen data."""
    return train(small_network(), data, quick(), bound=Bound(epochs=2), seed=0, evaluations=1).model


@pytest.fixture(scope="session")
def exported(trained: BuiltNetwork, data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_artefact(trained, path, network=small_network(), preprocessing=data.preprocessing, labels=LABELS)
    return path
