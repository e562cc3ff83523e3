"""A teacher store: a folder with what a teacher answered to every view, so that it is asked once and never again.

    manifest.json                what the answers belong to
    00003-00000.safetensors      replica 3, first block of rows: `seeds`, `values` and, of a part only, `classes`

A shard appears whole or not at all, and equal requests give equal files: writing goes on where it was killed. Shards
are memory-mapped, so a store may be larger than the memory.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ridgepoint.data import Preprocessing
from ridgepoint.distill.answers import Answers
from ridgepoint.distill.lessons import Lesson, OnlineLessons
from ridgepoint.distill.views import Variation
from ridgepoint.errors import InputError, RunError
from ridgepoint.files import check_regular, make_folder, remove_leftovers, save_atomic
from ridgepoint.locks import owning
from ridgepoint.run.records import read_record, write_record

MANIFEST = "manifest.json"
ROWS_PER_SHARD = 2048
_PROBED = 4  # views whose pixels are part of the manifest
_ASKED = 256  # views that are made, and asked for, at once


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What answers belong to; a store is used only where all of it is the same.

    Attributes:
        teacher: Digest of the teacher.
        data: Fingerprint of the images.
        variation: How views are made.
        preprocessing: The student's.
        seed: Of the views.
        rows: Number of rows.
        topk: Kept classes; None for all.
        pixels: Digest of a few views, which tells whether they are still drawn as they were.
    """

    teacher: str
    data: str
    variation: Variation
    preprocessing: Preprocessing
    seed: int
    rows: int
    topk: int | None
    pixels: str


_DIFFERS = {
    "teacher": "holds another teacher's answers",
    "data": "was written for other images",
    "variation": "was written for another augmentation",
    "preprocessing": "was written for another input of the student",
    "seed": "was written with another seed",
    "rows": "was written for another number of images",
    "topk": "keeps another number of classes",
    "pixels": "was written by a version of ridgepoint or torch that draws other views from the same seeds",
}


class Store:
    """Lessons that are asked for once, then read.

    Attributes:
        folder: Where the store is, or goes.
        asked: The lessons that it keeps.
        views: Theirs.
    """

    def __init__(self, folder: Path, asked: OnlineLessons, *, data: str, replicas: int):
        """Nothing is written yet.

        Args:
            folder: Where the store is, or goes.
            asked: The lessons that it keeps.
            data: Fingerprint of the images.
            replicas: Views of each row; a store may hold more, and is given more by `write` if it holds less.

        Raises:
            RunError: If the folder holds another store.
        """
        self.folder, self.asked, self.views = folder, asked, asked.views
        self._manifest = _manifest_of(asked, data)
        self._shards = _shards(len(self.views), replicas)
        self._shard = lru_cache(maxsize=None)(lambda replica, block: _read(folder / _name(replica, block)))
        if any(folder.glob("[!.]*")):
            _check(folder, self._manifest)

    def write(self, on_shard: Callable[[float], None] = lambda share: None) -> None:
        """Ask the teacher about every view that is not answered yet.

        Args:
            on_shard: Called with the share of the store that is done.

        Raises:
            RunError: If the disk is full, or another process writes the store.
            InputError: If the teacher's logits are not finite.
        """
        make_folder(self.folder)
        otherwise = "Wait until it ends, then go on with the same command and --resume"
        with owning(self.folder / ".lock", what=self.folder, otherwise=otherwise):
            remove_leftovers(self.folder)
            self._write(on_shard)

    def _write(self, on_shard: Callable[[float], None]) -> None:
        write_record(self.folder / MANIFEST, self._manifest)
        for done, (replica, block) in enumerate(self._shards, start=1):
            path = self.folder / _name(replica, block)
            if not path.exists():
                tensors = _answered(self.asked, replica, block)
                save_atomic(path, partial(save_file, tensors))
            on_shard(done / len(self._shards))

    def lesson(self, rows_B: np.ndarray, replicas_B: np.ndarray) -> Lesson:
        """The views, replayed from the seeds that were noted with the answers.

        Raises:
            RunError: If a shard is not there or cannot be read.
        """
        blocks_B, inside_B = np.divmod(rows_B, ROWS_PER_SHARD)
        found: dict[str, Tensor] = {}
        for replica, block in set(zip(replicas_B.tolist(), blocks_B.tolist(), strict=True)):
            here = torch.from_numpy((replicas_B == replica) & (blocks_B == block))
            for name, kept in self._shard(replica, block).items():
                part = kept[torch.from_numpy(inside_B)[here]]
                found.setdefault(name, kept.new_empty(len(rows_B), *kept.shape[1:]))[here] = part
        seeds_B = found["seeds"].numpy().view(np.uint64)
        return Lesson(
            images=self.views.images(rows_B, seeds_B),
            seeds=seeds_B,
            answers=Answers(values=found["values"], classes=found.get("classes")),
        )


def _manifest_of(asked: OnlineLessons, data: str) -> Manifest:
    views = asked.views
    rows = np.arange(min(_PROBED, len(views)))
    probe = views.images(rows, views.seeds(rows, np.zeros_like(rows)))
    return Manifest(
        teacher=asked.teacher.digest,
        data=data,
        variation=views.variation,
        preprocessing=views.preprocessing,
        seed=views.seed,
        rows=len(views),
        topk=asked.topk,
        pixels=hashlib.sha256(probe.numpy().tobytes()).hexdigest(),
    )


def _answered(asked: OnlineLessons, replica: int, block: int) -> dict[str, Tensor]:
    """The content of a shard."""
    rows = np.arange(block * ROWS_PER_SHARD, min((block + 1) * ROWS_PER_SHARD, len(asked.views)))
    parts = [rows[start : start + _ASKED] for start in range(0, len(rows), _ASKED)]
    given = [asked.lesson(part, np.full_like(part, replica)) for part in parts]
    seeds = np.concatenate([each.seeds for each in given])
    tensors = {
        "seeds": torch.from_numpy(seeds.view(np.int64)),
        "values": torch.cat([each.answers.values for each in given]),
    }
    classes = [each.answers.classes for each in given if each.answers.classes is not None]
    return tensors | ({"classes": torch.cat(classes)} if classes else {})


def _shards(rows: int, replicas: int) -> list[tuple[int, int]]:
    blocks = -(-rows // ROWS_PER_SHARD)
    return [(replica, block) for replica in range(replicas) for block in range(blocks)]


def _name(replica: int, block: int) -> str:
    return f"{replica:05}-{block:05}.safetensors"


def _read(path: Path) -> dict[str, Tensor]:
    try:
        check_regular(path)  # a pipe would be waited for
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, InputError, SafetensorError) as error:
        raise RunError(
            f"{path}: cannot be read ({error}). Delete it and run the command that writes it again"
        ) from None


def _check(folder: Path, wanted: Manifest) -> None:
    if not (folder / MANIFEST).is_file():
        raise RunError(f"{folder}: holds no teacher store (no {MANIFEST}). Give another folder with --store")
    found = read_record(folder / MANIFEST, Manifest, otherwise="Give another folder with --store")
    for name, differs in _DIFFERS.items():
        there, here = getattr(found, name), getattr(wanted, name)
        if there != here:
            raise RunError(
                f"{folder}: this teacher store {differs} ({name}: {_shown(there)}, now {_shown(here)}). "
                "Give another folder with --store"
            )


def _shown(value: object) -> str:
    return value[:12] if isinstance(value, str) else msgspec.json.encode(value).decode()
