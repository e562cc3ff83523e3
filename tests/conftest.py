"""What all tests share: plugins, the digits, and Ctrl-C even in the background, where shells turn it off."""

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from ridgepoint.train.batches import TrainingData

pytest_plugins = ["listed_skips", "clocks_again", "chromium"]

settings.register_profile("explore", max_examples=400)
settings.register_profile("same", derandomize=True)  # what failed fails again; `make explore` draws new ones
settings.load_profile("same")

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test asks the hub but those that bring one along
os.environ.pop("RIDGEPOINT_WEIGHTS", None)

signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data() -> "TrainingData":
    """The digits at 16 x 16 px."""
    from train_helpers import digits

    return digits()
