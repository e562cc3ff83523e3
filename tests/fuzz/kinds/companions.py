"""`ridgepoint.json` changed at random beside a good artefact of either kind, which is changed too now and then."""

import json
import random
from pathlib import Path

import mutate
from harness import Case
from tiny_models import TEXTS, artefact_files, image, mutated_bytes

FIELDS = (
    "labels",
    "preprocessing",
    "network",
    "trained_on",
    "task",
    "precision",
    "layout",
    "runtime",
    "files",
    "parity",
)
VALUES = (*TEXTS, None, -1, 1e308, [], {}, ["a"] * 100_000, {"../../etc/passwd": "0" * 64}, "torch", "no_such_runtime")


def make(rng: random.Random, folder: Path) -> Case:
    """One folder of artefacts under a verb that opens one of them."""
    files = artefact_files()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    document, model = folder / "ridgepoint.json", rng.choice(("m.onnx", "m.pt2"))
    if rng.random() < 0.2:
        (folder / model).write_bytes(mutated_bytes(rng, files[model]))
    elif rng.random() < 0.5:
        told = json.loads(files[document.name])
        told["artefacts"][model][rng.choice(FIELDS)] = rng.choice(VALUES)
        document.write_text(json.dumps(told))
    else:
        document.write_bytes(mutate.document(rng, json.loads(files[document.name]), as_json=True))
    image(folder / "x.png")
    return Case(
        words=rng.choice(
            (("predict", model, "x.png"), ("predict", model, "x.png", "--json"), ("eval", model, "digits"))
        )
    )
