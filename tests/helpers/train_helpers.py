"""A small network, the digits, and a recipe that is quick."""

import torch

from ridgepoint.arch.document import parse_network
from ridgepoint.arch.network import Network
from ridgepoint.data import choose_input, detect
from ridgepoint.train.batches import TrainingData, training_data
from ridgepoint.train.loop import Trained
from ridgepoint.train.optimizer import AdamW
from ridgepoint.train.recipe import Ema, Recipe


def small_network(width: int = 16) -> Network:
    return parse_network(
        {
            "name": "small",
            "input": [1, 16, 16],
            "num_classes": 10,
            "stem": [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": width}],
            "stages": [
                {
                    "blocks": [
                        {"block": "uib", "start_kernel": 3, "middle_kernel": 3, "expand_ratio": 2, "out_channels": 24},
                        {"block": "uib", "start_kernel": 0, "middle_kernel": 3, "expand_ratio": 2, "out_channels": 24},
                    ]
                }
            ],
            "head": {"head": "pooled", "conv_channels": 48},
        },
        source="small",
    )


def digits() -> TrainingData:
    dataset = detect("digits", seed=0)
    preprocessing, _ = choose_input(dataset, size=16)
    return training_data(dataset, preprocessing)


def quick(**changes: object) -> Recipe:
    given = {"optimizer": AdamW(lr=0.01), "ema": Ema(decay=0.9), "stochastic_depth": 0.1}
    return Recipe(**{"name": "quick", **given, **changes})


def same(left: Trained, right: Trained) -> bool:
    """Whether two trainings end with the same weights and statistics, bit for bit."""
    mine, other = left.model.state_dict(), right.model.state_dict()
    return mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)
