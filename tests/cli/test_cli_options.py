"""A field of a request is an option: its help, its check, its place in `command()` and in what a resume is held to."""

import json
import re
import shlex
from typing import Annotated, Any, Literal

import msgspec
import pytest
import typer
from cli_helpers import call, refused
from typer.testing import CliRunner

from ridgepoint.cli.calibrate import CalibrateSettings
from ridgepoint.cli.options import Asked, asks
from ridgepoint.cli.search import HELP
from ridgepoint.distill.settings import DistillSettings
from ridgepoint.fit.settings import FitSettings
from ridgepoint.run.settings import Above0, AtLeast1, Request, nothing_said, request, typed, ways
from ridgepoint.train.settings import TrainSettings

VERBS = {"fit": FitSettings, "search": FitSettings, "train": TrainSettings, "distill": DistillSettings}
VERBS |= {"calibrate": CalibrateSettings}


class Painting(Request, frozen=True, kw_only=True):
    verb: Literal["paint"] = "paint"
    wall: Annotated[str, typed(help="What is painted.")]
    coats: Annotated[AtLeast1, typed(help="How often.")] = 2
    thick_mm: Annotated[Above0, typed("--thick", help="How much of it.")] = 0.5
    dry_s: Annotated[Above0, typed("--dry", unit="s", help="Wait so long.")] = 5400.0
    tools: Annotated[tuple[str, ...], typed("--tool", help="With what.")] = ()
    gloss: Annotated[bool, typed(help="Whether it shines.")] = False
    changes: Annotated[dict[str, Any], typed("--set", help="Change the paint.")] = msgspec.field(default_factory=dict)

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("wall",)


class Fresco(Painting, frozen=True, kw_only=True):
    verb: Literal["fresco"] = "fresco"  # type: ignore[assignment]
    lime: Annotated[str | None, typed(path=True, help="Where the lime is.")] = None


def typed_as(kind: type[Request], verb: str, words: list[str]) -> tuple[Asked[Any] | None, Any]:
    """What a verb of a request gets for these words, and how the command ended."""
    got: list[Asked[Any]] = []

    @asks(kind, verb)
    def carry_out(asked: Asked[Any]) -> None:
        """Do it."""
        got.append(asked)

    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(carry_out)
    ended = CliRunner().invoke(app, words)
    return (got[0] if got else None), ended


def test_fields_of_every_type_become_options():
    asked, _ = typed_as(Painting, "paint", ["north"])
    assert asked is not None and asked.settings == Painting(wall="north") and asked.named == {"wall"}
    words = "north --coats 3 --thick 0.25 --dry 90m --tool brush --tool roller --gloss --set tone.red=1"
    asked, _ = typed_as(Painting, "paint", words.split())
    given = {"thick_mm": 0.25, "tools": ("brush", "roller"), "gloss": True, "changes": {"tone.red": 1}}
    assert asked is not None and asked.settings == Painting(wall="north", coats=3, dry_s=5400.0, **given)
    assert asked.named == {"wall", "coats", "thick_mm", "dry_s", "tools", "gloss", "changes"}


def test_help_is_the_fields_own_first_what_a_type_adds():
    _, ended = typed_as(Fresco, "fresco", ["--help"])
    options = [line.split()[0] for line in ended.stdout.splitlines() if line.startswith("  --")]
    expected = ["--lime", "--coats", "--thick", "--dry", "--tool", "--gloss", "--set"]
    assert options[: len(expected)] == expected
    told = " ".join(ended.stdout.split())
    assert re.search(r"--dry \S+ Wait so long\. \[default: 90m\]", told)
    assert re.search(r"--coats [^.]+ How often\. \[default: 2; x>=1\]", told)


def test_what_is_wrong_is_told_by_the_parser_or_by_the_struct():
    for words, part in (("north --coats 0", "'--coats'"), ("", "wall"), ("north --coat 3", "--coat")):
        asked, ended = typed_as(Painting, "paint", words.split())
        assert asked is None and ended.exit_code == 2 and part in ended.output.lower()
    _, ended = typed_as(Painting, "paint", ["north", "--thick", "0"])
    assert "thick_mm is 0.0. Allowed: a number > 0" in str(ended.exception)
    _, ended = typed_as(Painting, "paint", ["north", "--dry", "soon"])
    assert "--dry is 'soon': not a duration" in str(ended.exception)


@pytest.mark.parametrize("verb", VERBS)
def test_every_field_of_a_request_is_told_in_the_help_of_its_verb(verb: str):
    told = " ".join(call(verb, "--help").stdout.split())
    blank = nothing_said(VERBS[verb], verb)
    for name, way in ways(VERBS[verb]).items():
        if name == "verb":
            continue
        text = HELP.get(name, way.help) if verb == "search" else way.help
        assert text and " ".join(text.split()) in told, f"--help of {verb} says what {name} is"
        assert (f" {name} " if name in blank.arguments else f" {way.option} ") in told.lower()


GIVEN = {
    "fit": {"data": "photos", "latency_ms": 2.5, "time_s": 90.0, "threads": 2, "busy": True, "data_root": "/data"},
    "search": {
        "space": "s.yaml",
        "data": "a b",
        "latency_ms": 1e-3,
        "baselines": 3,
        "changes": {"x": 3},
        "weights": "none",
    },
    "train": {"model": "m", "data": "digits", "size": 32, "seed": 0, "changes": {"optimizer.lr": 0.1, "name": "x"}},
    "distill": {"model": "m", "data": "d", "teacher": "t", "hard": True, "topk": 5, "temperature": 2.5, "store": "s"},
}


@pytest.mark.parametrize("verb", GIVEN)
def test_a_command_reads_back_as_the_request(verb: str):
    given = request(VERBS[verb], verb, {"verb": verb, **GIVEN[verb]})
    asked, _ = typed_as(VERBS[verb], verb, shlex.split(given.command())[2:])
    assert asked is not None and asked.settings == given, json.dumps(msgspec.to_builtins(given))
    assert asked.named == {*GIVEN[verb], "seed"}


def test_a_size_of_nothing_is_refused_by_the_one_who_knows_which_are_allowed():
    refused(call("train", "mobilenetv3_small_050", "digits", "--size", "0"), "size is 0. Allowed: a whole number >= 1")
