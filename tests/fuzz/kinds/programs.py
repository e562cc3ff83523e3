"""Exported programs of PyTorch: broken archives, changed graphs and lists of tensors, and code in every place."""

import io
import json
import os
import pickle
import random
import zipfile
from functools import lru_cache
from pathlib import Path

import torch
from harness import Case
from mutate import document
from tiny_models import TEXTS, image, mutated_bytes, program_bytes

GRAPH, SAMPLE = "models/model.json", "data/sample_inputs/model.pt"
WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
EXTRA = (
    "data/aotinductor/m/m.so",
    "data/weights/model.pt",
    "data/constants/opaque_obj_0",
    "extra/x",
    "../up",
    "executorch/m",
)
CODE = (
    "__import__('os').mknod('owned')",
    "torch.serialization.os.mknod",
    'a", __import__("os").mknod("owned")) or getattr(self, "b',
    "torch.hub.load",
    "torch.ops.aten.from_file.default",
    "_operator.methodcaller",
    "math.comb",
)


class Touch:
    """Unpickling it makes a file."""

    def __reduce__(self):
        return (open, ("owned", "w"))


def make(rng: random.Random, folder: Path) -> Case:
    """A changed program under one of the verbs that open it."""
    path = folder / "m.pt2"
    rng.choice((_bytes, _entries, _documents, _documents, _code, _code, _strange))(rng, path)
    image(folder / "x.png")
    words = rng.choice((("predict", "m.pt2", "x.png"), ("eval", "m.pt2", "digits")))
    # A program carries no labels, so that even a good one is refused, once it was opened.
    may = frozenset({2})
    return Case(words=(*words, "--runtime", "torch"), names="m.pt2", may=may, check=lambda done: _no_code(folder))


def _no_code(folder: Path) -> str | None:
    return "code of the file was run" if (folder / "owned").exists() else None


@lru_cache(maxsize=1)
def _good() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(program_bytes())) as archive:
        return {info.filename.partition("/")[2]: archive.read(info) for info in archive.infolist()}


def _write(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(f"m/{name}", content)


def _bytes(rng: random.Random, path: Path) -> None:
    path.write_bytes(mutated_bytes(rng, program_bytes()))


def _entries(rng: random.Random, path: Path) -> None:
    entries = dict(_good())
    for _ in range(rng.choice((1, 1, 3))):
        name, kind = rng.choice(sorted(entries)), rng.randrange(4)
        if kind == 0:
            del entries[name]
        elif kind == 1:
            entries[name] = mutated_bytes(rng, entries[name])
        elif kind == 2:
            entries[rng.choice(EXTRA)] = rng.choice((b"", b"x", entries.get(name, b"")))
        else:
            entries[name] = b""
    _write(path, entries, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def _documents(rng: random.Random, path: Path) -> None:
    entries = dict(_good())
    name = rng.choice((GRAPH, GRAPH, WEIGHTS, CONSTANTS))
    entries[name] = document(rng, json.loads(entries[name]), as_json=True)
    _write(path, entries)


def _code(rng: random.Random, path: Path) -> None:
    """A pickle, a name or an expression in any place that a reader could trust."""
    entries = dict(_good())
    buffer = io.BytesIO()
    torch.save(rng.choice((Touch(), ((torch.zeros(1, 1, 16, 16), Touch()), {}), {"w": Touch()})), buffer)
    payload = rng.choice((buffer.getvalue(), pickle.dumps(Touch())))
    kind = rng.randrange(4)
    if kind == 0:
        entries[SAMPLE] = payload
    elif kind == 1:
        name = rng.choice((WEIGHTS, CONSTANTS))
        file = rng.choice(("weight_0", "tensor_0", "opaque_obj_0", "custom_obj_0", "../x"))
        about = {
            "path_name": file,
            "is_param": True,
            "use_pickle": rng.choice((True, 1, "yes", [0])),
            "tensor_meta": None,
        }
        config = json.loads(entries[name])
        config["config"][rng.choice((*sorted(config["config"]), "new"))] = about
        entries |= {name: json.dumps(config).encode(), f"{name.rpartition('/')[0]}/{file}": payload}
    elif kind == 2:
        entries[rng.choice((*EXTRA, "data/constants/model.pt"))] = payload
    else:
        entries[GRAPH] = json.dumps(_named(rng, json.loads(entries[GRAPH]))).encode()
    _write(path, entries)


def _named(rng: random.Random, value: object) -> object:
    """One text somewhere in a document replaced by code."""
    if isinstance(value, dict) and value:
        key = rng.choice(sorted(value))
        if rng.random() < 0.05:
            return {rng.choice(CODE) if name == key else name: each for name, each in value.items()}
        return value | {key: _named(rng, value[key])}
    if isinstance(value, list) and value:
        at = rng.randrange(len(value))
        return [*value[:at], _named(rng, value[at]), *value[at + 1 :]]
    return (
        rng.choice((*CODE, *TEXTS)) if rng.random() < 0.8 else {"as_expr": {"expr_str": rng.choice(CODE), "hint": None}}
    )


def _strange(rng: random.Random, path: Path) -> None:
    kind = rng.randrange(5)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to(rng.choice(("/dev/zero", path.name, "gone")))
    elif kind == 2:
        path.write_bytes(rng.choice((b"", b"<html>", b"PK\3\4", b"PK\5\6" + bytes(18), b"\x89PNG", rng.randbytes(500))))
    elif kind == 3:
        torch.save({"w": torch.ones(1)}, path)
    else:
        _write(path, {"version": b"8.20", "serialized_exported_program.json": b"{}", "serialized_state_dict.pt": b""})
