"""Names of classes as people and systems write them: sorted, composed, told apart."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridgepoint.data import detect
from ridgepoint.data.names import difference, natural_key
from ridgepoint.errors import DataError


@given(st.lists(st.text(st.characters() | st.sampled_from("0123456789²٣१１aA"), max_size=8), max_size=8))
def test_any_names_can_be_sorted_and_always_the_same_way(names: list[str]):
    ordered = sorted(names, key=natural_key)
    assert sorted(reversed(names), key=natural_key) == ordered


@pytest.mark.parametrize(
    "ordered",
    [
        ["cat", "cat2", "cat10", "dog"],
        ["2", "10", "10a", "a", "a2"],
        ["", "0", "00", "1", "9" * 5000, "1" + "0" * 5000],
        ["٢", "١٠"],
        ["A", "a", "B", "b"],
        ["x²", "x³"],
        ["photos", "photos2", "photos10"],
    ],
)
def test_numbers_are_counted(ordered: list[str]):
    assert sorted(ordered[::-1], key=natural_key) == ordered


def test_class_folders_with_and_without_a_number(make_tree):
    assert detect(make_tree({"cat": 3, "cat2": 3, "dog": 3})).classes == ("cat", "cat2", "dog")


def test_a_missing_folder_beside_numbered_ones(make_tree):
    root = make_tree({"photos": 0, "photos2": 0, "²": 0})
    with pytest.raises(DataError, match=r"no such folder.*did you mean 'photos'"):
        detect(root / "photo")


NFC, NFD = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")


def test_names_are_composed(make_tree):
    dataset = detect(make_tree({NFD: 3, "b": 3}))
    assert dataset.classes == ("b", NFC)
    assert dataset.train.load(0).size == (24, 20)


def test_parts_may_write_one_name_in_two_forms(make_tree):
    root = make_tree({f"train/{NFD}": 3, "train/b": 3, f"test/{NFC}": 3, "test/b": 3})
    assert detect(root).classes == ("b", NFC)


def test_two_folders_of_one_name_are_refused_by_what_differs(make_tree):
    with pytest.raises(
        DataError, match=r"two folders that both read 'café': '.' \(U\+00..\) and '.' \(U\+00..\) as character 4"
    ):
        detect(make_tree({NFC: 3, NFD: 3, "b": 3}))


@pytest.mark.parametrize("other", ["Cat", "cat ", "cat\u200b", "ｃat", " cat"])
def test_names_that_look_alike_are_told(make_tree, other: str):
    (note,) = (note for note in detect(make_tree({"cat": 3, other: 3})).notes if "differ only" in note)
    assert "are they one?" in note


def test_parts_whose_classes_differ_in_case_are_told_so(make_tree):
    with pytest.raises(DataError, match="'Cat', 'cat' differ only in case or spaces"):
        detect(make_tree({"train/cat": 3, "train/b": 3, "val/Cat": 3, "val/b": 3}))


def test_a_difference_is_told_by_code_point():
    assert difference("cat", "cat\u200b") == "nothing and U+200B as character 4"


def test_a_line_break_in_a_name_is_refused(make_tree):
    """A file of labels has a name a line: all that follow would be off by one."""
    with pytest.raises(DataError, match=r"the class 'new\\nline' has a line break in its name"):
        detect(make_tree({"new\nline": 6, "other": 6}))
