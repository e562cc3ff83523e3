import numpy as np
import pytest
import torch

from ridgepoint.data import Preprocessing, arrays, choose_input, decode, detect
from ridgepoint.errors import DataError


def test_evaluation_images_are_what_predict_sees(make_tree):
    dataset = detect(make_tree({"a": 6, "b": 6}, size=(90, 70)))
    preprocessing, _ = choose_input(dataset, size=32)
    result = decode(dataset.val, preprocessing, train=False)
    assert result.images.dtype == torch.uint8 and result.images.shape == (len(dataset.val), 3, 32, 32)
    assert result.labels.tolist() == dataset.val.labels.tolist() and result.ids == dataset.val.ids
    assert len(result) == len(dataset.val)
    for i in range(len(result)):
        seen = preprocessing(dataset.val.source.root / dataset.val.ids[i])
        np.testing.assert_array_equal(preprocessing.normalize(result.images[i : i + 1].numpy()), seen)


def test_training_images_keep_a_margin(make_tree):
    dataset = detect(make_tree({"a": 6, "b": 6}, size=(90, 70)))
    preprocessing, _ = choose_input(dataset, size=56)
    told = []
    larger = decode(dataset.train, preprocessing, train=True, progress=lambda *count: told.append(count))
    assert larger.images.shape == (len(dataset.train), 3, 64, 64)
    assert told[-1] == (len(dataset.train),) * 2
    centre = decode(dataset.train, preprocessing, train=False).images
    assert (larger.images[:, :, 4:60, 4:60].int() - centre.int()).abs().max() <= 1


def test_digits_are_enlarged():
    dataset = detect("digits")
    preprocessing, _ = choose_input(dataset)
    result = decode(dataset.test, preprocessing, train=True)
    assert result.images.shape == (len(dataset.test), 1, 16, 16) and result.images.max() > 240


def test_a_file_broken_since_the_scan_is_named(make_tree):
    root = make_tree({"a": 6, "b": 6})
    dataset = detect(root)
    (root / dataset.train.ids[2]).write_text("words")
    with pytest.raises(DataError, match=dataset.train.ids[2]):
        decode(dataset.train, choose_input(dataset)[0], train=True)


def test_what_does_not_fit_in_memory_is_refused(monkeypatch):
    dataset = detect("digits")
    monkeypatch.setattr(arrays, "MAX_MEMORY", 1e-9)
    preprocessing = Preprocessing(height=64, width=64, channels=1, resize=64, mean=(0.5,), std=(0.5,))
    with pytest.raises(DataError, match=r"GiB in memory.*smaller input size"):
        decode(dataset.train, preprocessing, train=False)
