"""The teacher store: equal to asking the teacher, written once, resumable after SIGKILL, refused where it differs."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from distill_helpers import CLASSES, kept, lessons, rows, teacher, views
from forks import forks

from ridgepoint.distill import store
from ridgepoint.distill.lessons import Lesson, OnlineLessons
from ridgepoint.distill.teacher import Teacher
from ridgepoint.errors import RunError


@pytest.fixture(autouse=True)
def several_shards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "ROWS_PER_SHARD", 16)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != ".lock"}


def equal(left: Lesson, right: Lesson) -> bool:
    same = torch.equal(left.images, right.images) and np.array_equal(left.seeds, right.seeds)
    one, other = left.answers, right.answers
    classes = one.classes is other.classes is None or torch.equal(one.classes, other.classes)
    return same and torch.equal(one.values, other.values) and classes


@pytest.mark.parametrize("name", ["D1", "D2"])
@pytest.mark.parametrize("topk", [None, 3])
def test_what_is_read_is_what_the_teacher_answers_now(tmp_path: Path, name: str, topk: int | None):
    online = lessons(name, topk=topk)
    stored = kept(tmp_path, online)
    stored.write()
    assert len(content(tmp_path)) == 1 + 2 * 3, "two replicas of 40 rows, 16 a shard"
    for chosen, replicas in [
        (rows(5), rows(1)),
        (rows(39, 0, 15, 16, 7), rows(0, 1, 1, 0, 1)),
        (np.arange(40), np.zeros(40, int)),
    ]:
        lesson = stored.lesson(chosen, replicas)
        assert equal(lesson, online.lesson(chosen, replicas))
        assert lesson.answers.values.shape == (len(chosen), topk or CLASSES)


class Counting:
    """A teacher's network that counts the images it is asked about."""

    def __init__(self, given: Teacher):
        self.images, self.forward = 0, given.forward

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.images += len(images)
        return self.forward(images)


def test_the_teacher_is_asked_once(tmp_path: Path):
    counting = Counting(teacher())
    given = OnlineLessons(views=views(), teacher=replace(teacher(), forward=counting))
    kept(tmp_path, given, replicas=1).write()
    asked, before = counting.images, content(tmp_path)
    assert asked >= 40
    kept(tmp_path, given, replicas=1).write()
    assert counting.images == asked
    kept(tmp_path, given, replicas=2).write()
    assert counting.images == 2 * asked, "only the new replica"
    assert before.items() <= content(tmp_path).items()


def write_until_killed(folder: Path) -> None:
    """A process that dies when four shards are there."""
    store.ROWS_PER_SHARD = 8

    def tell(share: float) -> None:
        if len(list(folder.glob("0*.safetensors"))) == 4:
            os.kill(os.getpid(), signal.SIGKILL)

    kept(folder, lessons(topk=3), replicas=3).write(tell)


def test_killed_and_resumed_it_holds_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "ROWS_PER_SHARD", 8)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    kept(whole, lessons(topk=3), replicas=3).write()
    process = forks().Process(target=write_until_killed, args=(killed,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (killed / ".00000-00004.safetensors.x.safetensors").write_bytes(b"half a shard")  # what a kill may leave
    assert len(list(killed.glob("0*.safetensors"))) == 4
    kept(killed, lessons(topk=3), replicas=3).write()
    resumed = {name: data for name, data in content(killed).items() if not name.startswith(".")}
    assert resumed == content(whole) and len(resumed) == 1 + 15


def other(**changes: object) -> OnlineLessons:
    return OnlineLessons(**{"views": views(), "teacher": teacher(), "topk": 3, **changes})


@pytest.mark.parametrize(
    "field, given",
    [
        ("teacher", other(teacher=teacher(seed=1))),
        ("variation", other(views=views("D2"))),
        ("preprocessing", other(views=views(size=28))),
        ("seed", other(views=views(seed=7))),
        ("rows", other(views=views(count=41))),
        ("topk", other(topk=2)),
        ("data", other()),
        ("pixels", other()),
    ],
)
def test_another_store_is_refused_before_anything_is_asked(tmp_path: Path, field: str, given: OnlineLessons):
    kept(tmp_path, other(), replicas=1).write()
    if field == "pixels":  # as if another version had written it
        manifest = json.loads((tmp_path / store.MANIFEST).read_text())
        (tmp_path / store.MANIFEST).write_text(json.dumps(manifest | {"pixels": "0" * 64}))
    before = content(tmp_path)
    with pytest.raises(RunError, match=rf"this teacher store .* \({field}: .* Give another folder with --store"):
        kept(tmp_path, given, data="others" if field == "data" else "painted")
    assert content(tmp_path) == before


def test_a_store_that_lacks_or_breaks_a_shard_says_which(tmp_path: Path):
    kept(tmp_path, lessons()).write()
    shard = tmp_path / "00001-00002.safetensors"
    for prepare in (lambda: shard.write_bytes(b"nothing"), shard.unlink, lambda: os.mkfifo(shard)):
        prepare()
        with pytest.raises(RunError, match=r"00001-00002\.safetensors: cannot be read .* Delete it"):
            kept(tmp_path, lessons()).lesson(rows(39), rows(1))


def test_a_folder_with_something_else_is_no_store(tmp_path: Path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="holds no teacher store"):
        kept(tmp_path, lessons())
