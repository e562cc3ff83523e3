"""Weight files: local ones, and those of repositories at the Hugging Face hub or a mirror of it."""

import contextlib
import hashlib
import http.client
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from ridgepoint.errors import InputError, shortened, shown
from ridgepoint.files import exists

if TYPE_CHECKING:
    from ridgepoint.nn.weight_file import WeightFile

HUB_PREFIXES = ("hf-hub:", "hf_hub:", "timm/")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_FILE = re.compile(r".*\.(safetensors|pth|pt|bin|ckpt|onnx)", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_weights(source: str | Path) -> "WeightFile":
    """The tensors of a `.safetensors` file, a `.pth` file or a hub repository. Nothing in a file is ever executed.

    Args:
        source: A path, or a hub id: ``hf-hub:timm/<name>.<tag>`` or ``timm/<name>.<tag>``.

    Raises:
        InputError: If there is no such file, it cannot be read, or it holds more than tensors.
    """
    from ridgepoint.nn.weight_file import read_weight_file  # loads torch, which a download does without

    text = str(source)
    if is_hub_id(text):
        repository = repository_of(text)
        return read_weight_file(cached(repository) or fetch(repository), text)
    return read_weight_file(Path(text), text)


def is_hub_id(text: str) -> bool:
    """Whether a text names a repository at the hub, and nothing that lies here."""
    named = text.startswith(HUB_PREFIXES) and (text.startswith("hf") or not _FILE.fullmatch(text))
    return named and not exists(Path(text))


def repository_of(text: str) -> str:
    """The repository that a hub id names.

    Raises:
        InputError: If it is no hub id.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    repository = re.sub(r"^hf[-_]hub:", "", text)
    try:
        validate_repo_id(repository)
    except HFValidationError:
        raise InputError(
            f"{shown(text)} is no hub id. Allowed: hf-hub:OWNER/NAME, such as hf-hub:timm/mobilenetv2_100.ra_in1k"
        ) from None
    return repository


def cached(repository: str) -> Path | None:
    """A repository's weights in the local cache: published tags do not change, so nobody is asked.

    A file that is not what the hub had is removed.
    """
    from huggingface_hub import try_to_load_from_cache

    for name in HUB_FILES:
        if isinstance(found := try_to_load_from_cache(repository, name), str) and Path(found).is_file():
            with contextlib.suppress(InputError):
                return _checked(Path(found))
    return None


def fetch(repository: str, *, patience_s: float | None = None) -> Path:
    """Download a repository's weights into the local cache; what is half there is gone on with.

    Args:
        repository: Its owner and name.
        patience_s: How long all of it may take: then it is stopped. As long as the hub's client waits if left open.

    Raises:
        InputError: If the hub cannot be reached, has no such repository, is too slow, or sent something else.
    """
    if patience_s is None:
        return _download(repository)
    code = "import sys; from ridgepoint.nn.hub import fetch_here; sys.exit(fetch_here(sys.argv[1]))"
    search = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, repository],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
            env={**os.environ, "PYTHONPATH": search, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"the weights '{repository}' were not here after {patience_s:.0f} s: {_asked()} is slow. What has arrived "
            "is kept, and the next download goes on from there"
        ) from None
    if done.returncode:
        raise InputError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "the download was stopped")
    return _checked(Path(done.stdout.strip()))


def fetch_here(repository: str) -> int:
    """Download as a process of its own: the path goes to stdout, an error's message to stderr."""
    try:
        sys.stdout.write(str(_download(repository)))
    except InputError as error:
        sys.stderr.write(f"\n{str(error).replace(chr(10), ' ')}\n")
        return 2
    return 0


def hub_address(repository: str) -> str:
    """The address of a repository's weights at the hub or the mirror."""
    return f"{_endpoint()}/{repository}/resolve/main/{HUB_FILES[0]}"


def answers(timeout_s: float = 3.0) -> bool:
    """Whether the hub, or its mirror, is there at all; nobody is asked where HF_HUB_OFFLINE says so."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    found: list[bool] = []

    def ask() -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            with contextlib.suppress(urllib.error.HTTPError):  # which is an answer
                urllib.request.urlopen(urllib.request.Request(_endpoint(), method="HEAD"), timeout=timeout_s).close()
            found.append(True)

    asking = threading.Thread(target=ask, daemon=True)  # to look a name up knows no time limit
    asking.start()
    asking.join(2 * timeout_s)
    return bool(found)


def check_sha256(path: Path, expected: str) -> None:
    """Refuse a file that is not the one that was published.

    Raises:
        InputError: If its digest is another.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise InputError(
            f"{path}: is damaged or another file (SHA-256 {found[:12]}..., published {expected[:12]}...). "
            "Download it again"
        )


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _asked() -> str:
    """Who was asked, in words."""
    return f"the mirror {_endpoint()}" if os.environ.get("HF_ENDPOINT") else "the hub"


def _checked(path: Path) -> Path:
    """A file in the cache, which is named by its digest where the hub told one; it is removed if it has another.

    Raises:
        InputError: If it has.
    """
    blob = path.resolve()
    if _SHA256.fullmatch(blob.name):
        try:
            check_sha256(path, blob.name)
        except InputError as error:
            for file in (path, blob):
                file.unlink(missing_ok=True)
            raise InputError(f"{error}. It is removed already") from None
    return path


def _download(repository: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

    for name in HUB_FILES:
        try:
            return _checked(Path(hf_hub_download(repository, name)))
        except LocalEntryNotFoundError:
            raise InputError(
                f"the weights '{repository}' are not in the local cache, and {_asked()}, from which {name} would be "
                "downloaded, cannot be reached. Check the network connection, or give a file"
            ) from None
        except RepositoryNotFoundError:
            raise InputError(f"the hub has no repository '{repository}', or it is private") from None
        except EntryNotFoundError:
            continue
        except InputError:
            raise
        except Exception as error:  # the client's own, its transport's, the disk's
            why = shortened(" ".join(str(error).split()), 300)
            raise InputError(f"the weights '{repository}' cannot be fetched from {_asked()}: {why}") from None
    raise InputError(f"the hub repository '{repository}' has none of the files {', '.join(HUB_FILES)}")
