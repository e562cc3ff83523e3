"""Weight files as trainings and downloads leave them: which set is taken, what is stripped, and what is refused."""

import os
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from ridgepoint.arch.closing import Closing
from ridgepoint.errors import InputError
from ridgepoint.fit.pretrained import networks_for
from ridgepoint.nn.create import create_model
from ridgepoint.nn.hub import read_weights
from ridgepoint.nn.weights import load_weights, save_weights

NAME = "mobilenetv3_small_050"


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return create_model(NAME, num_classes=3).state_dict()


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "model._orig_mod.module."])
def test_a_prefix_that_all_names_share_is_left_out_and_told(tensors, tmp_path: Path, prefix: str):
    wrapped = {prefix + name: value for name, value in tensors.items()}
    model = create_model(NAME, num_classes=3)
    report = load_weights(model, saved(tmp_path / "w.pth", {"state_dict": wrapped}))
    assert report.notes == (f"'{prefix}' before every name is left out",)
    assert all(torch.equal(value, tensors[name]) for name, value in model.state_dict().items())
    assert load_weights(create_model(NAME, num_classes=3), wrapped).tensors == len(tensors)


def test_of_several_sets_the_averaged_one_is_taken_and_told(tensors, tmp_path: Path):
    averaged = {name: value * 0 + 1 for name, value in tensors.items()}
    both = {"epoch": 3, "state_dict": tensors, "state_dict_ema": averaged, "optimizer": {"state": {}, "lr": 0.1}}
    found = read_weights(saved(tmp_path / "both.pth", both))
    assert found.notes == ("of 'state_dict_ema', 'state_dict' the averaged weights 'state_dict_ema' are taken",)
    assert all(bool((value == 1).all()) for value in found.tensors.values())
    nested = {"model": tensors, "ema": {"module": {f"module.{name}": value for name, value in averaged.items()}}}
    assert bool((read_weights(saved(tmp_path / "nested.pth", nested)).tensors["stem.0.conv.weight"] == 1).all())


def test_what_torchs_own_average_saves_loads(tensors, tmp_path: Path):
    model = create_model(NAME, num_classes=3)
    model.load_state_dict(tensors)
    average = torch.optim.swa_utils.AveragedModel(model)
    report = load_weights(create_model(NAME, num_classes=3), saved(tmp_path / "w.pth", average.state_dict()))
    assert report.tensors == len(tensors)


@pytest.mark.parametrize("kind", [".pth", ".safetensors", "given"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused_by_name(tensors, tmp_path: Path, kind: str, value: float):
    name = "stem.0.norm.running_var"
    bad = OrderedDict(tensors) | {name: torch.full_like(tensors[name], value)}
    model = create_model(NAME, num_classes=3)
    model.load_state_dict(bad)
    if kind == ".safetensors":
        save_weights(model, tmp_path / "w.safetensors")
    source = bad if kind == "given" else tmp_path / f"w{kind}"
    if kind == ".pth":
        saved(source, bad)
    with pytest.raises(InputError, match=rf"'{name}' hold values that are infinite or no numbers"):
        load_weights(create_model(NAME, num_classes=3), source)


def test_a_variance_below_zero_and_whole_numbers_do_not_fit(tensors):
    name = "stem.0.norm.running_var"
    for value, told in ((-tensors[name] - 1, "a variance, has values below 0"), (tensors[name].int(), "holds int32")):
        with pytest.raises(InputError, match=told):
            load_weights(create_model(NAME, num_classes=3), {**tensors, name: value})


UNUSUAL = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "complex": lambda: torch.ones(3, dtype=torch.complex64),
    "no tensor but int": lambda: 3,
    "claim more": lambda: torch.ones(1).expand(10**10),
}


@pytest.mark.parametrize("told", UNUSUAL)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_no_network_has_are_refused(tmp_path: Path, told: str):
    with pytest.raises(InputError, match=rf"w\.pth: .*({told}|holds no state dict)"):
        read_weights(saved(tmp_path / "w.pth", {"a": torch.ones(1), "b": UNUSUAL[told]()}))


def _script(path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(path))


def _archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photos/1.jpg", b"x")


def _compressed(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 1_000_000)


def _cut(path: Path) -> None:
    saved(path, {"a": torch.ones(1000)})
    path.write_bytes(path.read_bytes()[:-1500])


BROKEN = {
    "is empty": lambda path: path.write_bytes(b""),
    "is a web page": lambda path: path.write_bytes(b"<!DOCTYPE html><title>404</title>"),
    "a pointer that Git LFS left": lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"),
    "is a zip archive of something else": _archive,
    "is a compressed archive": _compressed,
    "is a TorchScript program": _script,
    "is no file of PyTorch, or a damaged one": _cut,
    "holds no state dict": lambda path: saved(path, [1, 2]),
    "holds no tensors": lambda path: saved(path, {}),
    "objects besides tensors": lambda path: saved(path, {"model": nn.Linear(2, 2)}),
    "is no regular file": os.mkfifo,
    "is a folder": Path.mkdir,
}


@pytest.mark.parametrize("told", BROKEN)
@pytest.mark.filterwarnings("ignore")
def test_what_holds_no_weights_is_told_as_what_it_is(tmp_path: Path, told: str):
    path = tmp_path / "w.pth"
    BROKEN[told](path)
    with pytest.raises(InputError, match=told) as raised:
        read_weights(path)
    assert "weights_only" not in str(raised.value) and "trust" not in str(raised.value)
    assert str(path) in str(raised.value) and len(str(raised.value)) < 600
    with pytest.raises(InputError, match=told):
        networks_for(str(path), Closing(num_classes=3), channels=3, height=32, width=32)


@pytest.mark.parametrize(
    "text", ["timm/weights.pth", "missing.safetensors", "hf-hub:../x y", "hf-hub:", "timm/" + "x" * 300]
)
def test_only_a_hub_id_asks_the_hub(monkeypatch, text: str):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"there is no weight file|is no hub id|cannot be reached|cannot be fetched"):
        read_weights(text)
