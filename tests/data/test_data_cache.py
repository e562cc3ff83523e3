"""Decoded images that are kept: the same pixels, decoded once, anew when a file changes, and never in the way."""

import os
import time
from pathlib import Path

import pytest
import torch

from ridgepoint.data import ArraySplit, Dataset, Preprocessing, choose_input, decode, detect
from ridgepoint.data.cache import UNUSED_DAYS
from ridgepoint.errors import DataError


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where images are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ridgepoint" / "images"


@pytest.fixture
def photos(make_tree) -> tuple[Dataset, Preprocessing]:
    dataset = detect(make_tree({"a": 8, "b": 8}, size=(90, 70)))
    return dataset, choose_input(dataset, size=32)[0]


def counted(photos: tuple[Dataset, Preprocessing], **options: bool) -> tuple[ArraySplit, int]:
    """The training images, and how many were decoded for them."""
    told: list[int] = []
    dataset, preprocessing = photos
    given = {"train": True, "keep": True, **options}
    result = decode(dataset.train, preprocessing, progress=lambda done, count: told.append(done), **given)
    return result, len(told)


def test_the_second_time_nothing_is_decoded(kept: Path, photos):
    plain, count = counted(photos, keep=False)
    assert count == len(plain) and not kept.exists()
    first, decoded = counted(photos)
    again, none = counted(photos)
    assert (decoded, none) == (count, 0)
    for result in (first, again):
        assert torch.equal(result.images, plain.images) and torch.equal(result.labels, plain.labels)
        assert result.ids == plain.ids
    assert len(list(kept.iterdir())) == 1


def test_what_is_done_to_the_images_does_not_reach_the_file(kept: Path, photos):
    first, _ = counted(photos)
    before = first.images.clone()
    first.images.zero_()
    assert torch.equal(counted(photos)[0].images, before)


def test_a_changed_file_or_another_cut_is_decoded_anew(kept: Path, photos):
    dataset, _ = photos
    before, count = counted(photos)
    assert counted(photos, train=False)[1] == count
    path = dataset.train.source.root / dataset.train.ids[0]
    other = (dataset.train.source.root / dataset.train.ids[1]).read_bytes()
    path.write_bytes(other)
    os.utime(path, ns=(1, 1))
    after, decoded = counted(photos)
    assert decoded == count
    assert torch.equal(after.images[0], before.images[1]) and torch.equal(after.images[1:], before.images[1:])


def test_a_file_broken_since_the_scan_is_named_and_nothing_is_kept(kept: Path, photos):
    dataset, preprocessing = photos
    (dataset.train.source.root / dataset.train.ids[2]).write_text("words")
    with pytest.raises(DataError, match=dataset.train.ids[2]):
        decode(dataset.train, preprocessing, train=True, keep=True)
    assert list(kept.iterdir()) == []


def test_a_spoilt_file_is_written_again(kept: Path, photos):
    plain, count = counted(photos, keep=False)
    counted(photos)
    (file,) = kept.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    after, decoded = counted(photos)
    assert decoded == count and torch.equal(after.images, plain.images)


@pytest.mark.parametrize("place", [200, -100, -1])
def test_a_byte_that_changed_on_the_disk_is_noticed(kept: Path, photos, monkeypatch, place: int):
    plain, count = counted(photos, keep=False)
    counted(photos)
    (file,) = kept.iterdir()
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr("ridgepoint.data.cache._verified", set())  # as in the next run
    after, decoded = counted(photos)
    assert decoded == count and torch.equal(after.images, plain.images)
    assert counted(photos)[1] == 0


def test_a_pipe_in_a_kept_files_place_is_not_read(kept: Path, photos):
    counted(photos)
    (file,) = kept.iterdir()
    file.unlink()
    os.mkfifo(file)
    after, decoded = counted(photos)
    assert decoded == len(after)


def test_where_nothing_can_be_kept_it_is_decoded_all_the_same(kept: Path, photos, caplog):
    kept.parent.mkdir(parents=True)
    kept.write_text("in the way")
    result, count = counted(photos)
    assert count == len(result) and "not kept" in caplog.text


def test_what_was_not_used_for_long_goes(kept: Path, photos):
    counted(photos)
    (first,) = kept.iterdir()
    left = kept / f".{first.name}.half.npy"
    foreign = [kept / "old.txt", kept / "holiday.npy", kept / "photos"]
    linked = kept / f"{'0' * 64}.npy"
    for path in (left, *foreign[:2]):
        path.write_bytes(b"left by a kill, or somebody else's")
    foreign[2].mkdir()
    linked.symlink_to(foreign[0])
    long_ago = time.time() - (UNUSED_DAYS + 1) * 86_400
    for path in (first, left, *foreign):
        os.utime(path, (long_ago, long_ago))
    os.utime(linked, (long_ago, long_ago), follow_symlinks=False)
    counted(photos, train=False)
    assert not first.exists() and not left.exists()
    assert all(path.exists() for path in (*foreign, linked)) and len(list(kept.iterdir())) == 5


def test_images_in_memory_are_not_kept(kept: Path):
    dataset = detect("digits")
    decode(dataset.val, choose_input(dataset)[0], train=True, keep=True)
    assert not kept.exists()
