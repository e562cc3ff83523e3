"""Folder trees as they come from archives, other tools and other systems."""

import shutil

import pytest
from data_helpers import check_source

from ridgepoint.data import detect
from ridgepoint.data.layout import part_of
from ridgepoint.data.left_out import HELPERS
from ridgepoint.errors import DataError


def tree(train: str, test: str) -> dict[str, int]:
    return {f"{part}/{name}": 5 for part in (train, test) for name in ("cat", "dog")}


@pytest.mark.parametrize(
    "train", ["Training", "TRAIN", "train_set", "trainset", "seg_train", "train2017", "Train Images"]
)
@pytest.mark.parametrize("test", ["Test", "testing", "Val", "Validation", "dev", "test-set", "valid"])
def test_usual_names_of_parts(make_tree, train: str, test: str):
    dataset = detect(make_tree(tree(train, test), size=(4, 4)))
    check_source(dataset)
    assert dataset.classes == ("cat", "dog")
    assert all(image_id.startswith(f"{test}/") for image_id in dataset.test.ids)


@pytest.mark.parametrize("name", ["trainer", "train station", "bus", "tested", "validated train", "1", "", "²"])
def test_other_names_are_no_parts(name: str):
    assert part_of(name) is None


@pytest.mark.parametrize("wrap", ["images", "photos", "data/images", "my photos 2"])
def test_one_folder_around_everything_is_stepped_into(make_tree, wrap: str):
    plain = detect(make_tree({"cat": 5, "dog": 5}, root="plain"))
    wrapped = detect(make_tree({f"{wrap}/cat": 5, f"{wrap}/dog": 5}))
    assert wrapped.classes == ("cat", "dog") and f"{wrap}'" in wrapped.notes[0]
    assert wrapped.fingerprint == plain.fingerprint and wrapped.name == "photos"


def test_a_folder_around_the_classes_of_each_part(make_tree):
    root = make_tree(tree("seg_train/seg_train", "seg_test/seg_test") | {"seg_pred/seg_pred": 4})
    dataset = detect(root)
    check_source(dataset)
    assert dataset.classes == ("cat", "dog") and len(dataset.test) == 10
    assert "left out: folders 'seg_pred', which are none of train, val, test." in dataset.notes


def test_folds_are_not_classes(make_tree):
    folds = {f"fold{fold}/{name}": 2 for fold in range(3) for name in ("cat", "dog", "owl")} | {
        "fold3/cat": 2,
        "fold3/dog": 1,
    }
    with pytest.raises(DataError, match=r"each of 'fold0', 'fold1'.*same names, 'cat', 'dog', so it is not clear"):
        detect(make_tree(folds))
    with pytest.raises(DataError, match="so it is not clear"):
        detect(make_tree(tree("A", "B"), root="other"))


def test_parts_inside_classes_are_turned_round(make_tree):
    inside = {f"{name}/{part}": 3 for part in ("train", "test") for name in ("cat", "dog")}
    with pytest.raises(
        DataError, match=r"each of 'cat', 'dog' holds 'test', 'train'. Put the parts outside.*train/cat"
    ):
        detect(make_tree(inside))


def test_classes_may_hold_folders_of_their_own(make_tree):
    assert detect(make_tree({"cat/2020": 3, "dog/2021": 3})).classes == ("cat", "dog")
    assert detect(make_tree({"cat/images": 3, "dog/images": 3}, root="b")).classes == ("cat", "dog")


HELPER_FOLDERS = (
    *("@eaDir", "__MACOSX", ".thumbnails", ".picasaoriginals", ".ipynb_checkpoints", "lost+found", "$RECYCLE.BIN"),
    *("#recycle", "System Volume Information", ".Trash-1000", "@__thumb", "@Recycle", ".git", "__pycache__"),
)


@pytest.mark.parametrize("name", HELPER_FOLDERS)
def test_other_programs_folders_hold_no_images(make_tree, name: str):
    plain = detect(make_tree({"cat": 5, "dog": 5}, root="plain"))
    helped = {"cat": 5, "dog": 5, f"{name}/x": 4, f"cat/{name}/1.jpg": 2, f"dog/in/{name}": 2}
    dataset = detect(make_tree(helped))
    assert dataset.fingerprint == plain.fingerprint
    visible = not name.startswith(".")
    assert any(f"folders '{name}' (" in note for note in dataset.notes) == visible


def test_every_helper_has_a_reason_and_lower_case_name():
    assert all(reason and pattern == pattern.lower() for pattern, reason in HELPERS.items())


def test_files_of_helpers_are_neither_images_nor_told(make_tree):
    root = make_tree({"cat": 5, "dog": 5})
    for name in ("Thumbs.db", "desktop.ini", "._001.png", ".hidden.png", "SYNOPHOTO_THUMB_M.jpg", "ehthumbs_vista.db"):
        (root / "cat" / name).write_bytes(b"x")
    dataset = detect(root)
    assert dataset.skipped == () and dataset.notes == ()


def test_files_left_out_are_counted_with_what_to_do(make_tree):
    root = make_tree({"cat": 5, "dog": 5})
    for index in range(90):
        (root / "cat" / f"{index}.HEIC").write_bytes(b"x")
    for name in ("a.txt", "b.txt", "film.MP4", "shot.CR2", "noending"):
        (root / "dog" / name).write_bytes(b"x")
    (root / "loose.jpg").write_bytes(b"x")
    files, loose = detect(root).notes
    assert files.startswith("left out: 90 .HEIC files (convert them to JPEG, for example with `mogrify")
    for told in ("1 .MP4 files (take single frames", "1 .CR2 files (raw", "2 .txt files,", "1 files without an ending"):
        assert told in files
    assert loose == f"left out: 1 image(s) directly in '{root}', which belong to no class."
    assert "note: left out: 90 .HEIC" in detect(root).summary()


def test_only_unread_types_are_told_with_what_to_do(make_tree):
    root = make_tree({"cat": 0, "dog": 0})
    for name in ("cat", "dog"):
        (root / name / "a.HEIC").write_bytes(b"x")
    with pytest.raises(DataError, match=r"only files of type \.HEIC\..*Left out: 2 \.HEIC files \(convert"):
        detect(root)


def test_one_folder_under_two_names_is_refused(make_tree):
    root = make_tree({"cat": 5, "dog": 5})
    (root / "kitty").symlink_to("cat")
    with pytest.raises(DataError, match="'cat', 'kitty' are one and the same folder through a link"):
        detect(root)
    root = make_tree({"train/cat": 5, "train/dog": 5}, root="parts")
    (root / "test").symlink_to("train")
    with pytest.raises(DataError, match="'test', 'train' are one and the same folder"):
        detect(root)


def test_a_link_upwards_is_no_class(make_tree):
    plain = detect(make_tree({"cat": 5, "dog": 5}, root="plain"))
    root = make_tree({"cat": 5, "dog": 5})
    (root / "up").symlink_to(root)
    (root / "far").symlink_to(root.parent)
    shutil.rmtree(root.parent / "plain")
    dataset = detect(root)
    assert dataset.fingerprint == plain.fingerprint
    assert "left out: 'far', 'up', links to a folder that they lie in." in dataset.notes
