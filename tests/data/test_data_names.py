import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_helpers import check_source

from ridgepoint.data import detect
from ridgepoint.errors import DataError


def test_digits():
    dataset = detect("Digits")
    check_source(dataset)
    assert (dataset.name, dataset.kind, dataset.grey, dataset.median_size) == ("digits", "built-in", True, (8, 8))
    assert len(dataset.train) + len(dataset.val) + len(dataset.test) == 1797
    assert abs(len(dataset.test) - 1797 * 0.2) < 5 and abs(len(dataset.val) - 1797 * 0.2) < 5
    index = int(dataset.train.ids[3].removeprefix("digits/"))
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.asarray(dataset.train.load(3))
    assert dataset.train.labels[3] == bunch.target[index]
    assert pixels.dtype == np.uint8 and abs(pixels - bunch.images[index] * 255 / 16).max() <= 0.5


def write_mnist(root: Path) -> None:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for prefix, count in (("train", 60), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10
        for kind, header, values in (
            ("images-idx3-ubyte", struct.pack(">IIII", 2051, count, 28, 28), images),
            ("labels-idx1-ubyte", struct.pack(">II", 2049, count), labels),
        ):
            (raw / f"{prefix}-{kind}").write_bytes(header + values.tobytes())
            (raw / f"{prefix}-{kind}.gz").write_bytes(gzip.compress(header + values.tobytes()))


def test_torchvision_files_that_are_there(tmp_path, capsys):
    write_mnist(tmp_path)
    dataset = detect("mnist", data_root=tmp_path)
    check_source(dataset)
    assert (dataset.name, dataset.kind, dataset.grey, dataset.median_size) == ("MNIST", "torchvision", True, (28, 28))
    assert len(dataset.test) == 20 and len(dataset.train) == 50 and len(dataset.val) == 10
    assert dataset.test.ids[0] == "MNIST/test/0" and dataset.classes[3] == "3 - three"
    assert "val was drawn from the given train" in dataset.split_note
    assert capsys.readouterr().out == ""


class Planes:
    """Stands for torchvision's SVHN: channels first, labels, no class names; never on disk before the download."""

    downloaded = False

    def __init__(self, root, split, download):
        Planes.downloaded |= download
        if not Planes.downloaded:
            raise RuntimeError("Dataset not found or corrupted.")
        print("a remark")
        self.data = np.zeros((40, 3, 32, 32), np.uint8)
        self.data[:, 0] = 200
        self.labels = np.arange(40) % 10


def test_channels_first_and_downloaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torchvision.datasets.SVHN", Planes)
    dataset = detect("svhn", data_root=tmp_path / "new")
    check_source(dataset)
    assert dataset.classes == tuple("0123456789") and not dataset.grey
    assert dataset.train.load(0).getpixel((0, 0)) == (200, 0, 0)
    assert capsys.readouterr().out == ""


def test_a_failed_download_says_where_files_go(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
    with pytest.raises(DataError) as caught:
        detect("FashionMNIST", data_root=tmp_path)
    for words in ("FashionMNIST", str(tmp_path / "FashionMNIST" / "raw"), "network is unreachable", "digits"):
        assert words in str(caught.value)


def test_unknown_names_get_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given, meant in (("digts", "digits"), ("cifar-10", "CIFAR10"), ("FashonMNIST", "FashionMNIST")):
        with pytest.raises(DataError, match=rf"'{given}'.*did you mean '{meant}'.*Allowed: .*digits"):
            detect(given)


def test_missing_folders_are_told_apart_from_names(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"no such folder.*did you mean 'photos'"):
        detect(str(tmp_path / "fotos"))
    with pytest.raises(DataError, match="no such folder"):
        detect(str(tmp_path / "deep" / "er" / "fotos"))
    with pytest.raises(DataError, match="no such folder"):
        detect("./nowhere_at_all")


@pytest.mark.parametrize("odd", ["~no_such_user_here/photos", "x" * 5000])
def test_what_cannot_be_looked_up_is_refused(odd):
    with pytest.raises(DataError, match=r"cannot be looked up"):
        detect(odd)


@pytest.mark.parametrize("blank", ["", "  ", "\0"])
def test_blank_is_refused(blank):
    with pytest.raises(DataError, match="Give a folder"):
        detect(blank)


def test_a_file_is_refused(tmp_path):
    (tmp_path / "photos.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"is a file.*unpack"):
        detect(str(tmp_path / "photos.zip"))


def test_an_existing_folder_wins_over_a_name(make_tree, monkeypatch):
    monkeypatch.chdir(make_tree({"a": 3, "b": 3}, root="digits").parent)
    assert detect("digits").kind == "class folders"


def test_importing_the_package_does_not_import_torch():
    script = "import sys, ridgepoint.data; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
