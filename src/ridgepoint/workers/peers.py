"""What is believed of what others have written on a board: what is checked here, and nothing else.

Whoever can write to a study's database can post jobs and verdicts of his own. He may make a worker train networks on
images that its user allowed, and tell a run any accuracy that is possible; he reaches no file and no network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.cost.count import cost
from ridgepoint.data import Dataset
from ridgepoint.data.builtin import BUILT_IN, TORCHVISION
from ridgepoint.data.resolution import LARGEST
from ridgepoint.errors import RunError, shown
from ridgepoint.files import check_regular
from ridgepoint.search.judges import Diverged, Job, NoHeir, Verdict
from ridgepoint.search.method import Judgement
from ridgepoint.tasks.asked import parted
from ridgepoint.tasks.reading import read
from ridgepoint.tasks.task import Task
from ridgepoint.train.loop import Bound
from ridgepoint.workers.setup import TrainingSetup
from ridgepoint.workers.terms import VERSION, Terms

LONGEST_EPOCHS, LONGEST_S = 10_000, 86_400.0  # of a short training
MOST_PARAMS, MOST_MACS = 500_000_000, 1_000_000_000_000  # of a candidate; the largest network of the zoo has 33 M, 6 G
MOST_BLOCKS = 2_000
MOST_WEIGHT_BYTES = 16 * MOST_PARAMS
MOST_SIZES = 16  # in pixels, of the candidates of a run; images are decoded for each


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A worker could not judge a job; `told` says why."""

    told: Annotated[str, msgspec.Meta(max_length=10_000)]


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What the user of a worker lets others use.

    Attributes:
        folders: Images may lie in these, or below.
        data_root: Where torchvision's data sets lie.
        download: Whether those that do not may be fetched.
    """

    folders: Sequence[Path]
    data_root: Path | None = None
    download: bool = False

    def images(self, terms: Terms) -> tuple[Task, Dataset]:
        """What a run is about, and its images.

        Raises:
            RunError: If they are not among what is allowed.
            DataError: If they are missing, broken or too few.
        """
        try:
            start, rest = parted(terms.data)
            path = Path(rest).expanduser().resolve()
            is_name = terms.data.lower() in {name.lower() for name in (*BUILT_IN, *TORCHVISION)} and not path.exists()
        except (OSError, RuntimeError, ValueError):  # no such user's home, a loop of links, a NUL
            raise RunError(f"its data are {shown(terms.data)}, which cannot be looked up here") from None
        if is_name:
            return read(terms.data, seed=terms.seed, root=self.data_root, download=self.download)
        if not any(path.is_relative_to(folder.resolve()) for folder in self.folders):
            folders = ", ".join(map(str, self.folders)) or "nothing"
            raise RunError(
                f"its data are {shown(terms.data)}, and this worker may read only what lies in {folders}. To let it: "
                "--allow FOLDER"
            )
        return read(f"{start}{path}", seed=terms.seed)


def read_terms(text: str) -> Terms:
    """What a run wants its workers to know.

    Raises:
        RunError: If they are no terms, of another version, or ask for a training without end.
    """
    version = _decoded(text, dict[str, Any]).get("version")
    if version != VERSION:
        raise RunError(f"it is of ridgepoint {shown(version)}, and this is {VERSION}. Give both the same version")
    terms: Terms = _decoded(text, Terms)
    if not _sensible(terms.bound):
        raise RunError(
            f"its short trainings last {terms.bound.epochs} epochs, {terms.bound.seconds} seconds. Allowed: 1 to "
            f"{LONGEST_EPOCHS:,} epochs, or up to {LONGEST_S:,.0f} seconds"
        )
    return terms


def read_job(text: str, setup: TrainingSetup) -> Job:
    """A job, if its network is one for the run's images, and can be built and trained.

    Raises:
        RunError: If it is no job.
        ArchitectureError: If its network is impossible.
    """
    job: Job = _decoded(text, Job)
    network, classes = job.candidate.network, setup.task.head(setup.dataset).num_classes
    channels, *sides = network.input
    if channels != setup.preprocessing.channels or network.num_classes != classes or max(sides) > LARGEST:
        raise RunError(
            f"its network takes {channels} x {sides[0]} x {sides[1]} and has {network.num_classes} classes. Allowed: "
            f"{setup.preprocessing.channels} channels, up to {LARGEST} px, {classes} classes, as the images have"
        )
    if network.input[1:] not in setup.sizes and len(setup.sizes) >= MOST_SIZES:
        raise RunError(f"its network is the {MOST_SIZES + 1}th of another size. Allowed: {MOST_SIZES} sizes in a run")
    _check_size(network)
    return job


def read_verdict(text: str, *, weights: str | None, folder: Path) -> Verdict:
    """What a worker says of a candidate.

    Args:
        text: The answer as it was delivered.
        weights: Where in the run's folder the candidate's weights have to be, if it leaves any.
        folder: The run's.

    Raises:
        RunError: If it cannot be true, or the worker says that it could not judge.
    """
    found: Judgement | Diverged | NoHeir | Failed = _decoded(text, Judgement | Diverged | NoHeir | Failed)
    if isinstance(found, Failed):
        raise RunError(_one_line(found.told))
    if isinstance(found, Diverged | NoHeir):
        return type(found)(told=_one_line(found.told))
    if found.weights != weights:
        raise RunError(f"its weights are {shown(found.weights)}. Allowed: {shown(weights)}")
    if weights is not None:
        check_regular(folder / weights, limit_bytes=MOST_WEIGHT_BYTES, error=RunError)
        if not (folder / weights).resolve().is_relative_to((folder / "weights").resolve()):
            raise RunError(f"its weights {weights} are a link that leaves the run's folder")
    return found


def _decoded(text: str, kind: Any) -> Any:
    """A text of JSON as a value.

    Raises:
        RunError: If it is none.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        what = getattr(kind, "__name__", "answer").lower()
        raise RunError(f"{shown(text)} cannot be read as {what}: {_one_line(str(error))}") from None


def _sensible(bound: Bound) -> bool:
    """Whether a training ends, by one of the two."""
    if bound.seconds is None:
        return bound.epochs is not None and 1 <= bound.epochs <= LONGEST_EPOCHS
    return bound.epochs is None and 0.0 < bound.seconds <= LONGEST_S


def _check_size(network: Network) -> None:
    """Refuse what cannot be built, or is far larger than anything that a search proposes."""
    if (blocks := len(network.rows())) > MOST_BLOCKS:
        raise RunError(f"its network has {blocks:,} blocks. Allowed: {MOST_BLOCKS:,}")
    place_blocks(network)
    found = cost(network, form="train")
    if found.params > MOST_PARAMS or found.macs > MOST_MACS:
        raise RunError(
            f"its network has {found.params:.3g} parameters and {found.macs:.3g} MACs. Allowed: {MOST_PARAMS:,} and "
            f"{MOST_MACS:,}"
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())
