"""From a path that a user gives to an artefact, its runtime and what is known about it."""

from pathlib import Path

from ridgepoint.deploy.about import About
from ridgepoint.deploy.companion import NAME, Entry, expect_same, read_entry
from ridgepoint.deploy.runtimes import DEFAULT, find_runtime, formats, list_runtimes, runtimes_for
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.errors import InputError


def find_artefact(path: Path, runtime: str | None = None, *, here: bool = True) -> tuple[Path, Runtime]:
    """An artefact, and what loads it.

    Args:
        path: The artefact, or a run's folder that holds one.
        runtime: The runtime's name; by default the one that the artefact was written for.
        here: Whether it has to work here.

    Raises:
        InputError: If there is none, or the runtime is unknown, cannot work here or loads no such files.
    """
    if path.is_dir() and not runtimes_for(path):
        path = _inside(path, runtime)
    found = find_runtime(runtime or _written_for(path), here=here)
    if path.suffix != found.suffix and (fitting := runtimes_for(path)):
        raise InputError(f"{path}: runtime '{found.name}' loads {found.suffix} files. Allowed: {', '.join(fitting)}")
    return path, found


def told_beside(path: Path, runtime: Runtime) -> Entry | None:
    """What the document beside an artefact tells of it, compared before anything opens it; None if it is not named.

    Raises:
        InputError: If it is not the artefact that the document tells of.
    """
    entry = read_entry(path)
    if entry is not None:
        expect_same(path, entry, runtime)
    return entry


def told_inside(path: Path, runtime: Runtime) -> About:
    """What an artefact without a document tells of itself.

    Raises:
        InputError: If it tells nothing, or something that cannot be.
    """
    about = runtime.about(path)
    if about is None:
        raise InputError(
            f"{path}: holds no labels and preprocessing, and no {NAME} beside it tells them. Give a file that "
            f"`ridgepoint fit` or `ridgepoint export` wrote, with the {NAME} of its folder"
        )
    return about


def _inside(folder: Path, runtime: str | None) -> Path:
    """The model of a run's folder."""
    wanted = [find_runtime(runtime)] if runtime else list(formats().values())
    names = [f"model{each.suffix}" for each in wanted]
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise InputError(f"{folder}: holds no {' or '.join(names)}. Give an exported file, or the folder of a run with one")


def _written_for(path: Path) -> str:
    entry = read_entry(path)
    if entry is not None and entry.runtime in list_runtimes():
        return entry.runtime
    return next(iter(runtimes_for(path)), DEFAULT)
