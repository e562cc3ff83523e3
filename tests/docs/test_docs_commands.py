"""Commands and code of the README and of the pages: all are ones that exist, and those that take no minutes run."""

import shlex
from pathlib import Path

import pytest
import typer.main
from cli_helpers import call
from fences import PAGES, commands, every_command, fences

import ridgepoint as rp
from ridgepoint.arch.space import kind_of
from ridgepoint.cli.main import app

VERBS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
EVERY = [(page.name, line) for page in PAGES for line in every_command(page)]


def test_there_are_commands_to_look_at():
    assert len(EVERY) > 40 and {"README.md", "index.md", "extending.md"} <= {page for page, _ in EVERY}


@pytest.mark.parametrize(("page", "line"), EVERY)
def test_every_command_can_be_typed(page: str, line: str):
    """Its verb, arguments and options are known; it is not carried out. A verb alone may be one that is spoken of."""
    _, verb, *words = shlex.split(line)
    if verb.startswith("--"):
        return
    assert verb in VERBS, f"{page}: {line}"
    if words and "--help" not in words:
        VERBS[verb].make_context(verb, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_console_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In the order of the page, in a folder with the files that the page shows."""
    monkeypatch.chdir(tmp_path)
    for each in fences(page):
        if each.title:
            (tmp_path / each.title).write_text(each.text)
        for line in commands(each.text) if each.run and each.language == "console" else ():
            done = call(*shlex.split(line)[1:])
            assert done.returncode == 0 and done.stdout, f"{page.name}: {line}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One after the other, with the names of those before; files with names have tests of their own."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for each in fences(page, "python"):
        if each.run and not each.title:
            exec(compile(each.text, page.name, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_networks_and_spaces_load(page: Path, tmp_path: Path):
    for number, each in enumerate(fences(page, "yaml")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(each.text)
        if "peak_macs_per_s" in each.text:
            assert rp.predict_latency("mobilenetv3_small_050", device=str(path)).ms > 0
        elif kind_of(path) == "space":
            assert rp.load_space(path).size > 1
        else:
            assert rp.cost(rp.load(path)).macs > 0
