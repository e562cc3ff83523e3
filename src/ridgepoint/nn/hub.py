"""Weight files: local ones, and published ones by timm's names through the Hugging Face hub."""

import contextlib
import re
from functools import lru_cache
from pathlib import Path

from ridgepoint.documents import read_document
from ridgepoint.errors import InputError, nearest, shown
from ridgepoint.nn.weight_file import WeightFile, read_weight_file

HUB_PREFIXES = ("hf-hub:", "hf_hub:", "timm/")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_FILE = re.compile(r".*\.(safetensors|pth|pt|bin|ckpt|onnx)", re.IGNORECASE)


@lru_cache(maxsize=1)
def published_weights() -> dict[str, str]:
    """The tag of the weights that `pretrained=True` takes, for every network that has some."""
    tags: dict[str, str] = read_document(Path(__file__).parent / "published_weights.yaml")
    return tags


def hub_id(name: str, tag: str | None = None) -> str:
    """The hub id of a network's published weights, such as ``hf-hub:timm/mobilenetv2_100.ra_in1k``.

    Raises:
        InputError: If no weights are published under this name and no tag is given.
    """
    if tag is None and name not in published_weights():
        raise InputError(
            f"no published weights are known for '{name}': give a file or a hub id as pretrained=, "
            f"or take another network; {nearest(name, published_weights())}"
        )
    return f"hf-hub:timm/{name}.{tag or published_weights()[name]}"


def read_weights(source: str | Path) -> WeightFile:
    """The tensors of a `.safetensors` file, a `.pth` file or a hub repository. Nothing in a file is ever executed.

    Args:
        source: A path, or a hub id: ``hf-hub:timm/<name>.<tag>`` or ``timm/<name>.<tag>``.

    Raises:
        InputError: If there is no such file, it cannot be read, or it holds more than tensors.
    """
    text = str(source)
    at_hub = text.startswith(HUB_PREFIXES) and (text.startswith("hf") or not _FILE.fullmatch(text))
    if at_hub and not _exists(Path(text)):
        return _read_hub(text)
    return read_weight_file(Path(text), text)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, a NUL
        return False


def _read_hub(text: str) -> WeightFile:
    """What lies in the local cache is taken without asking the hub: published tags do not change."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )
    from huggingface_hub.utils import validate_repo_id

    repository = re.sub(r"^hf[-_]hub:", "", text)
    try:
        validate_repo_id(repository)
    except HFValidationError:
        raise InputError(
            f"{shown(text)} is no hub id. Allowed: hf-hub:OWNER/NAME, such as hf-hub:timm/mobilenetv2_100.ra_in1k"
        ) from None
    for name in HUB_FILES:
        with contextlib.suppress(LocalEntryNotFoundError):
            return read_weight_file(Path(hf_hub_download(repository, name, local_files_only=True)), text)
    for name in HUB_FILES:
        try:
            return read_weight_file(Path(hf_hub_download(repository, name)), text)
        except LocalEntryNotFoundError:
            raise InputError(
                f"the weights '{repository}' are not in the local cache, and the hub, from which {name} would be "
                "downloaded, cannot be reached. Check the network connection, or give a file"
            ) from None
        except RepositoryNotFoundError:
            raise InputError(f"the hub has no repository '{repository}', or it is private") from None
        except EntryNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise InputError(f"the weights '{repository}' cannot be fetched from the hub: {error}") from None
    raise InputError(f"the hub repository '{repository}' has none of the files {', '.join(HUB_FILES)}")
