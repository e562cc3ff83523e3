import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from data_helpers import check_source, noise
from PIL import Image

from ridgepoint.data import detect
from ridgepoint.data.opening import SUFFIXES
from ridgepoint.errors import DataError


def test_plain_class_folders(make_tree):
    root = make_tree({"cat": 10, "dog": 20})
    dataset = detect(str(root))
    check_source(dataset)
    assert (dataset.name, dataset.kind, dataset.classes) == ("photos", "class folders", ("cat", "dog"))
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [18, 6, 6]
    assert dataset.median_size == (20, 24) and not dataset.grey and dataset.skipped == ()
    image_id = dataset.train.ids[0]
    assert image_id.startswith("cat/") and dataset.train.labels[0] == 0
    assert (np.asarray(dataset.train.load(0)) == np.asarray(Image.open(root / image_id))).all()
    assert "cat 10, dog 20 (the largest has 2.0 times" in dataset.summary()


@pytest.mark.parametrize("val_name", ["val", "valid", "Validation"])
def test_given_val_becomes_the_test_part(make_tree, val_name):
    counts = {"train/a": 20, "train/b": 7, f"{val_name}/a": 2, f"{val_name}/b": 3}
    dataset = detect(str(make_tree(counts)))
    check_source(dataset)
    assert sorted(dataset.test.ids) == [f"{val_name}/a/00{i}.png" for i in range(2)] + [
        f"{val_name}/b/00{i}.png" for i in range(3)
    ]
    assert np.bincount(dataset.val.labels).tolist() == [3, 1]  # 15 % of 20, and of 7
    assert all(image_id.startswith("train/") for image_id in dataset.train.ids + dataset.val.ids)
    assert "the given val became the test part" in dataset.split_note


def test_given_test_is_kept_and_val_is_carved(make_tree):
    dataset = detect(str(make_tree({"train/a": 20, "train/b": 20, "test/a": 4, "test/b": 4})))
    check_source(dataset)
    assert all(image_id.startswith("test/") for image_id in dataset.test.ids) and len(dataset.test) == 8
    assert len(dataset.val) == 6 and "test is used as given" in dataset.split_note


def test_three_given_parts_are_used_as_they_are(make_tree):
    counts = {f"{part}/{name}": n for part, n in (("train", 5), ("val", 2), ("test", 1)) for name in "ab"}
    dataset = detect(str(make_tree(counts)))
    check_source(dataset)
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [10, 4, 2]
    assert all(image_id.startswith("val/") for image_id in dataset.val.ids)


def test_train_alone_is_split(make_tree):
    dataset = detect(str(make_tree({"train/a": 10, "train/b": 10})))
    check_source(dataset)
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [12, 4, 4]


def test_a_class_called_train(make_tree):
    dataset = detect(str(make_tree({"train": 5, "bus": 5, "test": 5})))
    assert dataset.classes == ("bus", "test", "train")


def test_numbered_classes_sort_by_number(make_tree):
    dataset = detect(str(make_tree({str(i): 3 for i in range(11)})))
    assert dataset.classes == tuple(str(i) for i in range(11))


def test_unicode_spaces_nesting_hidden_and_foreign_files(make_tree):
    root = make_tree({"größe 1/früh": 4, "größe 1": 2, "犬": 5, ".cache": 3, "__MACOSX/x": 2}, root="meine bilder é")
    (root / "犬" / "notes.txt").write_text("not an image")
    (root / "犬" / "Thumbs.db").write_bytes(b"x")
    (root / "犬" / ".hidden.png").write_bytes(b"x")
    (root / "readme.md").write_text("not a class")
    dataset = detect(str(root))
    check_source(dataset)
    assert dataset.classes == ("größe 1", "犬") and dataset.skipped == ()
    assert len(dataset.train) + len(dataset.val) + len(dataset.test) == 11


def test_a_linked_folder_that_holds_itself(make_tree):
    root = make_tree({"a": 4, "b": 4})
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "again").symlink_to(root / "a")
    assert len(detect(str(root)).classes) == 2


def test_bad_files_are_named_and_skipped(make_tree, caplog):
    root = make_tree({"cat": 40, "dog": 45}, suffix=".jpg")
    whole = (root / "cat" / "000.jpg").read_bytes()
    (root / "cat" / "000.jpg").write_bytes(whole[:-100])
    (root / "dog" / "001.jpg").write_text("words")
    Image.new("RGB", (1, 1)).save(root / "dog" / "002.jpg")
    with caplog.at_level(logging.WARNING):
        dataset = detect(str(root))
    check_source(dataset)
    assert [message.split(": ")[0] for message in dataset.skipped] == ["cat/000.jpg", "dog/001.jpg", "dog/002.jpg"]
    for named in ("3 of 85", "cat/000.jpg: ", "truncated", "not an image", "1 x 1 px; each side must have at least 4"):
        assert named in caplog.text
    assert not any(image_id in ("cat/000.jpg", "dog/001.jpg") for image_id in dataset.train.ids + dataset.test.ids)
    assert "3 file(s) that cannot be used" in dataset.summary()


def test_only_ten_bad_files_are_named(make_tree, caplog):
    root = make_tree({"cat": 150, "dog": 150}, size=(4, 4))
    for i in range(12):
        (root / "cat" / f"bad{i:02}.png").write_text("words")
    with caplog.at_level(logging.WARNING):
        detect(str(root))
    assert "bad09.png" in caplog.text and "bad10.png" not in caplog.text and "and 2 more" in caplog.text


def test_too_many_bad_files_are_refused(make_tree):
    root = make_tree({"cat": 10, "dog": 10})
    for i in range(2):
        (root / "dog" / f"bad{i}.png").write_text("words")
    with pytest.raises(DataError, match=r"2 of 22 .*5%(?s:.*)dog/bad0.png: not an image"):
        detect(str(root))


def test_every_unusual_mode_passes_the_scan(make_tree):
    root = make_tree({"a": 4, "b": 4})
    noise(0).convert("CMYK").save(root / "a" / "cmyk.jpg")
    noise(0).convert("RGBA").save(root / "a" / "clear.png")
    noise(0).convert("P").save(root / "b" / "palette.gif")
    Image.fromarray(np.zeros((20, 24), np.uint16)).save(root / "b" / "deep.png")
    assert detect(str(root)).skipped == ()


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, ["holds no images", "no files", ".jpg"]),
        ({"cat": 0}, ["holds no images"]),
        ({".": 5}, ["5 image(s) but no class folders", "cat"]),
        ({"cat": 5}, ["only one class, 'cat'", "two"]),
        ({"cat": 5, "dog": 2, "owl": 0}, ["'dog' has 2, 'owl' has 0", "at least 3", "Add images"]),
        ({"train/cat": 5, "train/dog": 1, "val/cat": 1, "val/dog": 1}, ["'dog' has 1", "at least 2"]),
        ({"train/cat": 5, "train/dog": 5, "val/cat": 5}, ["train/ and val/", "only in train/: 'dog'"]),
        ({"train/a": 5, "train/b": 5, "test/a": 5, "test/b": 5, "test/c": 1}, ["only in test/: 'c'"]),
        ({"train/cat": 5, "train/dog": 5, "val/cat": 5, "val/dog": 0}, ["only in train/: 'dog'"]),
        ({"val/cat": 5, "val/dog": 5, "test/cat": 1, "test/dog": 1}, ["no train folder"]),
        ({"train": 5, "val": 5}, ["no class folders"]),
        ({"train/a": 5, "train/b": 5, "val/a": 1, "val/b": 1, "valid/a": 1, "valid/b": 1}, ["'val', 'valid'"]),
    ],
)
def test_unusable_trees_are_refused(make_tree, counts, said):
    root = make_tree(counts)
    with pytest.raises(DataError) as caught:
        detect(str(root))
    for words in said:
        assert words in str(caught.value)


def test_a_folder_of_unknown_types_is_told_the_known_ones(make_tree):
    root = make_tree({"cat": 0, "dog": 0})
    for name in ("cat", "dog"):
        (root / name / "photo.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"only files of type \.heic.*\.jpg"):
        detect(str(root))


def test_every_known_suffix_is_read_in_any_case(make_tree):
    root = make_tree({"a": 3, "b": 3}, suffix=".PNG")
    assert len(detect(str(root)).classes) == 2
    assert {".jpg", ".png", ".webp"} <= SUFFIXES


def test_grey_and_turned_images(make_tree, tmp_path):
    root = make_tree({"a": 3, "b": 3}, mode="L")
    noise(0, mode="L").convert("RGB").save(root / "a" / "three_equal_channels.png")
    assert detect(str(root)).grey
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in "ab":
        for i in range(9):
            noise(i, (30, 12)).save(root / name / f"turned{i}.jpg", exif=exif)
    dataset = detect(str(root))
    assert not dataset.grey and dataset.median_size == (30, 12)


def test_the_seed_and_nothing_else_moves_the_split(make_tree):
    root = make_tree({"cat": 10, "dog": 20})
    first, again, other = detect(root), detect(root), detect(root, seed=1)
    assert first.train.ids == again.train.ids and first.fingerprint == again.fingerprint
    assert first.train.ids != other.train.ids and first.fingerprint != other.fingerprint
    script = "import sys; from ridgepoint.data import detect; print(detect(sys.argv[1]).fingerprint)"
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    run = subprocess.run([sys.executable, "-c", script, str(root)], capture_output=True, text=True, env=environment)
    assert run.stdout.strip() == first.fingerprint


def test_the_fingerprint_sees_other_content(make_tree):
    root = make_tree({"cat": 10, "dog": 20})
    before = detect(root).fingerprint
    noise(99, (50, 50)).save(root / "cat" / "003.png")
    assert detect(root).fingerprint != before


def test_progress_is_told(make_tree):
    told = []
    detect(make_tree({"cat": 3, "dog": 4}), progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 7) for i in range(1, 8)]


def test_a_file_removed_after_the_scan_is_named(make_tree):
    root = make_tree({"cat": 3, "dog": 4})
    dataset = detect(root)
    (root / dataset.train.ids[0]).unlink()
    with pytest.raises(DataError, match=f"{dataset.train.ids[0]}.*no such file"):
        dataset.train.load(0)


def test_real_photographs(shared_data):
    dataset = detect(str(shared_data / "cls_clothing10"))
    check_source(dataset)
    assert len(dataset.test) == 341 and len(dataset.train) + len(dataset.val) == 3068
    assert min(dataset.median_size) == 160 and not dataset.grey and len(dataset.classes) == 10
    assert np.bincount(dataset.test.labels)[dataset.classes.index("t-shirt")] == 81


def test_names_with_control_characters_reach_no_terminal_raw(make_tree, caplog):
    root = make_tree({"\x1b[2Jcat": 30, "dog": 30}, size=(4, 4))
    (root / "\x1b[2Jcat" / "bad.png").write_text("words")
    with caplog.at_level(logging.WARNING):
        told = detect(root).summary()
    assert "\x1b" not in caplog.text + told and "\\x1b[2Jcat/bad.png: not an image" in caplog.text
