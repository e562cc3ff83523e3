import pytest
import torch
from train_helpers import digits

from ridgepoint.train.batches import TrainingData

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data() -> TrainingData:
    return digits()
