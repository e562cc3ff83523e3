"""Fingerprints of contents, copies of one image, and a foreign folder read whole."""

import shutil

import numpy as np
import pytest
from data_helpers import noise

from ridgepoint.data import decode, detect, read_whole
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.errors import DataError


def test_the_fingerprint_moves_with_contents_and_names_and_nothing_else(make_tree, tmp_path):
    root = make_tree({"cat": 6, "dog": 6}, suffix=".bmp")
    first = detect(root)
    shutil.copytree(root, tmp_path / "elsewhere")  # other times, another place, another name
    assert detect(tmp_path / "elsewhere").fingerprint == first.fingerprint
    assert first.split_seed == 0 and detect(root, seed=3).split_seed == 3
    assert detect(root, seed=3).fingerprint != first.fingerprint
    path = root / "cat" / "003.bmp"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # one value of one pixel: the size is the same
    path.write_bytes(content)
    changed = detect(root).fingerprint
    assert changed != first.fingerprint
    (root / "cat").rename(root / "zebra")
    assert len({first.fingerprint, changed, detect(root).fingerprint}) == 3


def test_no_seed_where_nothing_was_drawn(make_tree):
    dataset = detect(make_tree({f"{part}/{name}": 3 for part in ("train", "val", "test") for name in "ab"}))
    assert dataset.split_seed is None


def test_training_images_among_the_test_images_are_told(make_tree):
    root = make_tree({"train/a": 9, "train/b": 9, "test/a": 4, "test/b": 4})
    for index in range(3):
        shutil.copy(root / "train" / "b" / f"00{index}.png", root / "test" / "b" / f"00{index}.png")
    dataset = detect(root)
    told = [note for note in dataset.notes if note.startswith(("1 ", "2 ", "3 "))]
    assert sum(int(note[0]) for note in told) == 3
    assert all("test images are also in" in note and "b/00" in note and " = test/b/00" in note for note in told)
    assert told[0] in dataset.summary()


def test_copies_stay_in_one_part_where_parts_are_drawn(make_tree):
    root = make_tree({"a": 40, "b": 40}, size=(8, 8))
    for index in range(15):
        shutil.copy(root / "a" / f"{index:03}.png", root / "a" / f"copy{index}.png")
    for seed in range(3):
        dataset = detect(root, seed=seed)
        parts = [set(part.digests) for part in (dataset.train, dataset.val, dataset.test)]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 80
        assert [note for note in dataset.notes if "15 files are copies" in note]


def test_one_image_in_two_classes_is_told(make_tree):
    root = make_tree({"a": 9, "b": 9})
    shutil.copy(root / "a" / "001.png", root / "b" / "009.png")
    assert any("1 images lie in two classes" in note and "001.png (a)" in note for note in detect(root).notes)


def test_a_class_of_copies_alone_is_still_split(make_tree):
    root = make_tree({"a": 9, "b": 9})
    for path in (root / "a").iterdir():
        noise(0).save(path)
    dataset = detect(root)
    assert len(dataset.val) == 4 and any("also in" in note for note in dataset.notes)


def test_counts_and_the_majority(make_tree):
    dataset = detect(make_tree({"a": 60, "b": 10, "c": 5}, size=(8, 8)))
    assert dataset.counts == (60, 10, 5) and dataset.majority_share == pytest.approx(12 / 15)
    assert "12.0 times the images of the smallest; to always answer 'a' is right for 80.0% of test" in dataset.summary()


def test_a_foreign_folder_is_read_whole(make_tree):
    root = make_tree({"dog": 2, "cat": 1})
    found = read_whole(root, labels=("cat", "cow", "dog"))
    assert found.images.ids == ("cat/000.png", "dog/000.png", "dog/001.png")
    assert found.images.labels.tolist() == [0, 2, 2] and found.counts == (1, 0, 2)
    assert "no image of 1 of the model's 3 classes is there: 'cow'." in found.notes
    assert len(found.fingerprint) == 64
    grey = Preprocessing(height=8, width=8, channels=1, resize=8, mean=(0.5,), std=(0.5,))
    assert decode(found.images, grey, train=False).images.shape == (3, 1, 8, 8)


def test_one_class_and_one_image_are_enough_to_evaluate(make_tree):
    assert len(read_whole(make_tree({"cat": 1}), labels=("dog", "cat")).images) == 1


def test_all_parts_are_read_whole_and_train_may_be_missing(make_tree):
    root = make_tree({"train/a": 3, "train/b": 2, "test/a": 1})
    assert len(read_whole(root, labels="ab").images) == 6
    root = make_tree({"val/a": 3, "test/b": 1}, root="other")
    assert len(read_whole(root).images) == 4


def test_a_class_that_the_model_does_not_know_is_refused(make_tree):
    with pytest.raises(DataError, match=r"has the class 'cart', which the model does not know; did you mean 'cat'"):
        read_whole(make_tree({"cart": 2, "dog": 2}), labels=("cat", "dog"))


def test_arrays_are_read_whole_too():
    found = read_whole("digits", labels=[str(i) for i in range(9, -1, -1)])
    assert len(found.images) == 1797
    assert np.array_equal(9 - found.images.labels[:10], detect("digits").classes and np.arange(10))
