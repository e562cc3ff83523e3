"""The public surface: its names, the lines that people copy first, and what importing it costs."""

import functools
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fit_helpers import SPACE_FILE
from PIL import Image

import ridgepoint
import ridgepoint as rp

NAMES = [
    "build",
    "cost",
    "create_model",
    "export",
    "fit",
    "fuse",
    "list_models",
    "load",
    "load_space",
    "measure",
    "predict_latency",
    "search",
]


def in_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_public_names_are_pinned():
    """Whoever changes this list changes a contract: say so in the changelog."""
    assert sorted(ridgepoint.__all__) == NAMES
    assert all(callable(getattr(rp, name)) for name in NAMES)
    assert rp.__version__


@pytest.mark.parametrize("name", NAMES)
def test_every_public_function_is_documented_and_typed(name: str):
    function = getattr(rp, name)
    assert (inspect.getdoc(function) or "").strip()
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())


def test_importing_is_light():
    code = "import sys, ridgepoint; print([m for m in ('torch', 'onnx', 'optuna', 'plotly') if m in sys.modules])"
    assert in_fresh_python(code).strip() == "[]"


def test_networks_costs_and_spaces_need_no_torch():
    code = (
        "import sys, numpy as np, ridgepoint as rp\n"
        "net = rp.load('mobilenetv4_conv_small'); rp.cost(net); rp.predict_latency(net, device='pixel6-cpu')\n"
        "rp.load_space('mobilenetv4_conv').sample(np.random.default_rng(0)); rp.list_models('*')\n"
        "print('torch' in sys.modules)"
    )
    assert in_fresh_python(code).strip() == "False"


def test_functions_are_not_replaced_by_modules_of_the_same_name():
    """Whichever was imported first; and none of it waits for scipy, which takes a second or two."""
    code = (
        "import sys, ridgepoint as rp\n"
        "for module in ('cost.roofline', 'cost.table', 'fit.pipeline', 'deploy.measure', 'deploy.bench', 'cli.main'):\n"
        "    __import__(f'ridgepoint.{module}')\n"
        "    print(callable(rp.cost), callable(rp.fit), 'scipy' in sys.modules)"
    )
    assert set(in_fresh_python(code).splitlines()) == {"True True False"}


def test_the_first_lines_that_people_copy():
    """The README's lines on networks, counts, predictions and modules."""
    import torch

    net = rp.load("mobilenetv4_conv_small")
    assert rp.cost(net).macs > 1e8
    assert rp.cost("mobilenetv4_conv_small").params == rp.cost(net).params
    predicted = rp.predict_latency(net, device="pixel6-cpu")
    assert predicted.kind == "predicted" and predicted.ms > 0
    assert net.name in rp.list_models("mobilenetv4*")

    model = rp.create_model(net, num_classes=10).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(rp.fuse(model)(x), model(x), rtol=1e-3, atol=1e-4)
        assert rp.build(net.at(height=64), num_classes=7).eval()(x).shape == (2, 7)

    space = rp.load_space("mobilenetv4_conv")
    assert space.size > 1e15 and space.contains(space.sample(np.random.default_rng(0)))


def test_export_and_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from train_helpers import small_network

    from ridgepoint.data import Preprocessing
    from ridgepoint.deploy import measure

    # Nobody here waits for a calm machine, for a quarter of a minute each time.
    monkeypatch.setattr(measure, "measure", functools.partial(measure.measure, patience_s=0.0))

    net = small_network().with_classes(3)
    shown = Preprocessing(height=16, width=16, channels=1, resize=16, mean=(0.5,), std=(0.5,))
    given = {"network": net, "preprocessing": shown, "labels": ["a", "b", "c"]}
    path = rp.export(rp.build(net).eval(), tmp_path / "m.onnx", **given, dynamic_batch=True)
    assert path == tmp_path / "m.onnx"
    for what in (path, str(path), net):
        latency = rp.measure(what)
        assert latency.kind == "measured" and 0 < latency.ms <= latency.p90_ms
    with pytest.raises(ValueError, match="unknown runtime"):
        rp.measure(net, runtime="abacus")


def test_errors_are_values_errors_of_one_family():
    from ridgepoint.errors import RidgepointError

    with pytest.raises(RidgepointError, match="did you mean 'mobilenetv4_conv_small'"):
        rp.load("mobilenetv4_conv_smal")
    with pytest.raises(ValueError, match="no setting 'thread'; did you mean 'threads'"):
        rp.fit("digits", latency_ms=1.0, thread=1)


def test_fit_on_a_folder_of_images(tmp_path: Path):
    """Two classes that a child can tell apart, a dozen images each; and a network of the zoo to beat."""
    rng = np.random.default_rng(0)
    for label, bright in (("dark", 40), ("light", 210)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(14):
            pixels = np.clip(rng.normal(bright, 20, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    result = rp.fit(
        tmp_path / "photos",
        latency_ms=0.3,
        device="pixel6-cpu",
        space=str(SPACE_FILE),
        out=tmp_path / "run",
        evaluations=1,
        baselines=1,
        changes={"epochs": 1, "short_epochs": 1},
    )
    assert Path(result["artefact"]).is_file() and 0 <= result["accuracy"]["artefact"] <= 1
    assert result["met"] and 0 < result["latency"]["ms"] <= 0.3
    (rival,) = result["baselines"]
    assert rival["role"] == "zoo" and rival["name"] in rp.list_models() and rival["accuracy"]["artefact"] is not None
    assert rival["name"] in (tmp_path / "run" / "report.html").read_text()
    assert (tmp_path / "run" / "report.html").is_file()
    assert json.loads((tmp_path / "run" / "result.json").read_text())["artefact"] == result["artefact"]
