"""Weight files: safetensors and what torch.save writes, with broken bytes, strange tensors, names and pickles."""

import json
import os
import pickle
import random
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from harness import Case
from mutate import document
from tiny_models import TEXTS, module, mutated_bytes, network

PREFIXES = ("module.", "_orig_mod.", "model.", "x.", "", "features.", "a\x1b[2J")
WRAPPERS = ("state_dict", "model", "ema", "state_dict_ema", "model_ema", "params", "optimizer", "x")


class Touch:
    """Unpickling it makes a file."""

    def __reduce__(self):
        return (open, ("owned", "w"))


def make(rng: random.Random, folder: Path) -> Case:
    """A changed file, given as the weights of a training."""
    from ridgepoint.arch.document import dump_network

    suffix = rng.choice((".pth", ".pth", ".safetensors", ".bin", ""))
    path = folder / f"w{suffix}"
    if suffix == ".safetensors":
        rng.choice((_header, _bytes, _saved))(rng, path)
    else:
        rng.choice((_state, _state, _wrapped, _bytes, _evil, _strange))(rng, path)
    (folder / "n.yaml").write_text(dump_network(network()))
    words = ("train", "n.yaml", "nowhere/", "--weights", path.name, "--out", "run")
    return Case(words=words, may=frozenset({2}), check=lambda done: _no_code(folder))


def _no_code(folder: Path) -> str | None:
    return "code of the file was run" if (folder / "owned").exists() else None


def _tensors() -> dict[str, Any]:
    return {name: value.clone() for name, value in module().state_dict().items()}


@lru_cache(maxsize=2)
def _content(suffix: str) -> bytes:
    import io

    from safetensors.torch import save

    if suffix == ".safetensors":
        return save(_tensors(), metadata={"format": "pt", "padding": "symmetric", "norm_eps": "1e-05"})
    buffer = io.BytesIO()
    torch.save(_tensors(), buffer)
    return buffer.getvalue()


def _bytes(rng: random.Random, path: Path) -> None:
    path.write_bytes(mutated_bytes(rng, _content(path.suffix if path.suffix == ".safetensors" else ".pth")))


def _saved(rng: random.Random, path: Path) -> None:
    from safetensors.torch import save_file

    values = {name: value for name, value in _changed(rng, _tensors()).items() if isinstance(value, torch.Tensor)}
    try:
        save_file(values, path)
    except (ValueError, RuntimeError, KeyError, UnicodeEncodeError):
        path.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")


def _header(rng: random.Random, path: Path) -> None:
    """The JSON that a safetensors file begins with, changed."""
    content = _content(".safetensors")
    size = int.from_bytes(content[:8], "little")
    text = document(rng, json.loads(content[8 : 8 + size]), as_json=True)
    length = rng.choice((len(text), len(text), 0, 2**63, 10**9))
    path.write_bytes(length.to_bytes(8, "little") + text + content[8 + size :])


def _changed(rng: random.Random, tensors: dict[str, Any]) -> dict[str, Any]:
    for _ in range(rng.choice((0, 1, 1, 3))):
        name = rng.choice(sorted(tensors))
        value = tensors.pop(name)
        tensors[rng.choice((name, name, name + "x", *TEXTS[:3]))] = _odd(rng, value)
    return tensors


def _odd(rng: random.Random, value: torch.Tensor) -> Any:
    odd = (
        lambda: value.to(rng.choice((torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool))),
        lambda: value.float() * rng.choice((float("nan"), float("inf"), -1)),
        lambda: value.flatten(),
        lambda: value[None],
        lambda: value.float().to_sparse(),
        lambda: value.to(torch.complex64),
        lambda: torch.zeros(0),
        lambda: torch.ones(1).expand(10**11),
        lambda: value.to("meta"),
        lambda: torch.nn.Parameter(value.float()),
        lambda: rng.choice((None, 3, "text", [1], {"a": 1})),
    )
    return rng.choice(odd)()


def _state(rng: random.Random, path: Path) -> None:
    prefix = rng.choice(PREFIXES)
    torch.save({prefix + name: value for name, value in _changed(rng, _tensors()).items()}, path)


def _wrapped(rng: random.Random, path: Path) -> None:
    content: Any = _changed(rng, _tensors())
    for _ in range(rng.randrange(1, 5)):
        content = {rng.choice(WRAPPERS): content, "epoch": 3}
        if rng.random() < 0.5:
            content[rng.choice(WRAPPERS)] = rng.choice(({}, [], None, _tensors()))
    torch.save(content, path)


def _evil(rng: random.Random, path: Path) -> None:
    value = rng.choice((Touch(), {"state_dict": Touch()}, {"a": torch.ones(1), "b": [Touch()]}, module()))
    if rng.random() < 0.3:
        path.write_bytes(pickle.dumps(Touch(), protocol=rng.randrange(6)))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=rng.random() < 0.7)


def _strange(rng: random.Random, path: Path) -> None:
    kind = rng.randrange(7)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to(rng.choice(("/dev/zero", path.name, "gone", "/")))
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        torch.save(rng.choice(([1], 3, None, {}, {1: 2}, (torch.ones(1),), torch.ones(3))), path)
    elif kind == 4:
        with zipfile.ZipFile(path, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            archive.writestr(rng.choice(("archive/data.pkl", "x", "../up", "archive/version")), b"\0" * 10**6)
    elif kind == 5:
        path.write_bytes(
            rng.choice((b"", b"<html>", b"\x80\x02", b"PK\3\4", b"\x1f\x8b\x08", b"version https://git-lfs"))
        )
    else:
        path.write_bytes(rng.randbytes(rng.randrange(1, 3000)))
