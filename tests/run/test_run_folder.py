"""One process owns a run's folder; what was begun there goes on, and whatever else is asked is refused by field."""

import itertools
import shlex
import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from ridgepoint.errors import RunError
from ridgepoint.run.folder import CLOCK, SETTINGS, open_run
from ridgepoint.run.records import read_record, write_record
from ridgepoint.run.settings import Request, request, typed


class Asked(Request, frozen=True, kw_only=True):
    verb: Literal["draw", "paint"] = "draw"
    model: Annotated[str, typed(place=True)]
    data: str = "digits"
    time_s: Annotated[Annotated[float, msgspec.Meta(gt=0)] | None, typed("--time", unit="s")] = None
    changes: Annotated[dict[str, Any], typed("--set")] = msgspec.field(default_factory=dict)
    hard: bool = False
    seed: int = 0

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("model",)

    @property
    def stem(self) -> str:
        return self.model


GIVEN = Asked(model="a", seed=9)
ORIGIN = {"model": "1"}


def begun(path: Path, given: Asked = GIVEN, *, more: str = "checkpoint.pt") -> Path:
    with open_run(given, out=path, resume=False) as run:
        run.begin(ORIGIN)
        if more:
            (path / more).write_text("trained")
    return path


def resumed(path: Path, given: Asked, origin: dict[str, str] = ORIGIN, **how: Any) -> Asked:
    with open_run(given, out=path, resume=True, **how) as run:
        run.begin(origin)
        return run.settings


def test_a_run_goes_on_as_it_was_begun(tmp_path: Path):
    path = begun(tmp_path / "run")
    assert resumed(path, GIVEN) == GIVEN
    assert resumed(path, Asked(model="a")) == GIVEN, "what is left out is as it was"


@pytest.mark.parametrize("change", [{"seed": 3}, {"time_s": 5.0}, {"changes": {"epochs": 7}}, {"verb": "paint"}])
def test_another_wish_is_refused_with_the_command_that_goes_on(tmp_path: Path, change: dict[str, Any]):
    path = begun(tmp_path / "run")
    name = next(iter(change))
    with pytest.raises(RunError, match=f"was begun with {name} .*start anew with another --out") as told:
        resumed(path, msgspec.structs.replace(GIVEN, **change))
    said = str(told.value)
    words = shlex.split(said[said.index("ridgepoint draw") : said.index(", or start")])
    assert words == ["ridgepoint", "draw", "a", "--seed", "9", "--out", str(path), "--resume"]


def test_what_was_typed_counts_though_it_is_as_usual(tmp_path: Path):
    path = begun(tmp_path / "run")
    usual = Asked(model="a", seed=0)
    assert resumed(path, usual, asked={"model"}) == GIVEN
    with pytest.raises(RunError, match="was begun with seed 9, not 0"):
        resumed(path, usual, asked={"model", "seed"})


def test_content_decides_not_its_place(tmp_path: Path):
    path = begun(tmp_path / "run")
    with pytest.raises(RunError, match="was begun with model 'a', not 'b'"):
        resumed(path, Asked(model="b"), {"model": "2"})
    with pytest.raises(RunError, match=r"model 'a' is not what it was when the run was begun. Put it back, or"):
        resumed(path, Asked(model="a"), {"model": "2"})
    moved = msgspec.structs.replace(GIVEN, model="b")
    assert resumed(path, Asked(model="b")) == moved
    assert read_record(path / SETTINGS, Asked, otherwise="") == moved, "from now on it is there"


def test_one_process_at_a_time(tmp_path: Path):
    path = tmp_path / "run"
    for resume in (False, True):
        with open_run(GIVEN, out=path, resume=resume) as run:
            run.begin(ORIGIN)
            for again in (False, True):
                with pytest.raises(RunError, match=r"run: process .* is at work on it. Wait until it ends, or give"):
                    open_run(GIVEN, out=path, resume=again).__enter__()


def test_wrong_input_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for out in (tmp_path / "deep" / "run", None):
        with pytest.raises(ValueError, match="wrong"), open_run(GIVEN, out=out, resume=False):
            raise ValueError("wrong data")
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match="holds no run to resume"):
        open_run(GIVEN, out=tmp_path, resume=True).__enter__()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.clock
def test_where_nothing_was_trained_another_start_may_be_made(tmp_path: Path):
    path = begun(tmp_path / "run", more="samples.json")
    write_record(path / CLOCK, {"elapsed_s": 50.0, "phases": {}})
    other = msgspec.structs.replace(GIVEN, model="good")
    with open_run(other, out=path, resume=False) as run:
        assert run.elapsed < 5
        run.begin({"model": "2"})
        (path / "checkpoint.pt").write_text("trained")
    assert resumed(path, other, {"model": "2"}) == other
    with pytest.raises(RunError, match=r"holds a run already. Give --resume"):
        open_run(other, out=path, resume=False).__enter__()


def test_names_that_are_taken_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with open_run(GIVEN, out=None, resume=False) as first, open_run(GIVEN, out=None, resume=False) as second:
        first.begin(ORIGIN), second.begin(ORIGIN)
        assert [str(first.path), str(second.path)] == ["runs/draw/a", "runs/draw/a-2"]
    with open_run(GIVEN, out=None, resume=True) as run:
        assert run.path.parent == Path("runs/draw")


def test_remains_of_killed_writers_go_and_nothing_else(tmp_path: Path):
    path = begun(tmp_path / "run")
    remains = [".checkpoint.pt.k3x_9qz1.pt", ".best.safetensors.abcdefgh.safetensors"]
    others = [
        ".config.settings",
        ".checkpoint.pt.mine.pt",
        ".hidden",
        "a.pt.abcdefgh.pt",
        ".x.pt.abcdefgh.txt",
        "study.db-journal",
    ]
    (path / "trainings").mkdir()
    for folder, name in itertools.product((path, path / "trainings"), remains + others):
        (folder / name).touch()
    resumed(path, GIVEN)
    for folder in (path, path / "trainings"):
        held = {each.name for each in folder.iterdir()}
        assert held >= set(others) and not held & set(remains)


@pytest.mark.clock
def test_the_clock_goes_on(tmp_path: Path):
    path = begun(tmp_path / "run")
    write_record(path / CLOCK, {"elapsed_s": 60.0, "phases": {"Data": 2.0}})
    with open_run(GIVEN, out=path, resume=True) as run:
        run.begin(ORIGIN)
        assert 60.0 <= run.elapsed < 62.0 and run.phases == {"Data": 2.0}
        run.tick()
    assert 60.0 <= read_record(path / CLOCK, dict, otherwise="")["elapsed_s"] < 62.0


def test_what_a_step_found_is_read_back_and_an_unfinished_step_is_none(tmp_path: Path):
    with open_run(GIVEN, out=tmp_path / "run", resume=False) as run:
        run.begin(ORIGIN)
        assert run.read_step("rivals") is None
        run.write_step("rivals", {"rivals": [1, "ü", None]})
        assert run.read_step("rivals") == {"rivals": [1, "ü", None]}
        with pytest.raises(RunError, match=r"rivals\.json: is damaged"):
            run.read_step("rivals", dict[str, int])


@pytest.mark.parametrize("name", ["settings.json", "origin.json", "clock.json", "result.json"])
@pytest.mark.parametrize("content", ["", "[1]", '{"half', '{"seed": "x"}', '{"model": 3, "elapsed_s": -1}', "\ud800"])
def test_damaged_files_are_told(tmp_path: Path, name: str, content: str):
    path = begun(tmp_path / "run")
    (path / name).write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(RunError, match=rf"{name}: is .*another --out"), open_run(GIVEN, out=path, resume=True) as run:
        run.begin(ORIGIN)
        run.result()
        if name in ("origin.json", "clock.json") and content == '{"seed": "x"}':
            raise RunError(f"{name}: is sound, but for another --out")  # unknown keys are nobody's


def test_a_run_that_was_moved_tells_where_it_is(tmp_path: Path):
    path = begun(tmp_path / "run")
    write_record(path / "result.json", {"run": str(path), "report": str(path / "report.html"), "met": True})
    moved = Path(shutil.move(path, tmp_path / "elsewhere"))
    with open_run(GIVEN, out=moved, resume=True) as run:
        assert run.result() == {"run": str(moved), "report": str(moved / "report.html"), "met": True}


def test_a_command_line_asks_for_the_same():
    given = request(
        Asked, "draw", {"model": "a b", "time_s": 1 / 3, "changes": {"lr": 1e-5, "name": "x"}, "hard": True}
    )
    assert shlex.split(given.command(out="c d")) == [
        *("ridgepoint", "draw", "a b", "--time", f"{1 / 3!r}s", "--set", "lr=1e-05", "--set", "name=x", "--hard"),
        *("--seed", "0", "--out", "c d"),
    ]
