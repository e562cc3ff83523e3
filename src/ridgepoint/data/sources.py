"""From the text a user types after a command to a data set: a folder, a built-in name or a torchvision name."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ridgepoint.data.builtin import BUILT_IN, TORCHVISION, load_digits, load_torchvision
from ridgepoint.data.dataset import Dataset, assemble
from ridgepoint.data.folders import scan_folder
from ridgepoint.data.found import Found, Whole, whole
from ridgepoint.data.layout import list_folders
from ridgepoint.data.opening import reason_of
from ridgepoint.errors import DataError, nearest, shortened


def detect(
    spec: str | Path,
    *,
    seed: int = 0,
    data_root: Path | None = None,
    download: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """The data set that ``spec`` means: an existing folder, else ``digits``, else a torchvision name.

    Args:
        spec: What the user typed; names are read without regard to case.
        seed: Of the parts that have to be drawn.
        data_root: Where torchvision's files are kept; the user's cache folder when None.
        download: Whether a torchvision data set that is not there yet may be fetched from the network.
        progress: Called with (files checked, files in all) while a folder is scanned.

    Raises:
        DataError: If nothing of that name exists, or what exists cannot be used; the message says what to do.
    """
    return assemble(_find(spec, data_root=data_root, download=download, progress=progress), seed=seed)


def read_whole(
    spec: str | Path,
    *,
    labels: Sequence[str] = (),
    data_root: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Whole:
    """All images that ``spec`` means as one split: no parts are drawn, given ones are joined. For evaluation.

    Class folders are matched by name to a model's labels; any number of them, one alone too, and of images is enough.

    Args:
        spec: As for `detect`.
        labels: The model's class names in the order of its outputs; the source's own when empty.
        data_root: As for `detect`.
        progress: As for `detect`.

    Raises:
        DataError: As `detect`; also if a class is there that the model does not know.
    """
    return whole(_find(spec, whole=True, data_root=data_root, progress=progress), labels)


def _find(
    spec: str | Path,
    *,
    whole: bool = False,
    data_root: Path | None,
    download: bool = True,
    progress: Callable[[int, int], None] | None,
) -> Found:
    """What ``spec`` means, before anything is drawn from it."""
    text = shortened(str(spec).strip(), 300)
    if not text or "\0" in text:
        raise DataError(f"DATA is '{text}'. Give a folder of class folders, or a name. {nearest('', _names())}.")
    try:
        folder = Path(spec).expanduser()
        is_folder, exists = folder.is_dir(), folder.exists()
    except (OSError, RuntimeError) as error:  # a name too long, no permission, no such user's home
        raise DataError(
            f"DATA is '{text}', which cannot be looked up: {reason_of(error)}. Give another path."
        ) from error
    if is_folder:
        return scan_folder(folder, whole=whole, progress=progress)
    if exists:
        raise DataError(
            f"DATA is '{text}', which is a file. Give a folder that holds one folder of images for each class; unpack "
            f"an archive first."
        )
    by_lower = {name.lower(): name for name in _names()}
    name = by_lower.get(text.lower())
    if name in BUILT_IN:
        return load_digits()
    if name is not None:
        return load_torchvision(name, Path(data_root) if data_root else _cache(), download=download)
    if os.sep in text or "/" in text or text.startswith((".", "~")):
        parent = next(parent for parent in folder.absolute().parents if parent.is_dir())
        inside = [entry.name for entry in list_folders(parent)]
        about = nearest(folder.name, inside) if inside else "it has no folders"
        raise DataError(f"DATA is '{text}': there is no such folder. In '{parent}': {about}.")
    hint = nearest(text.lower(), by_lower)
    for lower, proper in by_lower.items():
        hint = hint.replace(f"'{lower}'", f"'{proper}'")
    raise DataError(
        f"DATA is '{text}': there is no folder of that name in '{Path.cwd()}', and no known data set; {hint}, or the "
        f"path of a folder with one folder of images for each class."
    )


def _names() -> tuple[str, ...]:
    return (*BUILT_IN, *TORCHVISION)


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("ridgepoint")) / "data"
