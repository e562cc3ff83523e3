"""`show` and `report` as commands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ridgepoint.arch.zoo import load
from ridgepoint.cli.report import report
from ridgepoint.cli.show import show
from ridgepoint.cost.count import cost
from ridgepoint.errors import ArchitectureError, InputError, RunError

app = typer.Typer()
app.command("show")(show)
app.command("report")(report)


def call(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_show_prints_every_block_and_totals_even_in_a_pipe() -> None:
    lines = call("show", "mobilenetv4_conv_small").splitlines()
    table = {line.split()[0]: line for line in lines if line}
    assert "UIB ExtraDW 5×5, 5×5" in table["stages.2.0"] and "96x14x14" in table["stages.2.0"]
    assert table["total"].split()[1:] == ["3.77", "M", "3.76", "M", "186", "M", "186", "M"]
    assert "1 multiply-accumulate = 1" in lines[-1]
    assert "…" not in "".join(lines)


def test_show_as_json_adds_up() -> None:
    document = json.loads(call("show", "mobileone_s0", "--json"))
    network = load("mobileone_s0")
    assert document["params"] == cost(network).params == sum(block["params"] for block in document["blocks"])
    assert document["deploy_macs"] == cost(network, form="deploy").macs
    assert document["blocks"][0]["path"] == "stem.0" and document["blocks"][-1]["path"] == "head"
    assert document["svg"] is None and document["digest"] == network.digest


def test_show_writes_the_drawing(tmp_path: Path) -> None:
    out = tmp_path / "network.svg"
    assert str(out) in call("show", "mobilenetv3_large_100", "--svg", out)
    assert out.read_text(encoding="utf-8").startswith("<svg ")
    with pytest.raises(InputError, match="there is no folder"):
        call("show", "mobilenetv3_large_100", "--svg", tmp_path / "nowhere" / "network.svg")


def test_show_refuses_an_unknown_model() -> None:
    with pytest.raises(ArchitectureError, match="did you mean 'mobileone_s0'"):
        call("show", "mobileone_s00")


def test_show_needs_no_torch() -> None:
    code = (
        "import sys; from ridgepoint.cli.show import show; show('mobileone_s0', None, True); "
        "assert not {'torch', 'plotly', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_report_prints_the_path(run: Path) -> None:
    assert call("report", run).strip() == str(run.resolve() / "report.html")
    document = json.loads(call("report", run, "--json"))
    assert Path(document["report"]).stat().st_size == document["bytes"]


def test_report_refuses_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no result\.json"):
        call("report", tmp_path)
