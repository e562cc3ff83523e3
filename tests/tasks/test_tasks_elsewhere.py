"""Trained detectors and segmenters as files of every runtime that is installed: they score what their source scores."""

import json
from pathlib import Path

import box_helpers as boxes
import numpy as np
import pytest
import torch
from cli_helpers import call, refused
from mask_helpers import write_discs

from ridgepoint.arch.document import parse_network
from ridgepoint.data import ArraySplit, decode
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.quantize import find_quantizer
from ridgepoint.deploy.quantize.quantizer import Recipe
from ridgepoint.deploy.runtimes import RUNTIMES, find_runtime, open_session
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build
from ridgepoint.tasks.detection import DETECTION
from ridgepoint.tasks.segmentation import SEGMENTATION
from ridgepoint.tasks.task import Task
from ridgepoint.train.folder import load_training

TASKS: dict[str, Task] = {"boxes": DETECTION, "masks": SEGMENTATION}
ELSEWHERE = [name for name in RUNTIMES if not name.startswith("torch")]
ROW = {"block": "conv", "kernel": 3, "stride": 2, "out_channels": 16}
NETWORK = {"name": "t", "input": [3, 32, 32], "stem": [ROW], "stages": [{"blocks": [ROW, ROW | {"stride": 1}]}]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A detector and a segmenter that have learnt something, and their data beside them."""
    folder = tmp_path_factory.mktemp("taught")
    (folder / "small.yaml").write_text(json.dumps(NETWORK))
    boxes.make(folder / "boxes", count=64)
    write_discs(folder / "masks", 48, values=(0, 1, 2))
    for kind, recipe in (
        ("boxes", ("--set", "epochs=15", "--set", "optimizer.lr=0.01")),
        ("masks", ("--set", "epochs=8")),
    ):
        words = ("--size", 32, *recipe, "--set", "batch_size=8", "--out", folder / f"of_{kind}")
        done = call("train", folder / "small.yaml", folder / kind, *words)
        assert done.returncode == 0, done.stderr
    return {kind: folder / f"of_{kind}" for kind in TASKS}


@pytest.fixture(scope="module")
def known(runs: dict[str, Path]) -> dict[str, tuple[ArraySplit, np.ndarray]]:
    """By kind: the test images, and what the trained network answers for them."""
    found = {}
    for kind, run in runs.items():
        model, about = load_training(run)
        data = TASKS[kind].read(run.parent / kind, seed=about.data.seed, root=None)
        images = decode(data.test, about.preprocessing, train=False)
        with torch.no_grad():
            found[kind] = images, model(about.preprocessing.normalize(images.images)).numpy()
    return found


def expect(runtime: str) -> None:
    """Skip where a runtime is not installed, or runs its files on other systems."""
    try:
        runs_here = find_runtime(runtime).runs_here
    except InputError as error:
        pytest.skip(str(error))
    if not runs_here:
        pytest.skip(f"runtime '{runtime}' runs its files elsewhere")


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("runtime", ELSEWHERE)
def test_a_file_scores_what_its_source_scores(runtime: str, kind: str, runs, known, tmp_path: Path):
    """Exported and evaluated as users do it; the source by the task itself, on the same images."""
    expect(runtime)
    task, (images, answers) = TASKS[kind], known[kind]
    score = task.score(answers, images.labels).value
    assert score > 0.1, "nothing was learnt, so nothing is told"
    path = tmp_path / f"m{find_runtime(runtime).suffix}"
    done = call("export", runs[kind], "--runtime", runtime, "--out", path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parity"]["agreement"] == 1.0
    told = json.loads(call("eval", path, runs[kind].parent / kind, "--runtime", runtime, "--json").stdout)
    assert told["split"] == "test" and told["count"] == len(images.images)
    assert told[task.metric] == pytest.approx(score, abs=1e-3)


SUPPRESSING = [name for name in ELSEWHERE if find_runtime(name, here=False).suppresses]
"""Each takes two exports; of fewer boxes, tests/tasks/test_tasks_suppression.py has them too."""


@pytest.mark.parametrize(
    "runtime", [pytest.param(name, marks=[pytest.mark.soak] * (name in SUPPRESSING)) for name in ELSEWHERE]
)
def test_suppression_in_the_file_scores_the_same_or_is_refused_in_words(runtime: str, runs, known, tmp_path: Path):
    expect(runtime)
    images, answers = known["boxes"]
    path = tmp_path / f"m{find_runtime(runtime).suffix}"
    words = ("export", runs["boxes"], "--nms", "--runtime", runtime, "--out", path)
    if not find_runtime(runtime).suppresses:
        refused(call(*words), "holds no suppression in its files", "suppress in the app", "--runtime onnxruntime")
        return
    assert call(*words).returncode == 0
    told = json.loads(call("eval", path, runs["boxes"].parent / "boxes", "--runtime", runtime, "--json").stdout)
    assert told["mAP50-95"] == pytest.approx(DETECTION.score(answers, images.labels).value, abs=0.005)


@pytest.mark.parametrize("kind", TASKS)
def test_a_file_of_litert_is_one_part_and_names_what_goes_in_and_comes_out(kind: str, runs, tmp_path: Path):
    expect("litert")
    path = tmp_path / "m.tflite"
    done = call("export", runs[kind], "--out", path)
    assert done.returncode == 0 and not done.stderr
    from ai_edge_litert.interpreter import Interpreter

    (signature,) = Interpreter(model_path=str(path)).get_signature_list().values()
    assert signature == {"inputs": ["image"], "outputs": list(TASKS[kind].outputs)}
    assert open_session(path, runtime="litert").partitions == 1


def test_a_detector_of_six_maps_is_one_part_of_litert(tmp_path: Path):
    """XNNPACK joins the rows of five."""
    expect("litert")
    network = parse_network(NETWORK | {"num_classes": 3, "head": {"head": "ssdlite", "fine": 4}}, source="t")
    path = tmp_path / "m.tflite"
    export_for_timing(build(network).eval(), network.input_shape, path, "litert")
    assert open_session(path, runtime="litert").partitions == 1


def test_what_makes_boxes_of_the_last_layers_answers_stays_in_float_in_litert(runs, known, tmp_path: Path):
    """Places are finer than an image's 256th part."""
    expect("litert")
    source, target = tmp_path / "m.tflite", tmp_path / "int8.tflite"
    assert call("export", runs["boxes"], "--out", source).returncode == 0
    images, _ = known["boxes"]
    seen = load_artefact(source).preprocessing.normalize(images.images).numpy()
    tool = find_quantizer("litert")(source, seen, tmp_path)
    tool.write(Recipe(method="min-max"), target, about=None)
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(target))
    interpreter.allocate_tensors()
    kinds = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    given = {each["op_name"]: kinds[each["outputs"][0]] for each in interpreter._get_ops_details()}
    assert given["CONV_2D"] is np.int8 and given["EXP"] is given["CONCATENATION"] is np.float32


def test_what_makes_boxes_of_the_last_layers_answers_stays_in_float_in_executorch(runs, known, tmp_path: Path):
    expect("executorch")
    images, _ = known["boxes"]
    model, about = load_training(runs["boxes"])
    seen = about.preprocessing.normalize(images.images[:8]).numpy()
    tool = find_quantizer("executorch")(tmp_path / "m.pte", seen, tmp_path, module=model)
    graph = tool._quantised().graph
    after = {str(user.target) for node in graph.nodes if "exp" in str(node.target).split(".") for user in node.users}
    assert after and not any("quantize" in each for each in after)
    assert any("quantize_per_tensor" in str(node.target) for node in graph.nodes)


@pytest.mark.parametrize("kind", TASKS)
def test_a_file_of_core_ml_has_the_task_s_output_and_is_not_said_to_be_compared(kind: str, runs, tmp_path: Path):
    try:
        find_runtime("coreml")
    except InputError as error:
        pytest.skip(str(error))
    path = tmp_path / "m.mlpackage"
    done = call("export", runs[kind], "--out", path)
    assert done.returncode == 0 and "float16, and not compared with its source" in " ".join(done.stdout.split())
    import coremltools

    described = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec().description
    assert tuple(each.name for each in described.output) == TASKS[kind].outputs
    if kind == "boxes":
        refused(call("export", runs[kind], "--nms", "--runtime", "coreml"), "holds no suppression in its files")


def test_scores_of_choices_are_those_of_their_images_alone(known):
    """Looked at once, for what judges int8 by leaving images out: all, some, none of which anything is found on."""
    rng = np.random.default_rng(0)
    for kind, (images, answers) in known.items():
        task, truth = TASKS[kind], images.labels
        if kind == "boxes":
            answers = answers.copy()
            answers[:2, :, 4:] = 0.0  # two images without a box
        choices = [
            np.arange(len(answers)),
            np.arange(2),
            *(np.flatnonzero(rng.random(len(answers)) < 0.6) for _ in "ab"),
        ]
        alone = [task.score(answers[kept], truth[kept]).value for kept in choices]
        assert task.scores(answers, truth, choices) == pytest.approx(alone) and len(set(alone)) > 2
