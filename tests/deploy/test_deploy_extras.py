"""Extras that are not installed: every command that needs one ends with 2 and the line to type."""

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from cli_helpers import call, refused

from ridgepoint.deploy.quantize import QUANTIZERS, find_quantizer
from ridgepoint.deploy.runtimes import RUNTIMES, find_runtime

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
BENCH = ("bench", "mobilenetv3_small_050", "--busy", "--runtime")
FIT = ("fit", "digits", "--latency", "5ms", "--precision", "int8", "--runtime")
# By extra: a package that only it brings, or the one that its users miss, and what they type.
TYPED = {
    "openvino": [("openvino", (*BENCH, "openvino"))],
    "openvino-int8": [("nncf", (*FIT, "openvino")), ("nncf", ("export", "run", "--int8", "--runtime", "openvino"))],
    "litert": [("ai-edge-litert", (*BENCH, "litert"))],
    "litert-convert": [
        ("litert-torch", (*BENCH, "litert")),
        ("litert-torch", ("export", "run", "--runtime", "litert")),
        ("ai-edge-quantizer", (*FIT, "litert")),
    ],
    "executorch": [("executorch", (*BENCH, "executorch")), ("torchao", (*FIT, "executorch"))],
    "ncnn": [("ncnn", (*BENCH, "ncnn")), ("pnnx", (*BENCH, "ncnn"))],
    "coreml": [("coremltools", ("export", "run", "--runtime", "coreml"))],
}
CASES = [(extra, package, words) for extra, cases in TYPED.items() for package, words in cases]


def distribution(requirement: str) -> str:
    return re.split(r"[\[<>=]", requirement)[0]


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch):
    """Has one package be absent, and all others be there."""
    real = importlib.metadata.version

    def lack(package: str) -> None:
        def version(name: str) -> str:
            if name == package:
                raise importlib.metadata.PackageNotFoundError(name)
            try:
                return real(name)
            except importlib.metadata.PackageNotFoundError:
                return "1.0"

        monkeypatch.setattr(importlib.metadata, "version", version)

    return lack


@pytest.mark.parametrize(("extra", "package", "words"), CASES, ids=[f"{each[1]} {each[2][0]}" for each in CASES])
def test_a_missing_extra_ends_with_the_line_to_type(lacking, extra: str, package: str, words: tuple[str, ...]):
    lacking(package)
    refused(call(*words), f"needs {package}, which is not installed", f"pip install 'ridgepoint[{extra}]'")


def test_a_missing_driver_of_a_database_ends_with_the_line_to_type(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    refused(call("worker", "postgresql://nobody@127.0.0.1:1/x"), "psycopg", "pip install 'ridgepoint[postgresql]'")


def test_every_extra_is_tried():
    assert TYPED.keys() | {"postgresql"} == EXTRAS.keys() - {"test", "docs"}
    assert all(package in map(distribution, EXTRAS[extra]) for extra, package, _ in CASES)


def test_an_extra_brings_all_that_is_asked_for(lacking):
    """What a runtime, its writer and its quantiser look for is what the line to type installs."""
    lacking("nothing")
    for name in RUNTIMES:
        runtime = find_runtime(name)
        if runtime.extra:
            assert set(runtime.packages) <= set(map(distribution, EXTRAS[runtime.extra])), name
    for name in QUANTIZERS:
        tool = find_quantizer(name)
        if tool.extra:
            wanted = {tool.tool, *find_runtime(name).packages}
            assert wanted <= set(map(distribution, EXTRAS[tool.extra])), name


def test_what_a_converter_raises_is_told(monkeypatch: pytest.MonkeyPatch):
    """Converters raise what they like where they meet an operator that they do not know."""
    import torch

    from ridgepoint.deploy.runtimes.onnxruntime import OnnxRuntime

    def fails(*given: object, **how: object) -> None:
        raise torch._dynamo.exc.Unsupported("aten.strange has no lowering\nand much more")

    monkeypatch.setattr(OnnxRuntime, "export", fails)
    message = refused(call("bench", "mobilenetv3_small_050", "--busy"), "onnxruntime", "aten.strange has no lowering")
    assert "much more" not in message and "Give another --runtime" in message
