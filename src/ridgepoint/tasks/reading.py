"""The tasks by name, and which of them a user's data are for: each is asked in turn, those of other packages first."""

import functools
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ridgepoint.data import Dataset
from ridgepoint.errors import DataError, InputError, nearest, shown
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.tasks.detection import DETECTION
from ridgepoint.tasks.segmentation import SEGMENTATION
from ridgepoint.tasks.task import Task

GROUP = "ridgepoint.tasks"
OWN: dict[str, Task] = {task.name: task for task in (SEGMENTATION, DETECTION, CLASSIFICATION)}
"""In the order in which they are asked; the last one refuses what none can read."""


@functools.cache
def installed() -> dict[str, EntryPoint]:
    """Tasks of other packages; none takes the place of one of ours."""
    return {each.name: each for each in entry_points(group=GROUP) if each.name not in OWN}


def find_task(name: str) -> Task:
    """A task by name.

    Raises:
        InputError: If there is none here, or it cannot be loaded.
    """
    if name in OWN:
        return OWN[name]
    if name not in installed():
        known = nearest(name, [*OWN, *installed()])
        raise InputError(f"there is no task {shown(name)} here; {known}. Install the package that brings it")
    point = installed()[name]
    try:
        task: Task = point.load()
    except Exception as error:  # whatever a stranger's module raises
        package = point.dist.name if point.dist else "a package"
        raise InputError(
            f"task {name}: {point.value} of {package} cannot be loaded ({type(error).__name__}: {error}). Mend or "
            "remove that package"
        ) from None
    if task.name != name:
        raise InputError(f"task {name}: {point.value} calls itself '{task.name}'. Its entry point must have that name")
    return task


def read(spec: str | Path, *, seed: int = 0, root: Path | None = None, download: bool = True) -> tuple[Task, Dataset]:
    """The task and the data set that a user means.

    Args:
        spec: A folder, a file or a name.
        seed: Of the parts that have to be drawn.
        root: Where named data sets are kept; the user's cache folder when None.
        download: Whether the network may be asked.

    Raises:
        DataError: If no task can read what is there; the message says what to do.
        InputError: If the task of another package cannot be loaded.
    """
    names = [*installed(), *OWN]
    for task in map(find_task, names):
        if (data := task.read(spec, seed=seed, root=root, download=download)) is not None:
            return task, data
    raise DataError(f"DATA is {shown(str(spec))}, which no task can read; there are: {', '.join(names)}")
