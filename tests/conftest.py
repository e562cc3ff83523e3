"""What all tests share: plugins, the digits, and Ctrl-C even in the background, where shells turn it off."""

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from shared import place

if TYPE_CHECKING:
    from ridgepoint.train.batches import TrainingData

pytest_plugins = ["listed_skips", "clocks_again", "chromium", "seconds", "leaks"]

settings.register_profile("explore", max_examples=400)
settings.register_profile("same", derandomize=True)  # what failed fails again; `make explore` draws new ones
settings.load_profile("same")

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test asks the hub but those that bring one along
os.environ.pop("RIDGEPOINT_WEIGHTS", None)

signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Tests of what needs no torch do not wait for it."""
    if "torch" in sys.modules:
        importlib.import_module("quick_clock")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the latency tables of this test run lie, filled once for all of its processes; not the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = place(tmp_path_factory) / "cache"
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def data() -> "TrainingData":
    """The digits at 16 x 16 px."""
    from train_helpers import digits

    return digits()
