"""`.pt2` files from strangers: nothing in them runs, plain ones open, and a refusal says what is wrong."""

import zipfile
from pathlib import Path

import evil_programs
import pytest
import torch
from cli_helpers import call, refused
from evil_programs import EVIL, GRAPH, edited, entries_of, old_form, write
from PIL import Image
from torch import nn
from train_helpers import small_network

from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.runtimes import open_session
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "model.pt2"
    export_for_timing(build(small_network()), small_network().input_shape, path, "torch")
    return path


@pytest.mark.parametrize("hide", EVIL, ids=lambda hide: hide.__name__)
def test_code_in_a_program_never_runs(good: Path, tmp_path: Path, monkeypatch, capfd, hide):
    marker, path = tmp_path / "marker", tmp_path / "evil.pt2"
    write(path, hide(entries_of(good), marker))
    monkeypatch.syspath_prepend(tmp_path / "evil_module")
    with pytest.raises(InputError, match=r"evil\.pt2: .*Export it again"):
        open_session(path, runtime="torch")
    assert not marker.exists()
    assert capfd.readouterr() == ("", "")


def test_the_code_would_run_if_the_file_were_trusted(good: Path, tmp_path: Path):
    """Otherwise the test above would prove nothing."""
    marker = tmp_path / "marker"
    path = write(tmp_path / "evil.pt2", evil_programs.open_size(entries_of(good), marker))
    with pytest.raises(AttributeError):
        torch.export.load(path)
    assert marker.exists()


def test_pickles_of_the_old_form_are_refused(good: Path, tmp_path: Path):
    path = old_form(good, tmp_path / "old.pt2", tmp_path / "marker")
    with pytest.raises(InputError, match=r"old\.pt2: has the form that torch\.export wrote before 2\.8"):
        open_session(path, runtime="torch")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("verb", ["bench", "predict", "eval"])
def test_every_verb_refuses(good: Path, tmp_path: Path, verb: str):
    marker, image = tmp_path / "marker", tmp_path / "x.png"
    path = write(tmp_path / "evil.pt2", evil_programs.weight(entries_of(good), marker))
    Image.new("L", (16, 16)).save(image)
    more = {"bench": ["--rounds", "8"], "predict": [image], "eval": ["digits"]}[verb]
    refused(call(verb, path, *more, "--runtime", "torch"), "evil.pt2", "as a pickle, which could run any code")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("data/aotinductor/model/model.so", "native code that AOTInductor compiled"),
        ("executorch/model.pte", "an ExecuTorch program"),
        ("data/constants/custom_obj_0", "a pickled object"),
    ],
)
def test_code_beside_the_program_is_named(good: Path, tmp_path: Path, name: str, told: str):
    path = write(tmp_path / "m.pt2", {**entries_of(good), name: b"x"})
    with pytest.raises(InputError, match=rf"m\.pt2: holds {told}.*never opened"):
        open_session(path, runtime="torch")


def test_an_archive_that_could_swell_is_refused(good: Path, tmp_path: Path):
    path = write(tmp_path / "m.pt2", {**entries_of(good), "extra/zeros": b"\0" * 10_000_000}, compression=8)
    with pytest.raises(InputError, match=r"m\.pt2: is compressed"):
        open_session(path, runtime="torch")


def test_an_archive_of_another_version_or_of_something_else_is_refused(good: Path, tmp_path: Path):
    path = write(tmp_path / "m.pt2", {**entries_of(good), "archive_version": b"9"})
    with pytest.raises(InputError, match=r"m\.pt2: has archive version '9'; this PyTorch reads 0"):
        open_session(path, runtime="torch")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday/photo.txt", "x")
    with pytest.raises(InputError, match=r"m\.pt2: is an archive without models.model.json: of something else"):
        open_session(path, runtime="torch")


@pytest.mark.parametrize(
    "target", ["torch.ops.aten.from_file.default", "torch.ops.higher_order.while_loop", "math.sin"]
)
def test_operators_that_do_more_than_compute_are_refused(good: Path, tmp_path: Path, target: str):
    def change(document: dict) -> None:
        document["graph_module"]["graph"]["nodes"][0]["target"] = target

    path = write(tmp_path / "m.pt2", edited(entries_of(good), GRAPH, change))
    with pytest.raises(InputError, match=rf"m\.pt2: calls '{target}'"):
        open_session(path, runtime="torch")


def test_a_strangers_plain_program_opens(tmp_path: Path):
    """With an open batch, files beside the graph, and a constant."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 5)
            self.scale = torch.full((1, 4, 1, 1), 2.0)

        def forward(self, x):
            return self.fc((self.conv(x) * self.scale).relu().mean((2, 3)))

    net, path, x = Net().eval(), tmp_path / "theirs.pt2", torch.randn(2, 3, 8, 8)
    program = torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, path, extra_files={"readme.txt": "any (text) at all\n"})
    found = open_session(path, runtime="torch").run(x.numpy())
    torch.testing.assert_close(torch.from_numpy(found), net(x).detach())
