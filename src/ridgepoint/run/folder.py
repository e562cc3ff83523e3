"""A run folder: one process owns it for the life of a run, and what was begun there goes on or is refused.

.lock           held by the process that is at work
origin.json     digests of what the run was begun on
settings.json   what was asked
clock.json      the time of all sittings so far
steps/          what finished steps found
result.json     the end
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from ridgepoint.display import Display
from ridgepoint.errors import RunError
from ridgepoint.files import is_leftover, make_folder, remove_leftovers
from ridgepoint.locks import owning
from ridgepoint.run.origin import Origin
from ridgepoint.run.records import read_record, write_record
from ridgepoint.run.resume import agreed, check_origin, read_settings
from ridgepoint.run.settings import Request
from ridgepoint.units import is_text

LOCK, ORIGIN, SETTINGS, CLOCK, RESULT = ".lock", "origin.json", "settings.json", "clock.json", "result.json"
PATHS = ("run", "architecture", "artefact", "labels", "report")
BEFORE_TRAINING = {
    *(LOCK, ORIGIN, SETTINGS, CLOCK, "samples.json"),
    *(f"steps/{name}.json" for name in ("start", "opening", "gap", "rivals", "ending", "plan")),
    *(f"steps/gap-on-{number}.json" for number in range(2, 10)),
}
"""The files of a run that has trained nothing yet; a folder that holds no others may be begun anew."""

DAMAGED = "Start anew with another --out"
Seconds = Annotated[float, msgspec.Meta(ge=0)]
R = TypeVar("R", bound=Request)
T = TypeVar("T")


class Clock(msgspec.Struct, kw_only=True):
    """Seconds of all sittings, and those of each phase."""

    elapsed_s: Seconds = 0.0
    phases: dict[str, Seconds] = {}


class RunFolder(Generic[R]):
    """A run under way. `elapsed` counts the time of all sittings, up to the last save of each."""

    def __init__(
        self, path: Path, settings: R, *, stored: R | None = None, alone: bool = True, since: float | None = None
    ):
        """A run in a folder.

        Args:
            path: The folder.
            settings: What is asked.
            stored: The settings that lie there, where it is a run to go on with.
            alone: Whether this process is the one that writes.
            since: From when on this sitting counts, by `time.monotonic`.
        """
        self.path, self.settings, self._stored, self._alone = path, settings, stored, alone
        known = stored is not None and (path / CLOCK).exists()
        clock = read_record(path / CLOCK, Clock, otherwise=DAMAGED) if known else Clock()
        self._before_s, self.phases = clock.elapsed_s, clock.phases
        self._opened_at, self._saved_at = since or time.monotonic(), 0.0
        self.begun = False

    def begin(self, origin: Origin) -> None:
        """Write down what is begun on; or compare it, where the run goes on.

        Raises:
            RunError: If the run was begun on something else.
            WriteError: If the disk is full or the folder cannot be written.
        """
        known = self._stored is not None and (self.path / ORIGIN).exists()
        if self._stored is not None and known:
            then = read_record(self.path / ORIGIN, Origin, otherwise=DAMAGED)
            check_origin(self.path, self._stored, self.settings, then, origin)
        if not self._alone:
            return
        if self._stored is None:
            for name in BEFORE_TRAINING - {LOCK}:
                (self.path / name).unlink(missing_ok=True)
        if not known or self.settings != self._stored:
            write_record(self.path / ORIGIN, origin)
            write_record(self.path / SETTINGS, self.settings)
        self.begun = True

    @property
    def resumed(self) -> bool:
        """Whether it was begun before."""
        return self._stored is not None

    @property
    def elapsed(self) -> float:
        """Seconds that the run has worked."""
        return self._before_s + time.monotonic() - self._opened_at

    def tick(self) -> None:
        """Save the clock, at most once a second."""
        if self.begun and time.monotonic() - self._saved_at > 1.0:
            self._saved_at = time.monotonic()
            write_record(self.path / CLOCK, Clock(elapsed_s=self.elapsed, phases=self.phases))

    @contextlib.contextmanager
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

    def read_step(self, name: str, kind: type[T] = dict[str, Any]) -> T | None:  # type: ignore[assignment]
        """What a finished step wrote, or None if it has not finished."""
        path = self.path / "steps" / f"{name}.json"
        return read_record(path, kind, otherwise=DAMAGED) if path.exists() else None

    def write_step(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """Mark a step as finished with what later steps need of it."""
        make_folder(self.path / "steps")
        write_record(self.path / "steps" / f"{name}.json", content)
        self.tick()
        return content

    def result(self) -> dict[str, Any] | None:
        """The result, or None if the run has not finished; its paths are those of the folder now."""
        if not is_finished(self.path):
            return None
        result = read_record(self.path / RESULT, dict[str, Any], otherwise=DAMAGED)
        try:
            before = result["run"]
            moved = {
                name: str(self.path.resolve() / Path(result[name]).relative_to(before))
                for name in PATHS
                if name in result
            }
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{self.path / RESULT}: is no result of a run ({error!r}). {DAMAGED}") from None
        return result | moved


class _Ended(msgspec.Struct):
    finished: bool = True


def is_finished(path: Path) -> bool:
    """Whether a run has come to its end; what it has written on the way may be complete before.

    Raises:
        RunError: If the result is damaged.
    """
    return (path / RESULT).exists() and read_record(path / RESULT, _Ended, otherwise=DAMAGED).finished


@contextlib.contextmanager
def open_run(
    given: R,
    *,
    out: Path | None,
    resume: bool,
    asked: Collection[str] | None = None,
    alone: bool = True,
    since: float | None = None,
) -> Iterator[RunFolder[R]]:
    """Own a run's folder: a new one, or one to go on with. Whoever enters reads all that the run needs, then begins it.

    A new folder in which nothing was begun is gone at the end, so wrong input leaves nothing behind.

    Args:
        given: The request.
        out: The folder; the next free name under runs/ if left open, or the newest unfinished run that was asked the
            same.
        resume: Go on with what is there.
        asked: The fields that the user named; by default those that are not as usual.
        alone: Whether this process is the one that writes; False for the fellows of a training by several.
        since: From when on the run's time counts, by `time.monotonic`; from now on if left open.

    Raises:
        RunError: If another process is at work there, the folder holds something else, or the run was begun otherwise.
    """
    if resume:
        path = out or latest_run(given)
        stored = read_settings(path, SETTINGS, type(given))
        with _owned(path) if alone else contextlib.nullcontext():
            yield RunFolder(path, agreed(path, stored, given, asked), stored=stored, alone=alone, since=since)
        return
    path = out or free_folder(given)
    if not alone:
        yield RunFolder(path, given, alone=False)
        return
    for name in (str(path.absolute()), *(getattr(given, name) for name in given.arguments)):
        if not is_text(name):
            raise RunError(f"{name!r} is no UTF-8 text. Rename the folder, or give another one")
    _expect_free(path)
    with _made(path) as unmake, _owned(path):
        _expect_free(path)  # whoever had it may have filled it
        run = RunFolder(path, given, since=since)
        try:
            yield run
        finally:
            if not run.begun:
                unmake()


@contextlib.contextmanager
def writing_into(path: Path) -> Iterator[None]:
    """Own the run in whose folder a file is to be written, where it lies in one: nobody is at work on it meanwhile.

    Raises:
        RunError: If another process is.
    """
    around = [each for each in path.absolute().parents if (each / SETTINGS).is_file() and (each / ORIGIN).is_file()]
    otherwise = "Wait until it ends, or give a place outside with --out"
    with owning(around[-1] / LOCK, what=around[-1], otherwise=otherwise) if around else contextlib.nullcontext():
        yield


def free_folder(given: Request) -> Path:
    """The next free name under runs/."""
    base: Path = Path("runs") / given.verb / (given.stem or "run")  # type: ignore[attr-defined]
    path, number = base, 2
    while path.exists():
        path, number = base.with_name(f"{base.name}-{number}"), number + 1
    return path


def latest_run(given: Request) -> Path:
    """The newest unfinished run under runs/ that was asked the same.

    Raises:
        RunError: If there is none.
    """
    verb, found = given.verb, []  # type: ignore[attr-defined]
    for path in Path("runs", verb).glob(f"*/{SETTINGS}"):
        with contextlib.suppress(RunError):
            same = read_settings(path.parent, SETTINGS, type(given)) == given
            if same and not is_finished(path.parent):
                found.append(path)
    if not found:
        raise RunError(
            f"no unfinished run under runs/{verb} was asked the same. Give its folder: --resume --out FOLDER"
        )
    return max(found, key=lambda path: path.stat().st_mtime).parent


@contextlib.contextmanager
def _owned(path: Path) -> Iterator[None]:
    otherwise = "Wait until it ends, or give another folder with --out"
    with owning(path / LOCK, what=path, otherwise=otherwise):
        remove_leftovers(path)
        yield


@contextlib.contextmanager
def _made(path: Path) -> Iterator[Callable[[], None]]:
    """Make a folder; what is given takes it away again, with the parents that were made for it."""
    made = [each for each in (path, *path.parents) if not each.exists()]
    make_folder(path)

    def unmake() -> None:
        (path / LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: somebody else has begun something there
            for each in made:
                each.rmdir()

    yield unmake


def _expect_free(path: Path) -> None:
    """Refuse a folder that holds anything but the beginning of a run that has trained nothing."""
    if not path.exists():
        return
    if not path.is_dir():
        raise RunError(f"{path}: exists and is a file. Give a new folder with --out")
    held = (each for each in path.rglob("*") if not each.is_dir() and not is_leftover(each))
    if all(each.relative_to(path).as_posix() in BEFORE_TRAINING for each in held):
        return
    if (path / SETTINGS).exists():
        raise RunError(f"{path}: holds a run already. Give --resume to go on with it, or another folder with --out")
    raise RunError(f"{path}: exists and is not empty. Give a new folder with --out")
