"""What a training leaves behind: a folder from which the model can be loaded, exported and continued."""

from pathlib import Path

import msgspec

from ridgepoint.arch.document import dump_network
from ridgepoint.arch.zoo import load
from ridgepoint.data import Preprocessing
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.errors import RunError
from ridgepoint.files import save_atomic, write_atomic
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.published import Normalisation
from ridgepoint.nn.weights import load_weights, save_weights
from ridgepoint.run.folder import RESULT
from ridgepoint.run.records import read_record
from ridgepoint.run.result import FitResult

ARCHITECTURE, WEIGHTS, ABOUT, TRAININGS = "architecture.yaml", "weights.safetensors", "training.json", "trainings"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What weights alone do not tell, and an export needs: labels, preprocessing, the data and what answers are."""

    labels: tuple[str, ...]
    preprocessing: Preprocessing
    data: TrainedOn | None = None
    task: str = "classification"


class About(Known, frozen=True, kw_only=True):
    """The same of a training, and how well it went."""

    val_accuracy: float
    steps: int
    seconds: float


def save_training(folder: Path, model: BuiltNetwork, about: About) -> None:
    """Write architecture, weights and what else an export needs; each file whole or not at all.

    Raises:
        RunError: If the disk is full or the folder cannot be written.
    """
    write_atomic(folder / ARCHITECTURE, dump_network(model.network))
    wanted = Normalisation(mean=about.preprocessing.mean, std=about.preprocessing.std)
    save_atomic(folder / WEIGHTS, lambda temporary: save_weights(model, temporary, normalisation=wanted))
    write_atomic(folder / ABOUT, msgspec.json.format(msgspec.json.encode(about)))


def training_of(folder: Path) -> Path:
    """The folder of a training: of a finished fit, the chosen network's; any other, as it is.

    Raises:
        RunError: If the fit's result is damaged.
    """
    if (folder / ABOUT).exists() or not ((folder / RESULT).is_file() and (folder / TRAININGS).is_dir()):
        return folder
    result = read_record(folder / RESULT, FitResult, otherwise=f"Give one of the folders below {folder / TRAININGS}")
    return folder / TRAININGS / Path(result.network.training or result.network.name).name


def weight_file(given: str) -> str:
    """The weights of a finished training or fit, given its folder; anything else, a file or a hub id, as it is."""
    return str(training_of(Path(given)) / WEIGHTS) if Path(given).is_dir() else given


def read_about(folder: Path) -> About:
    """What is known about the training in a folder.

    Raises:
        RunError: If the folder holds no finished training.
    """
    try:
        return msgspec.json.decode((folder / ABOUT).read_bytes(), type=About)
    except (OSError, msgspec.MsgspecError):
        raise RunError(
            f"{folder}: holds no finished training (no {ABOUT}). Give the folder that `ridgepoint train --out` named, "
            "or a finished fit's"
        ) from None


def load_training(folder: Path) -> tuple[BuiltNetwork, About]:
    """The trained model in eval mode, and what is known about it.

    Raises:
        RunError: If the folder holds no finished training.
    """
    folder = training_of(folder)
    about = read_about(folder)
    model = build(load(folder / ARCHITECTURE))
    load_weights(model, folder / WEIGHTS)
    return model.eval(), about
