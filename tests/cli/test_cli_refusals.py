"""What a user may type wrong after `fit`: every time one message, the exit code, and nothing left behind."""

from pathlib import Path

import pytest
from cli_helpers import TINY, call, refused, run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fit(*words: object) -> str:
    message = refused(call("fit", "digits", "--latency", "5ms", *words))
    assert not list(Path().iterdir()), "a refused request must leave nothing behind"
    return message


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--latency", "0"), "--latency is '0': it must be above 0"),
        (("--latency", "-1ms"), "--latency is '-1ms': it must be above 0"),
        (("--latency=-1ms",), "--latency is '-1ms': it must be above 0"),
        (("--latency", "5parsecs"), "--latency is '5parsecs': not a duration. Allowed: a number above 0 with one of"),
        (("--latency", "1e999ms"), "it must be above 0 and finite"),
        (("--latency", ""), "--latency is ''"),
        (("--latency",), "Option '--latency' requires an argument"),
        ((), "Missing option '--latency'"),
    ],
)
def test_latency(words: tuple[str, ...], told: str) -> None:
    refused(call("fit", "digits", *words), told)
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--device", "hots"), "did you mean 'host'"),
        (("--runtime", "onnxruntim"), "did you mean 'onnxruntime'"),
        (("--method", "evolutoin"), "did you mean 'evolution'"),
        (("--accelerator", "cud"), "--accelerator is 'cud'; did you mean 'cuda'?"),
        (("--space", "mobilenetv4_con"), "did you mean 'mobilenetv4_conv'"),
        (("--space", "nowhere.yaml"), "nowhere.yaml: there is no such file"),
        (("--recipe", "smallimages"), "did you mean 'small_images'"),
        (("--recipe", "nowhere.yaml"), "nowhere.yaml: there is no such file"),
        (("--set", "optimizer.lrr=1"), "unknown key 'optimizer.lrr'; did you mean 'lr'"),
        (("--set", "lr"), "has no '='. Allowed: key=value"),
        (("--set", "optimizer.lr=-1"), "lr is -1. Allowed: a number > 0"),
        (("--set", "optimizer.lr=fast"), "lr is 'fast'. Allowed: a number"),
        (("--set", "optimizer.lr=inf"), "lr is 'inf'. Allowed: a number"),
        (("--set", "epochs=1.5"), "epochs is 1.5. Allowed: a whole number"),
        (("--set", "optimizer.kind=adam"), "kind is 'adam'; did you mean 'adamw'?"),
        (("--time", "5m", "--evaluations", "3"), "--time and --evaluations are both given"),
        (("--time", "soon"), "--time is 'soon': not a duration"),
        (("--evaluations", "0"), "'--evaluations'"),
        (("--threads", "0"), "'--threads'"),
        (("--seed", "-1"), "'--seed'"),
        (("--size", "0"), "size is 0. Allowed: a whole number >= 1"),
        (("--size", "4"), "--size is 4. Allowed: 8 to 1024 pixels"),
        (("--nonsense", "1"), "No such option"),
    ],
)
def test_options(words: tuple[str, ...], told: str) -> None:
    assert told in fit(*words)


def test_numbers_in_every_spelling_are_numbers() -> None:
    from ridgepoint.train.recipe import load_recipe, parse_changes

    changes = parse_changes(["optimizer.lr=1e-3", "weight_decay=1E+2", "epochs=7", "clip=null", "dropout=.5"])
    assert changes == {"optimizer.lr": 1e-3, "weight_decay": 100.0, "epochs": 7, "clip": None, "dropout": 0.5}
    assert load_recipe("photographs", changes).weight_decay == 100.0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("models", "mobilenetv9*"), "did you mean 'mobilenetv"),
        (("show", "mobileone_s00"), "did you mean 'mobileone_s0'"),
        (("cost", "mobileone_s0", "--device", "pixel6-cpuu"), "did you mean 'pixel6-cpu'"),
        (("sweep", "nothing*"), "matches no model"),
        (("bench", "mobileone_s00"), "did you mean 'mobileone_s0'"),
        (("bench", "mobileone_s0", "--runtime", "onnx-runtime"), "did you mean 'onnxruntime'"),
        (("bench", "absent.pt2", "--runtime", "torch"), "absent.pt2: there is no such file"),
        (("bench", "mobileone_s0", "--html", "nowhere/bench.html"), "there is no folder 'nowhere'"),
        (("calibrate", "--model", "mobileone_s00"), "did you mean 'mobileone_s0'"),
        (("calibrate", "--runtime", "onnx-runtime"), "did you mean 'onnxruntime'"),
        (("calibrate", "--table", "."), "is a folder"),
        (("worker", "studies"), "'studies' is no address of a study. Allowed: postgresql://"),
        (("ift",), "No such command 'ift'"),
    ],
)
def test_names_of_other_verbs(words: tuple[str, ...], told: str) -> None:
    refused(call(*words), told)


def test_an_impossible_budget_names_the_fastest(here: Path) -> None:
    done = run("fit", "digits", "--latency", "1us", *TINY, cwd=here)
    message = refused(done, "no network meets 0.001 ms", "Allow at least", code=3)
    assert "the fastest one of tiny takes 0.0" in message


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_loss_that_is_no_number_says_where_and_what_to_do(here: Path, optimizer: str) -> None:
    done = run(
        "fit",
        "digits",
        "--latency",
        "5ms",
        *TINY,
        "--set",
        "optimizer.lr=1e30",
        "--set",
        f"optimizer.kind={optimizer}",
        cwd=here,
    )
    message = refused(done, " at step ", "the batch holds digits/", "--set optimizer.lr=0.01", code=3)
    assert " is nan" in message or " is inf" in message


LONG = "9" * 5000 + "\x1b[2J"


@pytest.mark.parametrize(
    "line",
    [("devices", LONG), ("report", "x", "y", LONG), (f"no{LONG}",), (f"--zz{LONG}",), ("bench", "--rounds", LONG)],
    ids=["argument", "arguments", "verb", "option", "value"],
)
def test_a_command_line_of_any_length_is_refused_in_a_short_message(line: tuple[str, ...]):
    message = refused(call(*line))
    assert len(message) < 2100 and "\x1b" not in message
