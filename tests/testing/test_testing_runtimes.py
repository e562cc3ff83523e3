"""The kit: every runtime of ours passes it, a stranger's does so from one file, and each fault is found by its law."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_runtime
from cli_helpers import call
from PIL import Image
from torch import nn
from toy_runtime import Boxed, Toy, ToySession
from train_helpers import small_network

from ridgepoint.deploy import reference
from ridgepoint.deploy.runtimes import RUNTIMES, find_runtime, formats, list_runtimes
from ridgepoint.deploy.runtimes.session import Session
from ridgepoint.errors import InputError
from ridgepoint.testing.runtimes import CHECKS, check

# It opens the files of `torch`, and each opening takes it many seconds: what its own sessions do.
COMPILED = {
    "is_found_and_tells_its_conditions": (),
    "computes_what_the_module_computes": pytest.mark.soak,
    "runs_blocks_that_take_tokens": (),
    "leaves_the_process_as_it_is": pytest.mark.soak,
    "can_be_clocked": pytest.mark.soak,
}
OURS = [pytest.param(name, law) for name in RUNTIMES if name != "torch_compile" for law in CHECKS] + [
    pytest.param("torch_compile", law, marks=mark) for law, mark in COMPILED.items()
]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Toy]], Toy]:
    """Registers a runtime for the time of a test."""

    def register(kind: type[Toy]) -> Toy:
        monkeypatch.setattr(toy_runtime, kind.__name__, kind, raising=False)
        monkeypatch.setitem(RUNTIMES, kind.name, f"toy_runtime:{kind.__name__}")
        return find_runtime(kind.name)  # type: ignore[return-value]

    return register


@pytest.mark.parametrize(("name", "law"), OURS)
def test_our_runtimes_pass(name: str, law: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    try:
        runtime = find_runtime(name)
    except InputError as error:  # an extra that is not installed
        pytest.skip(str(error))
    if (why := runtime.missing_to_write() or (None if runtime.runs_here else "writes files only")) is not None:
        pytest.skip(f"runtime '{name}' {why}")
    if name == "torch_compile":  # to build the usual networks takes it a minute
        monkeypatch.setattr(reference, "networks", lambda: (small_network(),))
    CHECKS[law](runtime, tmp_path)


@pytest.mark.parametrize("kind", [Toy, Boxed])
def test_a_stranger_s_runtime_of_one_file_passes(registered, kind: type[Toy]):
    """Of two files, and of a folder."""
    check(registered(kind))


class ForgetsAFile(Toy):
    name = "forgets_a_file"

    def files(self, path: Path) -> tuple[Path, ...]:
        return (path,)


class TakesAnyPrecision(Toy):
    name = "takes_any_precision"

    def expect_precision(self, precision: str) -> str:
        return precision


class SaysFp32(Toy):
    name, precisions = "says_fp32", ("fp32",)


class LeavesSomethingBehind(Toy):
    name = "leaves_something_behind"

    def files(self, path: Path) -> tuple[Path, ...]:
        found = super().files(path)
        path.with_name("cache.bin").write_bytes(b"1")
        return found


class Changed(Toy):
    """A toy whose sessions do something else."""

    session: type[Session]

    def session_class(self) -> type[Session]:
        return self.session


class FirstImageOnly(Changed):
    name = "first_image_only"

    class session(ToySession):
        runtime = "first_image_only"

        def run(self, x_BCHW: np.ndarray) -> np.ndarray:
            return super().run(x_BCHW)[:1]


class Noisy(Changed):
    name = "noisy"

    class session(ToySession):
        runtime = "noisy"

        def run(self, x_BCHW: np.ndarray) -> np.ndarray:
            return super().run(x_BCHW) + np.float32(1e-6 * np.random.default_rng().random())


class OneGelu(Toy):
    name = "one_gelu"

    def export(self, module: nn.Module, *arguments: Any, **how: Any) -> None:
        module = copy.deepcopy(module)
        for part in module.modules():
            if isinstance(part, nn.GELU):
                part.approximate = "none"
        super().export(module, *arguments, **how)


class TakesThreads(Changed):
    name = "takes_threads"

    class session(ToySession):
        runtime = "takes_threads"

        def run(self, x_BCHW: np.ndarray) -> np.ndarray:
            torch.set_num_threads(self.threads)
            return super().run(x_BCHW)


class SaysAnything(Changed):
    name = "says_anything"

    class session(ToySession):
        def __init__(self, path: Path, **how: Any):
            self.files = [each.read_bytes() for each in Toy().files(path)]
            if not self.files[0].startswith(b"{"):
                raise ValueError("boost::archive")
            super().__init__(path, **how)


FAULTS = [
    (ForgetsAFile, "counts_all_of_its_files", "Fetch both"),
    (TakesAnyPrecision, "writes_no_other_precision_than_it_says", "precision int3 is taken"),
    (SaysFp32, "is_found_and_tells_its_conditions", "those of cost.precision"),
    (LeavesSomethingBehind, "counts_all_of_its_files", "leave some behind|leaves some out"),
    (FirstImageOnly, "computes_what_the_module_computes", "shape|mismatch"),
    (OneGelu, "computes_every_activation", "gelu_tanh differs by up to 4.7e-04"),
    (Noisy, "answers_alike_every_time", "not equal"),
    (TakesThreads, "leaves_the_process_as_it_is", None),
    (SaysAnything, "refuses_what_is_no_such_file", "ValueError .boost::archive. in place of an InputError"),
]


@pytest.mark.parametrize(("kind", "law", "told"), FAULTS, ids=lambda each: getattr(each, "name", None))
def test_a_fault_is_found(registered, tmp_path: Path, kind: type[Toy], law: str, told: str | None):
    before = torch.get_num_threads()
    try:
        with pytest.raises((AssertionError, InputError), match=told):
            CHECKS[law](registered(kind), tmp_path)
    finally:
        torch.set_num_threads(before)


def test_check_names_the_runtime_and_the_law(registered):
    with pytest.raises(AssertionError, match=r"runtime 'says_fp32' breaks 'is_found_and_tells_its_conditions': "):
        check(registered(SaysFp32))


def install(folder: Path, name: str, value: str) -> None:
    """What pip leaves of a package that brings a runtime."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[ridgepoint.runtimes]\n{name} = {value}\n")


def test_an_installed_package_brings_a_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every verb knows it then; one that is broken is told where it is asked for, and nowhere else."""
    install(tmp_path, "toy", "toy_runtime:Toy")
    install(tmp_path, "broken", "no_such_module:Nothing")
    monkeypatch.syspath_prepend(tmp_path)
    assert list_runtimes()["toy"] == "toy_runtime:Toy" and formats()["toy"].name == "toy"
    with pytest.raises(InputError, match=r"no_such_module:Nothing' cannot be imported \(ModuleNotFoundError"):
        find_runtime("broken")
    image = tmp_path / "x.png"
    Image.new("RGB", (16, 16)).save(image)
    path = export_kit(tmp_path)
    done = call("predict", path, image, "--top", "4", "--json")
    assert done.returncode == 0 and "Küche" in [row["label"] for row in json.loads(done.stdout)[0]["top"]]
    assert "toy" in call("bench", path, "--rounds", "8", "--busy").stdout
    path.with_suffix(".toyw").unlink()
    done = call("predict", path, image)
    assert done.returncode == 2 and "a toy is two files, model.toy and model.toyw. Fetch both" in done.stderr
    monkeypatch.undo()
    assert "toy" not in list_runtimes() and str(tmp_path) not in sys.path


def export_kit(folder: Path) -> Path:
    from ridgepoint.testing import runtimes

    return runtimes._exported(find_runtime("toy"), folder)
