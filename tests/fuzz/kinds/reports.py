"""Run folders whose files were cut off, edited by hand, or are something else: `report` of a fit, a training."""

import functools
import json
import random
import tempfile
from pathlib import Path

from harness import Case

STRANGE = (None, True, -1, 0, 5.0, 1e308, 10**30, "", "\u202e", "../../etc/passwd", [], [1], {}, {"a": 1}, "<script>")
TRAINING = {
    "model": "mobilenetv3_small_050",
    "run": "run",
    "data": "shapes",
    "counts": {"train": 10, "val": 5, "test": 5},
    "accuracy": {"val": 0.8, "test": 0.6},
    "steps": 10,
    "epochs": 2.0,
    "train_s": 3.0,
    "recipe": {"name": "small_images", "batch_size": 8},
    "seed": 0,
    "teacher": None,
    "recall": {"circle": 0.5},
}
ROWS = [
    {"step": step, "progress": step / 4, "loss": 1.0, "val_accuracy": 0.5, "learning_rate": 0.1} for step in range(5)
]
READ_MOST = ("result.json", "evaluation.json", "metrics.jsonl", "samples.json")
SAMPLES = [{"group": "all", "png": "AAAA", "id": "a.png", "labels": [["circle", 1.0]], "teacher": []}]


@functools.cache
def whole() -> dict[str, bytes]:
    """The files of a fit that is as it should be."""
    from report_helpers import make_run

    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run")
        return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def make(rng: random.Random, folder: Path) -> Case:
    """One to three files of a valid run are changed: bytes, values, keys, or the whole."""
    files = dict(whole()) if rng.random() < 0.6 else _training()
    names = [name for name in sorted(files) if not name.endswith(".png")]
    weights = [
        5 if name in ("result.json", "evaluation.json", "metrics.jsonl", "samples.json") else 1 for name in names
    ]
    for name in rng.choices(names, weights, k=rng.randint(1, 3)):
        files[name] = _changed(rng, name, files[name])
    run = folder / "run"
    for name, content in files.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(content)
    return Case(words=("report", run), may=frozenset({0, 2}))


def _training() -> dict[str, bytes]:
    return {
        "result.json": json.dumps(TRAINING).encode(),
        "training.json": b"{}",
        "metrics.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in ROWS),
        "samples.json": json.dumps(SAMPLES).encode(),
    }


def _changed(rng: random.Random, name: str, content: bytes) -> bytes:
    if name.endswith(".json") and rng.random() < 0.75:
        try:
            return json.dumps(_edited(rng, json.loads(content))).encode()
        except ValueError:
            pass  # changed before
    kind = rng.randrange(6)
    if kind == 0:
        return content[: rng.randrange(len(content) + 1)]
    if kind == 1:
        return rng.randbytes(200)
    if kind == 2:
        return b"[" * rng.choice((1, 900, 50_000))
    if kind == 3:
        return content.replace(b"0", b"\xff", rng.randint(1, 9))
    if kind == 4:
        return rng.choice((b"", b"null", b"[1]", b"{}", b"1e999", b'"x"'))
    return content + content


def _edited(rng: random.Random, value: object) -> object:
    """A value somewhere inside is dropped or becomes a strange one."""
    if isinstance(value, dict) and value:
        key = rng.choice(sorted(value))
        if rng.random() < 0.2:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: _edited(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [_edited(rng, each) if index == place else each for index, each in enumerate(value)]
    return rng.choice(STRANGE)
