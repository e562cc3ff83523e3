"""The teacher store: equal to asking the teacher, written once, resumable after SIGKILL, refused where it differs."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from distill_helpers import lessons, rows, teacher, views, write

from ridgepoint.errors import RunError
from ridgepoint.train import store
from ridgepoint.train.lessons import Lesson, OnlineLessons
from ridgepoint.train.store import Store, manifest_of, write_store
from ridgepoint.train.teacher import Teacher


@pytest.fixture(autouse=True)
def several_shards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "ROWS_PER_SHARD", 16)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def equal(left: Lesson, right: Lesson) -> bool:
    same = torch.equal(left.images, right.images) and np.array_equal(left.seeds, right.seeds)
    one, other = left.answers, right.answers
    classes = one.classes is other.classes is None or torch.equal(one.classes, other.classes)
    return same and torch.equal(one.values, other.values) and classes


@pytest.mark.parametrize("name", ["D1", "D2"])
@pytest.mark.parametrize("topk", [None, 3])
def test_what_is_read_is_what_the_teacher_answers_now(tmp_path: Path, name: str, topk: int | None):
    online = lessons(name, topk=topk)
    manifest = write(tmp_path, online)
    assert len(content(tmp_path)) == 1 + 2 * 3, "two replicas of 40 rows, 16 a shard"
    stored = Store(tmp_path, views(name), manifest, replicas=2)
    for chosen, replicas in [
        (rows(5), rows(1)),
        (rows(39, 0, 15, 16, 7), rows(0, 1, 1, 0, 1)),
        (np.arange(40), np.zeros(40, int)),
    ]:
        assert equal(stored.lesson(chosen, replicas), online.lesson(chosen, replicas))


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
    manifest = write(tmp_path, given, replicas=1)
    asked, before = counting.images, content(tmp_path)
    assert asked >= 40
    write_store(tmp_path, given, manifest, replicas=1)
    assert counting.images == asked
    write_store(tmp_path, given, manifest, replicas=2)
    assert counting.images == 2 * asked, "only the new replica"
    assert before.items() <= content(tmp_path).items()


def test_killed_and_resumed_it_holds_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "ROWS_PER_SHARD", 8)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    write(whole, lessons(topk=3), replicas=3)
    program = [sys.executable, str(Path(__file__).parent / "distill_helpers.py"), str(killed)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(4):
        process.stdout.readline()
    process.kill()
    process.wait()
    (killed / ".00000-00004.safetensors.x.safetensors").write_bytes(b"half a shard")  # what a kill may leave
    assert 4 <= len(list(killed.glob("0*.safetensors"))) < 15
    write(killed, lessons(topk=3), replicas=3)
    resumed = {name: data for name, data in content(killed).items() if not name.startswith(".")}
    assert resumed == content(whole) and len(resumed) == 1 + 15


@pytest.mark.parametrize(
    "field, value",
    [
        ("teacher", teacher(seed=1).digest),
        ("data", "others"),
        ("variation", views("D2").variation),
        ("preprocessing", views(size=28).preprocessing),
        ("seed", 7),
        ("rows", 41),
        ("topk", 2),
        ("pixels", "0" * 64),
    ],
)
def test_another_store_is_refused(tmp_path: Path, field: str, value: object):
    given = lessons()
    manifest = write(tmp_path, given, replicas=1)
    other = msgspec.structs.replace(manifest, **{field: value})
    message = rf"this teacher store .* \({field}: .* Give another folder with --store"
    with pytest.raises(RunError, match=message):
        Store(tmp_path, given.views, other, replicas=1)
    with pytest.raises(RunError, match=message):
        write_store(tmp_path, given, other, replicas=1)


def test_the_manifest_tells_teachers_and_views_apart():
    first = manifest_of(lessons(), data="painted")
    assert first == manifest_of(lessons(), data="painted")
    assert first.teacher != manifest_of(replace(lessons(), teacher=teacher(seed=1)), data="painted").teacher
    assert first.pixels != manifest_of(lessons("D2"), data="painted").pixels


def test_a_store_that_lacks_or_breaks_a_shard_says_which(tmp_path: Path):
    given = lessons()
    manifest = write(tmp_path, given)
    (tmp_path / "00001-00002.safetensors").write_bytes(b"nothing")
    broken = Store(tmp_path, given.views, manifest, replicas=2)
    with pytest.raises(RunError, match=r"00001-00002\.safetensors: cannot be read .* Delete it"):
        broken.lesson(rows(39), rows(1))
    (tmp_path / "00001-00002.safetensors").unlink()
    with pytest.raises(RunError, match=r"00001-00002\.safetensors is missing"):
        Store(tmp_path, given.views, manifest, replicas=2)
    with pytest.raises(RunError, match="holds no teacher store"):
        Store(tmp_path / "nowhere", given.views, manifest, replicas=2)
