"""How zero-cost scores rank the candidates of finished fits: Spearman with the accuracy of their short trainings.

Of the candidates of each run, such as those of `fits.py`: all meet its budget, and their inputs may have several
resolutions. `side` is the input's, `ms` the tabled latency.

    python benchmarks/scores.py RUNS/random* > benchmarks/results/scores.json
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

import msgspec
import torch
from scipy.stats import spearmanr

from ridgepoint.display import Silent
from ridgepoint.fit.prepare import prepare
from ridgepoint.fit.searching import short_training
from ridgepoint.fit.settings import FitSettings
from ridgepoint.run.folder import SETTINGS, RunFolder
from ridgepoint.search.scores import SCORES, score
from ridgepoint.search.study import read_candidates
from ridgepoint.train.loop import Bound


def ranks(run: Path) -> dict[str, float]:
    """Of one run: by score, and by what a network costs."""
    settings = msgspec.json.decode((run / SETTINGS).read_bytes(), type=FitSettings)
    with tempfile.TemporaryDirectory() as folder:
        copy = RunFolder(Path(folder), settings)
        judge = short_training(copy, prepare(copy, Silent()), Bound(epochs=1), limit_ms=settings.latency_ms)
    found = [each for each in read_candidates(run) if each.phase == "search" and each.short_accuracy is not None]
    by = {name: [score(name, each.network, judge, seed=settings.seed) for each in found] for name in SCORES}
    by |= {"side": [each.network.input[1] for each in found], "ms": [each.tabled_ms for each in found]}
    accuracies = [each.short_accuracy for each in found]
    print(run, file=sys.stderr)
    return {name: round(float(spearmanr(values, accuracies).statistic), 2) for name, values in by.items()}


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {run.name: ranks(run) for run in given.runs}
    names = next(iter(found.values()))
    summary = {name: round(median(each[name] for each in found.values()), 2) for name in names}
    print(
        json.dumps({"command": "python benchmarks/scores.py RUNS/random*", "median": summary, "runs": found}, indent=1)
    )


if __name__ == "__main__":
    main()
