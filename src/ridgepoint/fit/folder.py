"""A run folder: what was asked, how much time was used, and every file that the run makes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ridgepoint.display import Display
from ridgepoint.errors import RunError
from ridgepoint.files import make_folder, write_atomic
from ridgepoint.fit.settings import FitSettings
from ridgepoint.units import is_text

SETTINGS, CLOCK, RESULT = "settings.json", "clock.json", "result.json"
PATHS = ("run", "architecture", "artefact", "labels", "report")


class RunFolder:
    """An open run. `elapsed` counts the time of all sittings, up to the last save of each."""

    def __init__(self, path: Path, settings: FitSettings, *, clock: dict[str, Any] | None = None):
        self.path, self.settings = path, settings
        clock = clock or {"elapsed_s": 0.0, "phases": {}}
        self._before_s, self.phases = clock["elapsed_s"], clock["phases"]
        self._opened_at, self._saved_at = time.monotonic(), 0.0

    @property
    def elapsed(self) -> float:
        """Seconds that the run has worked."""
        return self._before_s + time.monotonic() - self._opened_at

    def tick(self) -> None:
        """Save the clock, at most once a second."""
        if time.monotonic() - self._saved_at > 1.0:
            self._saved_at = time.monotonic()
            state = {"elapsed_s": self.elapsed, "phases": self.phases}
            write_atomic(self.path / CLOCK, msgspec.json.encode(state))

    @contextmanager
    def phase(self, title: str, display: Display) -> Iterator[None]:
        """A part of the run that the display shows and whose time, over all sittings, is kept."""
        last = self.elapsed
        with display.phase(title):
            try:
                yield
            finally:
                self.phases[title] = self.phases.get(title, 0.0) + self.elapsed - last

    def training(self, name: str) -> Path:
        """The folder of one training."""
        folder = self.path / "trainings" / name
        make_folder(folder)
        return folder

    def read_step(self, name: str) -> dict | None:
        """What a finished step wrote, or None if it has not finished."""
        path = self.path / "steps" / f"{name}.json"
        return _read(path) if path.exists() else None

    def write_step(self, name: str, content: dict) -> dict:
        """Mark a step as finished with what later steps need of it."""
        make_folder(self.path / "steps")
        write_atomic(self.path / "steps" / f"{name}.json", msgspec.json.format(msgspec.json.encode(content)))
        self.tick()
        return content


def create_run(settings: FitSettings, out: Path | None) -> RunFolder:
    """A new run folder: `out`, or the next free name under runs/fit or runs/search.

    Raises:
        RunError: If the folder holds something already or cannot be written.
    """
    if out is None:
        stem = Path(settings.data).resolve().name if "/" in settings.data or "." in settings.data else settings.data
        if settings.verb == "search":
            stem = f"{Path(settings.space or '').stem}-{settings.method}-{stem}"
        base = Path("runs") / settings.verb / (stem or "run")
        out = base
        number = 2
        while out.exists():
            out, number = base.with_name(f"{base.name}-{number}"), number + 1
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        if out.is_dir() and (out / SETTINGS).exists():
            raise RunError(f"{out}: holds a run already. Give --resume to go on with it, or another folder with --out")
        raise RunError(
            f"{out}: exists and is {'not empty' if out.is_dir() else 'a file'}. Give a new folder with --out"
        )
    for name in (str(out.absolute()), settings.data):
        if not is_text(name):
            raise RunError(f"{name!r} is no UTF-8 text. Rename the folder, or give another one")
    make_folder(out)
    write_atomic(out / SETTINGS, msgspec.json.format(msgspec.json.encode(settings)))
    return RunFolder(out, settings)


def resume_run(path: Path, given: FitSettings) -> RunFolder:
    """A run folder that was left, with the settings it was begun with.

    Raises:
        RunError: If the folder holds no run, or the run was begun with other settings than those given now.
    """
    try:
        settings = msgspec.json.decode((path / SETTINGS).read_bytes(), type=FitSettings)
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{path}: holds no run to resume (no {SETTINGS}). Give the folder that --out named") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise RunError(f"{path}: cannot be resumed: {error}. Start anew with another --out") from None
    usual = FitSettings(data=given.data, latency_ms=given.latency_ms)
    for name in FitSettings.__struct_fields__:
        then, now, default = (getattr(each, name) for each in (settings, given, usual))
        asked = now != default or name in ("data", "latency_ms")
        if asked and now != then and not (name == "data" and Path(now).resolve() == Path(then).resolve()):
            raise RunError(
                f"{path}: was begun with {name} {then!r}, not {now!r}. Go on with: "
                f"{settings.command(out=str(path))} --resume, or start anew with another --out"
            )
    clock = _read(path / CLOCK) if (path / CLOCK).exists() else None
    make_folder(path)
    return RunFolder(path, settings, clock=clock)


def read_result(path: Path) -> dict[str, Any] | None:
    """The result of a run folder, or None if the run has not finished; its paths are those of the folder now."""
    if not (path / RESULT).exists():
        return None
    result = _read(path / RESULT)
    try:
        moved = {name: str(path.resolve() / Path(result[name]).relative_to(result["run"])) for name in PATHS}
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path / RESULT}: is no result of a fit ({error!r}). Start anew with another --out") from None
    return result | moved


def _read(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise RunError(f"{path}: cannot be read: {error}. Start anew with another --out") from None


def latest_run(settings: FitSettings) -> Path:
    """The newest unfinished run under runs/fit or runs/search that was asked the same.

    Raises:
        RunError: If there is none.
    """
    found = []
    for path in Path("runs", settings.verb).glob(f"*/{SETTINGS}"):
        try:
            same = msgspec.json.decode(path.read_bytes(), type=FitSettings) == settings
        except msgspec.MsgspecError:
            continue
        if same and not (path.parent / RESULT).exists():
            found.append(path)
    if not found:
        raise RunError(
            f"no unfinished run under runs/{settings.verb} was asked the same. Give its folder: --resume --out FOLDER"
        )
    return max(found, key=lambda path: path.stat().st_mtime).parent
