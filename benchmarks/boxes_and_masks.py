"""What trained detectors and segmenters score as files of each runtime, beside what their source scores.

    ridgepoint train mobilenetv4_conv_small BOXES --set epochs=15 --out /tmp/boxes
    ridgepoint train mobilenetv4_conv_small MASKS --set epochs=10 --out /tmp/masks
    python benchmarks/boxes_and_masks.py /tmp/boxes /tmp/masks --into benchmarks/results/boxes_and_masks.json
    python benchmarks/boxes_and_masks.py /tmp/boxes --runtimes litert --into ...      # in an environment of LiteRT's

Each network is exported as users do it, and with suppression in the file where it is a detector; every file is loaded
in its runtime and answers for the test part of the data of its training. Told are the score of the source and of the
file, the largest difference of their answers, and the share of images for which both answer alike. What cannot be
written or run says why. `--into` adds to the rows of a file, in place of those of the same network, file and runtime.
Printed as JSON.
"""

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ridgepoint.arch.suppression import Suppression
from ridgepoint.cost.host import cpu_name
from ridgepoint.data import decode
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.runtimes import RUNTIMES, find_runtime
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.errors import InputError
from ridgepoint.privacy import keep_private
from ridgepoint.tasks.reading import find_task
from ridgepoint.train.folder import load_training


def main() -> None:
    keep_private()
    options = parse()
    rows = json.loads(options.into.read_text())["rows"] if options.into and options.into.exists() else []
    by_key = {(row["data"], row["network"], row["nms"], row["runtime"]): row for row in rows}
    for run in options.runs:
        source = Source(run)
        for name in options.runtimes:
            for nms in (False, True) if source.task.name == "detection" else (False,):
                row = source.about | {"nms": nms, "runtime": name} | source.tried(name, nms=nms)
                print(json.dumps(row), file=sys.stderr, flush=True)
                by_key[row["data"], row["network"], nms, name] = row
                if options.into:
                    options.into.write_text(document(by_key))
    print(document(by_key))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of `ridgepoint train` on boxes or masks")
    parser.add_argument("--runtimes", nargs="+", default=list(RUNTIMES))
    parser.add_argument("--into", type=Path)
    return parser.parse_args()


def document(rows: dict[tuple[Any, ...], dict[str, Any]]) -> str:
    about = {"processor": cpu_name(), "python": platform.python_version(), "torch": torch.__version__}
    lines = ",\n".join(json.dumps(row) for _, row in sorted(rows.items()))
    return f'{{"about": {json.dumps(about)}, "rows": [\n{lines}\n]}}\n'


class Source:
    """A trained network, its test images, and what it answers."""

    def __init__(self, run: Path):
        self.model, self.known = load_training(run)
        self.task = find_task(self.known.task)
        spec = json.loads((run / "settings.json").read_text())["data"]
        data = self.task.read(spec, seed=self.known.data.seed, root=None)
        self.images = decode(data.test, self.known.preprocessing, train=False)
        with torch.no_grad():
            chunks = self.images.images.split(16)
            self.answers = np.concatenate([self.model(self.known.preprocessing.normalize(x)).numpy() for x in chunks])
        self.score = self.task.score(self.answers, self.images.labels).value
        self.about = {
            "data": data.name,
            "network": self.model.network.name,
            "pixels": self.known.preprocessing.height,
            "images": len(self.images.images),
            "metric": self.task.metric,
            "source": self.score,
        }

    def tried(self, name: str, *, nms: bool) -> dict[str, Any]:
        """The score of a file of that runtime, or why there is none."""
        try:
            runtime = find_runtime(name)
            runtime.expect_writing()
            with tempfile.TemporaryDirectory() as folder:
                return {"version": runtime.version} | self.told(runtime, Path(folder) / f"m{runtime.suffix}", nms=nms)
        except InputError as error:
            return {"refused": str(error)}

    def told(self, runtime: Runtime, path: Path, *, nms: bool) -> dict[str, Any]:
        """Written, loaded again, asked."""
        export_artefact(
            self.model,
            path,
            network=self.model.network,
            preprocessing=self.known.preprocessing,
            labels=self.known.labels,
            runtime=runtime.name,
            task=self.task.name,
            outputs=self.task.outputs,
            suppression=Suppression() if nms else None,
        )
        written = {"bytes": runtime.size_bytes(path)}
        if not runtime.runs_here:
            return written | {"refused": f"runtime '{runtime.name}' runs its files elsewhere"}
        answers = load_artefact(path, runtime=runtime.name).logits(self.images.images.numpy())
        found = {"file": self.task.score(answers, self.images.labels).value}
        if nms:
            return written | found | {"alike": self.task.same_boxes(self.answers, answers).agreement}
        largest = float(np.abs(answers - self.answers).max() / np.abs(self.answers).max())
        return written | found | {"alike": self.task.agree(self.answers, answers).share, "difference": largest}


if __name__ == "__main__":
    main()
