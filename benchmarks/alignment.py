"""What it does for shared weights that all kernel sizes of a convolution begin as one filter.

A supernet of once-for-all's space at half the width is taught random members for `EPOCHS` epochs, begun as the package
begins it and with filters drawn anew for every size. Told is the accuracy of `JUDGED` random members by the shared
weights, on all images that they were not taught.

    python benchmarks/alignment.py PHOTOS > benchmarks/results/alignment.json
"""

import argparse
import json
import sys

import numpy as np
import torch
from tabular import SPACES, Trainer

from ridgepoint.arch.space import load_space
from ridgepoint.nn import supernet
from ridgepoint.search.shared_weights import SharedWeights
from ridgepoint.train.recipe import load_recipe

EPOCHS, JUDGED, SEEDS = 10, 20, 3
CASES = ("one filter", "drawn anew")


def taught(case: str, trainer: Trainer, seed: int) -> float:
    """The mean accuracy of random members."""
    space = load_space(SPACES / "ofa_mobilenetv3_half.yaml")
    aligned = supernet._align
    supernet._align = aligned if case == CASES[0] else lambda *given, **more: None
    weights = SharedWeights(space, trainer.images, load_recipe("small_images"), seed=seed)
    supernet._align = aligned
    rng, steps = np.random.default_rng(seed), EPOCHS * weights.steps_per_epoch
    for step in range(steps):
        weights.teach(step, step / steps, [space.sample_assignment(rng)])
    found = np.mean([weights.accuracy_on_all(space.sample_assignment(rng)) for _ in range(JUDGED)])
    print(case, seed, found, file=sys.stderr)
    return round(float(found), 4)


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    given = parser.parse_args()
    trainer = Trainer(given.data)
    found = {case: [taught(case, trainer, seed) for seed in range(SEEDS)] for case in CASES}
    head = {"command": "python benchmarks/alignment.py PHOTOS", "epochs": EPOCHS, "torch": torch.__version__}
    print(json.dumps({**head, "accuracy": found}, indent=1))


if __name__ == "__main__":
    main()
