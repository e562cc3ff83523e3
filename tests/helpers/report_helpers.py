"""A run folder as `ridgepoint fit` leaves it, small: every file is written by the type that the program writes."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
from chromium import set_width
from PIL import Image

from ridgepoint.arch.document import dump_network
from ridgepoint.arch.network import Network
from ridgepoint.arch.words import in_words
from ridgepoint.arch.zoo import load
from ridgepoint.cost.count import cost
from ridgepoint.cost.latency import MeasuredLatency
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.fit.settings import FitSettings
from ridgepoint.report.page import build_report
from ridgepoint.run.evaluation import Evaluation, Mistake, Recall
from ridgepoint.run.records import write_record
from ridgepoint.run.result import (
    Accuracy,
    Agreement,
    Bound,
    Chosen,
    Data,
    FitResult,
    Phase,
    Rival,
    Search,
)
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.study import Study
from ridgepoint.train.metrics import write_metrics

CLASSES = ["circle", "square", "<b>star & moon</b>", "triangle"]
BASELINES = ("mobilenetv3_small_100", "mobileone_s0", "mobilenetv2_100")
BUDGET_MS = 4.0
PREPROCESSING = Preprocessing(height=64, width=64, channels=3, resize=64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
CONFUSION = [[48, 1, 0, 1], [0, 50, 0, 0], [2, 0, 45, 3], [0, 1, 0, 49]]


def stopwatch(ms: float) -> MeasuredLatency:
    return MeasuredLatency(
        ms=ms,
        median_ms=ms * 1.02,
        p90_ms=ms * 1.07,
        spread=0.021,
        drift=0.0,
        slowdown=1.0,
        runtime="onnxruntime",
        runtime_version="1.22.0",
        device="Some CPU, 2 cores",
        threads=1,
        precision="float32",
        warmup=20,
        rounds=5,
        runs=250,
        file_bytes=1_530_000,
    )


def small(name: str) -> Network:
    """A zoo network for the four classes, at 64 pixels."""
    return load(name).at(height=64).with_classes(len(CLASSES))


def told(network: Network) -> dict[str, Any]:
    """What `Chosen` and `Rival` tell alike."""
    return {
        "name": network.name,
        "digest": network.digest,
        "about": in_words(network),
        "input": list(network.input),
        "params": cost(network).params,
        "deploy_params": cost(network, form="deploy").params,
        "macs": cost(network, form="deploy").macs,
        "steps": 120,
        "epochs": 12.0,
        "train_s": 40.0,
    }


def accuracy(*, val: float, test: float) -> Accuracy:
    return Accuracy(artefact=test, trained=test, balanced=test - 0.01, majority=0.25, val=val, count=200)


def rival(network: Network, role: str, *, ms: float, val: float, test: float) -> Rival:
    latency, found = stopwatch(ms), accuracy(val=val, test=test)
    return Rival(**told(network), role=role, latency=latency, met=ms <= BUDGET_MS, accuracy=found)


def result(network: Network, folder: Path) -> FitResult:
    """What `finish` writes, by its own type: a key that it does not know cannot stand here."""
    baselines = [
        rival(small(name), "zoo", ms=ms, val=0.91 + 0.02 * index, test=0.9 + 0.025 * index)
        for index, (name, ms) in enumerate(zip(BASELINES, (1.4, 2.5, 5.2), strict=True))
    ]
    runner_up = msgspec.structs.replace(small("mobilenetv2_050"), name="runner-up")
    command = "ridgepoint fit shapes/ --latency 4ms --seed 3"
    return FitResult(
        command=command,
        reproduce=[f"{command} --evaluations 30"],
        name="shapes",
        created="2025-03-01T10:20:30+00:00",
        run=str(folder),
        data=Data(
            name="shapes",
            kind="class folders",
            classes=CLASSES,
            counts={"train": 640, "val": 160, "test": 200},
            summary="1000 images in 4 classes\nsizes from 60x60 to 72x80 pixels",
            split_note="64 % train, 16 % val, 20 % test, by class, seed 3",
            skipped=["shapes/circle/broken.png: truncated"],
            input_reason="64x64: the median image is 64 pixels high",
            preprocessing=msgspec.to_builtins(PREPROCESSING),
        ),
        architecture=str(folder / "architecture.yaml"),
        artefact=str(folder / "model.onnx"),
        labels=str(folder / "labels.txt"),
        report=str(folder / "report.html"),
        network=Chosen(**told(network)),
        budget_ms=BUDGET_MS,
        latency=stopwatch(3.1),
        met=True,
        accuracy=accuracy(val=0.97, test=0.96),
        parity=Agreement(max_abs_diff=3.1e-6, top1_agreement=1.0, count=64),
        finalists=[
            rival(network, "finalist", ms=3.1, val=0.97, test=0.96),
            rival(runner_up, "finalist", ms=3.6, val=0.955, test=0.94),
        ],
        baselines=baselines,
        search=Search(
            space="mobilenetv4_conv",
            space_size=2.4e9,
            method="nsga2",
            reason="the budget allows 30 short trainings",
            evaluations=30,
            seconds=310.0,
        ),
        bound=Bound(evaluations=30),
        seed=3,
        phases=[
            Phase(name="latency table", seconds=21.0),
            Phase(name="search", seconds=310.0),
            Phase(name="full trainings", seconds=190.0),
        ],
        versions={"ridgepoint": "0.1.0", "torch": "2.11", "onnxruntime": "1.22.0"},
        warnings=["1 file could not be read and was skipped"],
        wall_s=528.0,
    )


def write_result(folder: Path, **changes: Any) -> None:
    path = folder / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def words(run: Path) -> str:
    """The page's visible text: no scripts, styles or tags, single spaces."""
    page = build_report(run).read_text(encoding="utf-8")
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def make_run(folder: Path) -> Path:
    """A finished run: 30 search candidates, 28 of them tabled; two finalists, one of which won; three baselines."""
    folder.mkdir(parents=True)
    network = msgspec.structs.replace(small("mobilenetv4_conv_small"), name="winner")
    (folder / "architecture.yaml").write_text(dump_network(network))
    write_record(folder / "result.json", result(network, folder))
    settings = FitSettings(data="shapes/", latency_ms=BUDGET_MS, evaluations=30, seed=3)
    write_record(folder / "settings.json", settings)
    _write_study(folder, network)
    for index, name in enumerate((network.name, *BASELINES)):
        _write_metrics(folder / "trainings" / name, offset=0.02 * index)
    _write_evaluation(folder)
    return folder


def _write_study(folder: Path, network: Network) -> None:
    study = Study(folder)
    for index in range(30):
        candidate = Candidate(
            name=f"candidate-{index}",
            phase="search",
            network=msgspec.structs.replace(network, name=f"candidate-{index}"),
            seed=3,
            tabled_ms=None if index < 2 else 1.2 + 0.13 * index,
            short_accuracy=0.7 + 0.19 * (index * 7 % 30) / 30,
            train_s=8.0,
        )
        study.record(candidate)
    runner_up = msgspec.structs.replace(small("mobilenetv2_050"), name="runner-up")
    for phase, member, ms, accuracy in (("winner", network, 3.1, 0.97), ("finalist", runner_up, 3.6, 0.955)):
        study.record(
            Candidate(name=member.name, phase=phase, network=member, seed=3, measured_ms=ms, val_accuracy=accuracy)
        )


def _write_metrics(folder: Path, *, offset: float) -> None:
    folder.mkdir(parents=True)
    rows = [
        {
            "step": 10 * step,
            "epoch": step,
            "progress": step / 12,
            "learning_rate": 1e-3,
            "loss": 1.4 * 0.78**step + offset,
            "train_accuracy": 0.98 - 0.6 * 0.7**step,
            "val_accuracy": 0.97 - offset - 0.6 * 0.72**step,
            "elapsed_s": 3.0 * step,
        }
        for step in range(1, 13)
    ]
    write_metrics(folder, rows)


def _write_evaluation(folder: Path) -> None:
    (folder / "mistakes").mkdir()
    mistakes = []
    for index, (true, predicted) in enumerate([(0, 1), (2, 3), (2, 0), (3, 1), (2, 3)]):
        Image.effect_noise((16, 16), 60 + 30 * index).save(folder / "mistakes" / f"{index}.png")
        mistakes.append(
            Mistake(
                id=f"{index}.png",
                true=CLASSES[true],
                predicted=CLASSES[predicted],
                probability=0.5 + 0.08 * index,
                image=f"mistakes/{index}.png",
            )
        )
    per_class = [
        Recall(label=name, count=sum(row), recall=row[index] / sum(row))
        for index, (name, row) in enumerate(zip(CLASSES, CONFUSION, strict=True))
    ]
    evaluation = Evaluation(classes=CLASSES, confusion=CONFUSION, mistakes=mistakes, per_class=per_class)
    write_record(folder / "evaluation.json", evaluation)


def open_page(browser: Any, address: str, *, width: int) -> None:
    """Open a page in a window of a width and wait until its figures are drawn."""
    from selenium.webdriver.support.wait import WebDriverWait

    set_width(browser, width)
    browser.get_log("browser")
    browser.get(address)
    drawn = "return document.documentElement.dataset.drawn"
    WebDriverWait(browser, 30, poll_frequency=0.02).until(lambda _: browser.execute_script(drawn))
