"""What is known about an artefact beside its numbers: for what task it is, what its classes are, how images go in."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from ridgepoint.arch.closing import check_answers
from ridgepoint.arch.network import Network
from ridgepoint.arch.suppression import Suppression
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.errors import InputError

LARGEST_TEXT = 16 << 20
EXPORT_AGAIN = "Export the model again"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What an app, or ridgepoint itself, must know to use an artefact.

    Attributes:
        labels: One name a class.
        preprocessing: How an image becomes the input.
        network: What was trained.
        trained_on: The data that it was trained on, with the seed of their parts, where that is known.
        task: What its answers are.
        outputs: The names of what it gives.
        precision: Of the multiplications.
        layout: The order of the file's own input.
        version: Of ridgepoint, which wrote it.
        suppression: How it makes final boxes of a detector's rows, where it gives those.
    """

    labels: tuple[str, ...]
    preprocessing: Preprocessing
    network: Network
    trained_on: TrainedOn | None = None
    task: str = "classification"
    outputs: tuple[str, ...] = ("logits",)
    precision: str = "float32"
    layout: Literal["nchw", "nhwc"] = "nchw"
    version: str = ""
    suppression: Suppression | None = None

    def texts(self) -> dict[str, str]:
        """Every field as text, for formats that hold such: words as they are, all else as JSON."""
        fields = {name: getattr(self, name) for name in About.__struct_fields__}
        return {
            name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for name, value in fields.items()
            if value is not None
        }


def make_about(**fields: Any) -> About:
    """What is known of an artefact that this version writes.

    Raises:
        InputError: If there is not one label for each class.
        ArchitectureError: If the task is classification, and the network gives something else.
    """
    about = About(**fields, version=importlib.metadata.version("ridgepoint"))
    if about.task == "classification":
        check_answers(about.network.head, "classes", about.network.name)
    if len(about.labels) != about.network.num_classes:
        raise InputError(
            f"{len(about.labels)} labels are given, and the network has {about.network.num_classes} classes. Give a "
            "label for each, and the network as it was built: model.network"
        )
    return about


def from_texts(texts: Mapping[str, str], path: Path) -> About:
    """What `About.texts` wrote; what older versions did not write is as it was then.

    Args:
        texts: By field.
        path: What a message names.

    Raises:
        InputError: If a text cannot be read.
    """
    fields = {}
    for field in msgspec.structs.fields(About):
        if field.name not in texts and not field.required:
            continue
        text = texts.get(field.name, "")
        try:
            if len(text) > LARGEST_TEXT:
                raise ValueError(f"it has {len(text):,} characters")
            is_word = isinstance(field.default, str)
            fields[field.name] = (
                msgspec.convert(text, field.type) if is_word else msgspec.json.decode(text, type=field.type)
            )
        except (ValueError, RecursionError) as error:  # msgspec's errors, and what our own types refuse
            raise InputError(
                f"{path}: its {field.name} in the metadata cannot be read: {error}. {EXPORT_AGAIN}"
            ) from None
    return About(**fields)
