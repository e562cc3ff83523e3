"""The page of a training and of a distillation: what it says, what it shows of the images, and in a real browser."""

import base64
import io
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from report_helpers import open_page

from ridgepoint.cli.main import main
from ridgepoint.errors import RunError
from ridgepoint.report.page import build_report
from ridgepoint.train.samples import SAMPLES, Sample

NETWORK = """
name: small
input: [1, 16, 16]
num_classes: 10
stem: [{block: conv, kernel: 3, stride: 2, out_channels: 8}]
stages: [{blocks: [{block: uib, start_kernel: 0, middle_kernel: 3, expand_ratio: 2, stride: 2, out_channels: 24}]}]
head: {head: pooled, conv_channels: 48}
"""
GROWING = "curriculum=[{start: 0.0, resolution: 0.5}, {start: 0.5}]"


def ran(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr("sys.argv", ["ridgepoint", *map(str, words), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A training with mixed pairs that grows in resolution, and a distillation of it."""
    folder = tmp_path_factory.mktemp("trainings")
    network, found = folder / "small.yaml", {name: folder / name for name in ("train", "distill")}
    network.write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        mixing = ("--set", "mixing={mixup: 0.8, cutmix: 1.0}", "--set", GROWING)
        ran(patch, "train", network, "digits", "--set", "epochs=2", *mixing, "--out", found["train"])
        taught = ("--teacher", found["train"], "--topk", 5, "--set", "epochs=1", "--out", found["distill"])
        ran(patch, "distill", network, "digits", *taught)
    return found


def page(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


def words(run: Path) -> str:
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page(run), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text)))


def samples(run: Path) -> list[Sample]:
    return msgspec.json.decode((run / SAMPLES).read_bytes(), type=list[Sample])


def test_it_is_there_at_the_end_and_tells_the_result(runs: dict[str, Path]) -> None:
    for verb, run in runs.items():
        result, text = json.loads((run / "result.json").read_text()), words(run)
        assert f"ridgepoint {verb}" in text
        assert re.search(
            rf"{100 * result['accuracy']['test']:.1f} % \([^)]*\) of 359 untouched test images are right", text
        )
        assert f"always the most frequent class: {100 * result['majority']:.1f} %" in text
        assert f"{result['epochs']:.3g} epochs" in text and "What to do next" in text
        assert f"{result['steps']}" in text and "digits: built-in" in text


def test_mixed_pairs_are_shown_with_both_labels_in_every_phase(runs: dict[str, Path]) -> None:
    kept, text = samples(runs["train"]), words(runs["train"])
    assert list(dict.fromkeys(sample.group for sample in kept)) == [
        "from 0% of the training, 8 px",
        "from 50% of the training, 16 px",
    ]
    mixed = [sample for sample in kept if len(sample.labels) == 2]
    assert len(mixed) > len(kept) / 2
    for sample in kept:
        assert sum(share for _, share in sample.labels) == pytest.approx(1.0)
        size = 8 if sample.group.endswith(" 8 px") else 16
        assert Image.open(io.BytesIO(sample.png)).size == (size, size)
    (first, share), (second, rest) = mixed[0].labels
    assert f"{first} {100 * share:.0f} %, {second} {100 * rest:.0f} %" in text


def test_the_pictures_are_the_very_pixels_that_were_kept(runs: dict[str, Path]) -> None:
    shown = re.findall(r'<img src="data:image/png;base64,([^"]*)"', page(runs["train"]))
    assert [base64.b64decode(each) for each in shown] == [sample.png for sample in samples(runs["train"])]
    assert np.asarray(Image.open(io.BytesIO(samples(runs["train"])[0].png))).std() > 10, "no blank"


def test_the_teacher_s_best_three_stand_beside_what_it_was_shown(runs: dict[str, Path]) -> None:
    kept = samples(runs["distill"])
    assert {sample.group for sample in kept} == {"D1: crop and RandAugment", "D2: crop and mixup"}
    for sample in kept:
        chances = [chance for _, chance in sample.teacher]
        assert len(chances) == 3 and chances == sorted(chances, reverse=True) and sum(chances) <= 1.0 + 1e-6
    (name, chance), text = kept[0].teacher[0], words(runs["distill"])
    assert f"{name} {100 * chance:.0f} %" in text and "Teacher: " in text and "Mixture: D1 1, D2 1" in text


def test_it_is_built_again_from_the_folder_and_without_samples_says_so(runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("result.json", "training.json", "metrics.jsonl"):
        (run / name).write_bytes((runs["train"] / name).read_bytes())
    assert build_report(run) == run / "report.html"
    assert "This folder holds no samples of what the network saw." in words(run)
    (run / "metrics.jsonl").write_text("{")
    with pytest.raises(RunError, match=r"metrics\.jsonl, line 1: is damaged"):
        build_report(run)
    (run / "result.json").unlink()
    with pytest.raises(RunError, match=r"holds no result\.json"):
        build_report(run)


@pytest.mark.parametrize(
    ("verb", "width"),
    [
        ("train", 380),
        ("distill", 1280),
        pytest.param("train", 1280, marks=pytest.mark.soak),
        pytest.param("distill", 380, marks=pytest.mark.soak),
    ],
)
def test_it_is_drawn_and_quiet_and_fits_the_window(browser: Any, runs: dict[str, Path], verb: str, width: int) -> None:
    open_page(browser, (runs[verb] / "report.html").resolve().as_uri(), width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('[data-figure]')].map(place => [place.dataset.figure,"
        "place.querySelectorAll('.scatterlayer .js-line').length])"
    )
    varied = ("loss", "val_accuracy", "learning_rate", *(["resolution"] if verb == "train" else []))
    assert dict(drawn) == dict.fromkeys(varied, 1), "what is the same all along is told in a sentence"
    assert "The same all along: weight decay" in words(runs[verb])
    widths = browser.execute_script("return [...document.querySelectorAll('.pictures img')].map(i => i.naturalWidth)")
    assert len(widths) == 24 and min(widths) >= 8
    assert browser.get_log("browser") == []
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
