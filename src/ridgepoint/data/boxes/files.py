"""The files below a folder that annotations may speak of. A path in a file is looked for among these only."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from ridgepoint.data.layout import PART_NAMES, part_of
from ridgepoint.data.left_out import helper_of
from ridgepoint.data.names import natural_key, normalized
from ridgepoint.data.opening import SUFFIXES, reason_of, suffix_of
from ridgepoint.errors import DataError

MOST_FILES = 2_000_000
_USUAL = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True)
class Files:
    """What lies below a folder.

    Attributes:
        root: The folder.
        by_suffix: By ending, lower case: paths relative to the folder, in natural order, with forward slashes.
    """

    root: Path
    by_suffix: dict[str, tuple[str, ...]]

    @cached_property
    def images(self) -> tuple[str, ...]:
        """All that are images by their names."""
        found = [path for suffix in SUFFIXES for path in self.by_suffix.get(suffix, ())]
        return tuple(sorted(found, key=natural_key))

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        index = defaultdict(list)
        for path in self.images:
            index[normalized(PurePosixPath(path).name)].append(path)
        return index

    def image(self, name: str, *, of: str, part: str = "all") -> str | None:
        """The image that a file means: of those that end in the name, the nearest one; None if there is none.

        Args:
            name: As written: a name, or a path of any machine.
            of: The file that says so.
            part: The part that the file is about.

        Raises:
            DataError: If several are equally near.
        """
        parts = tuple(each for each in re.split(r"[/\\]+", normalized(name)) if each not in ("", ".", ".."))
        found = self._by_name.get(parts[-1], []) if parts else []
        if len(found) > 1:
            found = _best(found, lambda path: _common_end(PurePosixPath(normalized(path)).parts, parts))
        if len(found) > 1 and part != "all":
            found = _best(found, lambda path: part in parts_in(PurePosixPath(path).parts[:-1]))
        if len(found) > 1:
            here = PurePosixPath(of).parent.parts
            found = _best(found, lambda path: _common_start(PurePosixPath(path).parts, here))
        if len(found) > 1:
            raise DataError(f"{of}: '{name}' may be '{found[0]}' or '{found[1]}'. Write their folders too")
        return found[0] if found else None

    def image_of(self, path: str, said: str, *, part: str = "all") -> str | None:
        """The image that a file of its own is about: the one it says, else the one that is called as the file is.

        What a file says is often of another machine, or of before a renaming or a conversion.

        Args:
            path: The file.
            said: What it says.
            part: As of `image`.

        Raises:
            DataError: As `image`.
        """
        stem = PurePosixPath(path).stem
        for name in dict.fromkeys((said, *(stem + suffix for suffix in _USUAL), *(stem + each for each in SUFFIXES))):
            if name and (found := self.image(name, of=path, part=part)):
                return found
        return None

    def at(self, path: str) -> Path:
        """Where a file lies."""
        return self.root / path


def list_files(root: Path) -> Files:
    """Every visible file below a folder, links to folders left aside.

    Raises:
        DataError: If a folder may not be listed, or there are too many files.
    """
    found: dict[str, list[str]] = defaultdict(list)
    count = 0

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot list the folder '{error.filename}': {reason_of(error)}.") from error

    for here, inner, names in os.walk(root, onerror=refuse):
        inner[:] = sorted(name for name in inner if helper_of(name) is None)
        prefix = Path(here).relative_to(root)
        count += len(names)
        if count > MOST_FILES:
            raise DataError(f"'{root}' holds over {MOST_FILES:,} files. Give the folder of the data alone")
        for name in names:
            if helper_of(name) is None:
                found[suffix_of(name).lower()].append((prefix / name).as_posix())
    return Files(root, {suffix: tuple(sorted(paths, key=natural_key)) for suffix, paths in found.items()})


def parts_in(names: Iterable[str]) -> set[str]:
    """The parts of the data that names of folders stand for."""
    return {part for name in names if (part := part_of(name))}


def part_at(path: str) -> str:
    """The part that a file is about, by the words of its name or, where these tell nothing, of its folders; else all.

    Raises:
        DataError: If its name, or its folders, stand for several.
    """
    pure = PurePosixPath(path)
    words = re.findall(r"[a-z]+", pure.stem.casefold())
    for found in ({PART_NAMES[word] for word in words if word in PART_NAMES}, parts_in(pure.parts[:-1])):
        if len(found) > 1:
            raise DataError(f"{path}: its name stands for {' and '.join(sorted(found))}. Let it stand for one of them")
        if found:
            return found.pop()
    return "all"


def _best(paths: list[str], worth: Callable[[str], int]) -> list[str]:
    most = max(map(worth, paths))
    return [path for path in paths if worth(path) == most]


def _common_end(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    return _common_start(first[::-1], second[::-1])


def _common_start(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
