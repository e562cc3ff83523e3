"""A stranger's task of one file does all that classification does: trained, searched, exported, judged and shown."""

import json
from pathlib import Path

import msgspec
import onnx
import pytest
from brightness_task import TASK
from cli_helpers import call, refused
from fit_helpers import SPACE

from ridgepoint.arch.space import load_space
from ridgepoint.cost.roofline import Roofline
from ridgepoint.errors import InputError
from ridgepoint.search.driver import run_search
from ridgepoint.search.judges import InTurn
from ridgepoint.search.method import Problem
from ridgepoint.search.methods import find_method
from ridgepoint.search.scores import score
from ridgepoint.search.study import Study
from ridgepoint.tasks.reading import find_task, read
from ridgepoint.train.accelerator import CPU
from ridgepoint.train.loop import Bound
from ridgepoint.train.recipe import load_recipe
from ridgepoint.workers.judging import ShortTraining
from ridgepoint.workers.setup import TrainingSetup

pytestmark = pytest.mark.usefixtures("installed")
QUICK = ("--set", "batch_size=16", "--set", "optimizer.lr=0.02")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE)
    return path


def test_each_task_reads_its_own_format(photos: Path):
    task, data = read(photos, seed=1)
    assert task is TASK and (len(data.train), len(data.val), len(data.test)) == (48, 16, 16)
    other, digits = read("digits")
    assert other.name == "classification" and len(digits.classes) == 10


def test_trained_exported_evaluated_and_asked(photos: Path, space: Path, tmp_path: Path):
    network = tmp_path / "small.yaml"
    tiny = load_space(space)
    chosen = tiny.decode(tiny.complete(lambda choice: 0))
    network.write_bytes(msgspec.json.encode(chosen))
    run = tmp_path / "run"
    done = call("train", network, photos, "--size", 16, "--set", "epochs=30", *QUICK, "--out", run, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["task"], result["metric"]) == ("brightness", "closeness")
    assert result["accuracy"]["test"] > 0.85 and result["score"]["parts"]["error"] == pytest.approx(
        1 - result["accuracy"]["test"]
    )
    assert "recall" not in result and "a brightness table" in done.stderr
    page = (run / "report.html").read_text()
    assert "test closeness" in page and "bright</b>" in page
    assert " accuracy" not in page.split("<script")[0]

    exported = call("export", run, "--json")
    assert exported.returncode == 0, exported.stderr
    parity = json.loads(exported.stdout)["parity"]
    assert (parity["agrees"], parity["agreement"]) == ("equal to 0.01", 1.0) and "top1_agreement" not in parity

    graph = onnx.load(run / "model.onnx").graph
    assert [each.name for each in graph.output] == ["brightness"]
    told = json.loads((run / "ridgepoint.json").read_text())
    assert '"task": "brightness"' in json.dumps(told)

    judged = call("eval", run / "model.onnx", photos, "--json")
    found = json.loads(judged.stdout)
    assert found["split"] == "test" and found["closeness"] == pytest.approx(result["accuracy"]["test"], abs=1e-4)
    assert "Mean error" in call("eval", run / "model.onnx", photos, "--split", "all").stdout
    (said,) = json.loads(call("predict", run / "model.onnx", photos / "79.png", "--json").stdout)
    assert said["brightness"] == pytest.approx(0.9, abs=0.3)
    refused(call("eval", run / "model.onnx", "digits"), "nothing that brightness reads")


def test_a_search_maximises_its_score(photos: Path, space: Path, tmp_path: Path):
    task, data = read(photos, seed=1)
    preprocessing, _ = task.input(data, 16)
    recipe = load_recipe("small_images", {"batch_size": 16, "optimizer.lr": 0.02})
    setup = TrainingSetup(
        task=task, dataset=data, preprocessing=preprocessing, recipe=recipe, finetune=recipe,
        augmentation=task.augmentation(data, preprocessing), accelerator=CPU,
    )  # fmt: skip
    judge = ShortTraining(tmp_path, setup, Bound(epochs=4), seed=3, limit_ms=1e9)
    closed = load_space(space).closed(**task.head(data).keys())
    problem = Problem(
        latency=Roofline("pixel6-cpu"), budget_ms=1e9, judge=judge, seed=3, space=closed, evaluations=3
    )  # fmt: skip
    found = run_search(problem, find_method("random").method, Study(tmp_path), judges=InTurn(judge))
    judged = [each for each in found if each.short_accuracy is not None]
    assert len(judged) == 3 and all(each.network.num_classes == 1 for each in judged)
    assert all(0.2 < each.short_accuracy <= 1.0 for each in judged)
    assert 0.0 < score("grad_norm", judged[0].network, judge, seed=0) < float("inf")
    weights = judge.weights(closed)
    child = closed.complete(lambda choice: 0)
    losses = [weights.teach(step, step / 20, [child]) for step in range(20)]
    assert losses[-1] < losses[0] and 0.2 < weights.accuracy_on_all(child) <= 1.0


def test_a_whole_fit(photos: Path, space: Path, tmp_path: Path):
    run = tmp_path / "run"
    done = call(
        "fit", photos, "--latency", "20ms", "--size", 16, "--space", space, "--evaluations", 2, "--baselines", 0,
        "--set", "epochs=8", "--set", "short_epochs=2", *QUICK,
        "--table", tmp_path / "table.json", "--out", run, "--busy",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((run / "result.json").read_text())
    assert (result["task"], result["metric"]) == ("brightness", "closeness") and result["met"]
    assert result["score"]["value"] == result["accuracy"]["artefact"] > 0.6
    assert result["score"]["parts"].keys() == {"error"} and result["accuracy"]["balanced"] is None
    assert result["parity"]["agreement"] == 1.0 and result["parity"]["top1_agreement"] is None
    page = (run / "report.html").read_text()
    assert "Furthest off" in page and "same brightness as the trained network" in page
    assert "confusion" not in page.split("<script")[0] and "Closeness against latency" in page
    assert "Furthest off" in done.stdout and "Closeness" in done.stdout
    again = call("eval", run, photos, "--json")
    assert json.loads(again.stdout)["closeness"] == pytest.approx(result["score"]["value"], abs=1e-6)


def test_a_task_that_is_not_here_is_refused():
    with pytest.raises(InputError, match="there is no task 'brightnes' here; did you mean 'brightness'"):
        find_task("brightnes")
