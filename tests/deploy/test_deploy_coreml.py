"""Core ML: what is written is read again; nothing here runs it, and nothing says that it was compared."""

from pathlib import Path

import pytest
import torch

from ridgepoint.deploy.companion import read_entry
from ridgepoint.deploy.export import export_artefact
from ridgepoint.deploy.runtimes import find_runtime, open_session
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.errors import InputError, ParityError
from ridgepoint.testing import runtimes as kit


@pytest.fixture(scope="module")
def coreml() -> Runtime:
    try:
        return find_runtime("coreml")
    except InputError as error:
        pytest.skip(str(error))


def exported(folder: Path, **how: str) -> Path:
    path = folder / "model.mlpackage"
    about = {"network": kit._network(), "preprocessing": kit._preprocessing(), "labels": kit.LABELS}
    export_artefact(kit._model(), path, runtime="coreml", **about, **how)
    return path


def test_files_are_float16_unless_told_otherwise(coreml: Runtime, tmp_path: Path):
    (tmp_path / "wide").mkdir()
    half, whole = exported(tmp_path), exported(tmp_path / "wide", precision="float32")
    told = [read_entry(path) for path in (half, whole)]
    assert [entry and (entry.precision, entry.parity) for entry in told] == [("float16", None), ("float32", None)]
    sizes = [(path / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size for path in (half, whole)]
    assert 1.4 < sizes[1] / sizes[0] <= 2.0
    with pytest.raises(InputError, match="runs no files on this system"):
        open_session(half, runtime="coreml")


def test_what_is_not_what_it_should_be_is_refused(coreml: Runtime, tmp_path: Path):
    from ridgepoint.deploy.runtimes.coreml import _check

    exported(tmp_path)
    import coremltools

    spec = coremltools.models.MLModel(str(tmp_path / "model.mlpackage"), skip_model_load=True).get_spec()
    _check(spec, tmp_path, torch.zeros(1, 3, 16, 16), ("logits",))
    for shape, outputs in (((1, 3, 32, 32), ("logits",)), ((1, 3, 16, 16), ("boxes",))):
        with pytest.raises(ParityError, match=r"takes \{'image': \(1, 3, 16, 16\)\} and gives \('logits',\)"):
            _check(spec, tmp_path, torch.zeros(shape), outputs)
