"""Where published weights are had from: a folder of files, the hub's cache, then a mirror or the hub itself.

RIDGEPOINT_WEIGHTS   a folder with NETWORK.TAG.safetensors or .pth, or as on the hub NETWORK.TAG/model.safetensors
HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE   cache, mirror, and that nobody is asked: as the hub's own client knows them
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from ridgepoint.errors import InputError
from ridgepoint.nn.hub import HUB_FILES, cached, check_sha256, fetch, hub_address
from ridgepoint.nn.published import Published

FOLDER = "RIDGEPOINT_WEIGHTS"
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
Where = Literal["folder", "cache", "hub"]


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """Published weights on this machine, and how they came here."""

    published: Published
    path: Path
    where: Where


def lying(published: Published) -> Reached | None:
    """Weights that are on this machine already; nobody is asked.

    Raises:
        InputError: If RIDGEPOINT_WEIGHTS names no folder.
    """
    folder = weights_folder()
    if folder is not None:
        for name in (published.file, published.name):
            files = [folder / f"{name}{suffix}" for suffix in SUFFIXES] + [folder / name / each for each in HUB_FILES]
            if (path := next((each for each in files if each.is_file()), None)) is not None:
                return Reached(published=published, path=path, where="folder")
    if published.repository is not None and (path := cached(published.repository)) is not None:
        return Reached(published=published, path=path, where="cache")
    return None


def reach(published: Published, *, patience_s: float | None = None) -> Reached:
    """Weights as a file on this machine: what lies here is taken, else the hub is asked.

    Args:
        published: Which.
        patience_s: How long the hub may take; as long as its own client waits if left open.

    Raises:
        InputError: If they cannot be had, with what to download and where to put it; or if they are damaged.
    """
    found = lying(published)
    if found is None:
        if published.repository is None:
            raise InputError(
                f"the weights {published.name} come from {published.origin}, not from the hub. Put them as "
                f"{published.file}.safetensors into the folder that {FOLDER} names"
            )
        try:
            path = fetch(published.repository, patience_s=patience_s)
        except InputError as error:
            raise InputError(f"{error}. {how_to_get(published)}") from None
        found = Reached(published=published, path=path, where="hub")
    if published.sha256 is not None:
        check_sha256(found.path, published.sha256)
    return found


def how_to_get(published: Published) -> str:
    """What to download and where to put it, a sentence."""
    if published.repository is None:
        return f"{published.name}: from {published.origin}, as {published.file}.safetensors in {FOLDER}"
    return (
        f"Elsewhere, download {hub_address(published.repository)}, put it as {published.name}.safetensors into a "
        f"folder, and set {FOLDER} to that folder; or name a mirror with HF_ENDPOINT"
    )


def first_lying(rows: Sequence[Published]) -> Reached | None:
    """The first of some weights that are on this machine already."""
    return next((found for row in rows if (found := lying(row)) is not None), None)


def weights_folder() -> Path | None:
    """The folder that RIDGEPOINT_WEIGHTS names, if it is set.

    Raises:
        InputError: If there is none.
    """
    given = os.environ.get(FOLDER)
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"{FOLDER} is '{given}', and there is no such folder. Give a folder of weight files, or unset it"
        )
    return folder
