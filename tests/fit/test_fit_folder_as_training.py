"""A fit's folder stands for its chosen network wherever a training's folder may be given."""

from pathlib import Path

import msgspec
import pytest
from train_helpers import small_network

from ridgepoint.cli.main import main
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.errors import RunError
from ridgepoint.nn.build import build
from ridgepoint.train.folder import About, load_training, save_training, training_of, weight_file

PREPROCESSING = Preprocessing(height=32, width=32, channels=3, resize=32, mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.fixture
def fit(tmp_path: Path) -> Path:
    """What matters of a fit's folder: two trainings, one of them chosen."""
    run = tmp_path / "fit"
    for name in ("mobilenetv3_small_050", "mobilenetv2_050"):
        (run / "trainings" / name).mkdir(parents=True)
        about = About(labels=("a", "b"), preprocessing=PREPROCESSING, val_accuracy=0.5, steps=1, seconds=1.0)
        network = small_network().at(height=32, channels=3).with_classes(2)
        network = msgspec.structs.replace(network, name=name)
        save_training(run / "trainings" / name, build(network).eval(), about)
    (run / "model.onnx").write_bytes(b"")
    return run


def finish(run: Path) -> None:
    latency = {
        "kind": "measured", "ms": 1.0, "p90_ms": 1.0, "spread": 0.0, "device": "a CPU", "runtime": "onnxruntime",
        "runtime_version": "1", "threads": 1, "precision": "float32", "warmup": 1, "rounds": 1, "runs": 1,
        "file_bytes": 1,
    }  # fmt: skip
    result = {
        "command": "ridgepoint fit", "name": "fit", "data": {"name": "x"}, "artefact": "model.onnx", "budget_ms": 2.0,
        "network": {"name": "mobilenetv2_050", "input": [3, 32, 32], "params": 1, "macs": 1},
        "latency": latency, "met": True, "accuracy": {},
    }  # fmt: skip
    (run / "result.json").write_bytes(msgspec.json.encode(result))


def test_its_chosen_network_is_meant(fit: Path) -> None:
    finish(fit)
    assert load_training(fit)[0].network.name == "mobilenetv2_050"
    assert weight_file(str(fit)) == str(fit / "trainings" / "mobilenetv2_050" / "weights.safetensors")
    assert training_of(fit / "trainings" / "mobilenetv3_small_050").name == "mobilenetv3_small_050"


def test_an_unfinished_fit_is_none(fit: Path) -> None:
    with pytest.raises(RunError, match="holds no finished training"):
        load_training(fit)


def test_export_says_that_it_is_there_or_makes_another_form(
    fit: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(fit)

    def export(*more: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["ridgepoint", "export", str(fit), *more])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    code, said = export()
    assert code == 2 and f"{fit / 'model.onnx'} is exported, checked and clocked already" in said
    assert (fit / "model.onnx").read_bytes() == b""
    out = fit.parent / "batch.onnx"
    assert export("--out", str(out), "--dynamic-batch")[0] == 0 and out.stat().st_size > 10_000
