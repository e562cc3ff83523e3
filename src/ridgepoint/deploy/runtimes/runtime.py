"""What a runtime is to all else: it writes artefacts, says which files belong to one, and opens them.

A runtime is one class in one file. Its library is imported where it is used, never with the file: what a runtime is
called and which files it takes must be known where the library is not installed.
"""

import abc
import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ridgepoint.cost.host import cpu_name
from ridgepoint.cost.table import Conditions
from ridgepoint.deploy.about import About
from ridgepoint.deploy.runtimes.session import Graph, Session
from ridgepoint.errors import InputError, nearest
from ridgepoint.files import check_regular, digest_file
from ridgepoint.system import fork_context

if TYPE_CHECKING:
    import torch
    from torch import nn

Batch = Literal["static", "dynamic"]
LARGEST_BYTES = 4 << 30


class Runtime(abc.ABC):
    """A runtime.

    Attributes:
        name: What `--runtime` takes.
        suffix: Of an artefact's path: the one file, the first of several, or a folder.
        packages: The installed packages that it needs; the first one's version is the runtime's.
        beside: What the names of an artefact's further files end in, instead of the suffix.
        extra: ridgepoint's extra that installs them; None where they come with ridgepoint or are installed by name.
        precisions: What it can be told to write, the usual one first.
        runs_here: Whether files run on this system, not only on others.
        form: How a network is written down for it, one of `ridgepoint.nn.forms.FORMS`.
        suppresses: Whether its files can make final boxes of a detector's rows themselves.
        hosted: Whether its files are opened in processes of their own: those of libraries that a damaged file kills.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    beside: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str | None] = None
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    runs_here: ClassVar[bool] = True
    form: ClassVar[str] = "any"
    hosted: ClassVar[bool] = False
    suppresses: ClassVar[bool] = False

    @abc.abstractmethod
    def export(
        self,
        module: "nn.Module",
        example: "torch.Tensor",
        path: Path,
        *,
        about: About | None,
        precision: str = "float32",
        batch: Batch = "static",
    ) -> None:
        """Write a module that is folded already.

        Args:
            module: In eval mode; it stays as it is.
            example: An input, float32; its batch is 1.
            path: Where the artefact goes; its further files lie beside it and begin with the same stem.
            about: What is written into the file where the format can hold it; None if it is for the clock alone, where
                fast writing counts.
            precision: One of `precisions`.
            batch: `static` fixes batch 1, which runtimes optimise best; `dynamic` leaves the batch open.

        Raises:
            InputError: If it cannot be written so.
        """

    @abc.abstractmethod
    def session_class(self) -> type[Session]:
        """The class of its sessions; imports the runtime's library."""

    def open(self, path: Path, *, threads: int = 1, pinned: bool = True) -> Session:
        """Load an artefact; nothing that it holds may run as code.

        Args:
            path: The artefact.
            threads: Threads inside one run.
            pinned: Give each thread a core of its own, as the clock needs it.

        Raises:
            InputError: If it cannot be loaded.
        """
        self.expect_running()
        if not self.hosted:
            return self.open_inside(path, threads=threads, pinned=pinned)
        from ridgepoint.deploy.runtimes.hosted import HostedSession

        return HostedSession(path, threads=threads, pinned=pinned, runtime=self.name, version=self.version)

    def open_inside(self, path: Path, *, threads: int = 1, pinned: bool = True) -> Session:
        """Load an artefact into this process, which whatever the file does may end.

        Raises:
            InputError: If it cannot be loaded.
        """
        return self.session_class()(path, threads=threads, pinned=pinned)

    def about(self, path: Path) -> About | None:
        """What the file itself tells; None where the format cannot hold it, or the file was not exported by us.

        Raises:
            InputError: If it tells something that cannot be.
        """
        return None

    def files(self, path: Path) -> tuple[Path, ...]:
        """All files of an artefact, in an order that is always the same: the one, or those of a folder.

        Raises:
            InputError: If one is missing.
        """
        if path.is_dir():
            return tuple(sorted(each for each in path.rglob("*") if not each.is_dir()))
        files = (path, *(path.with_suffix(suffix) for suffix in self.beside))
        for file in files:
            check_regular(file, limit_bytes=LARGEST_BYTES)
        return files

    def hashes(self, path: Path) -> dict[str, str]:
        """SHA-256 of every file of an artefact, by its path from the artefact's own folder.

        Raises:
            InputError: If one is missing or no regular file.
        """
        return {part_name(path, file): digest_file(file, limit_bytes=LARGEST_BYTES) for file in self.files(path)}

    def digest(self, path: Path) -> str:
        """SHA-256 of an artefact: the file's own, or one over the names and contents of several."""
        hashes = self.hashes(path)
        if len(hashes) == 1:
            return next(iter(hashes.values()))
        return hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()

    def size_bytes(self, path: Path) -> int:
        """Bytes of all files of an artefact."""
        return sum(file.stat().st_size for file in self.files(path))

    def graph(self, path: Path) -> Graph | None:
        """What the runtime makes of a file on this processor; None where it does not tell."""
        return None

    @property
    def version(self) -> str:
        """The installed version."""
        return importlib.metadata.version(self.packages[0])

    def versions(self) -> dict[str, str]:
        """The installed versions of all its packages."""
        return {package: importlib.metadata.version(package) for package in self.packages}

    def missing(self) -> str | None:
        """Why it cannot work here, with the line to type; None if it can."""
        if self.hosted and fork_context() is None:
            return "needs a system that can copy a process: Linux or macOS. Give another --runtime"
        return lacking(self.packages, self.extra)

    def missing_to_write(self) -> str | None:
        """Why it cannot write files here, though it may run them, with the line to type; None if it can."""
        return None

    def conditions(self, threads: int, precision: str = "float32") -> Conditions:
        """Under what is timed on this machine.

        Raises:
            InputError: If nothing can be timed so.
        """
        self.expect_running()
        return Conditions(
            device=cpu_name(),
            runtime=self.name,
            runtime_version=self.version,
            threads=threads,
            precision=self.expect_precision(precision),
        )

    def expect_running(self) -> None:
        """Refuse to run or time anything where files only run on other systems.

        Raises:
            InputError: If they do.
        """
        if not self.runs_here:
            raise InputError(
                f"runtime '{self.name}' runs no files on this system; it only writes them: ridgepoint export --runtime "
                f"{self.name}. Give another --runtime"
            )

    def expect_writing(self) -> None:
        """Refuse to write files where what writes them is not installed.

        Raises:
            InputError: If it is not.
        """
        if (why := self.missing_to_write()) is not None:
            raise InputError(f"to write files, runtime '{self.name}' {why}")

    def expect_static(self, batch: Batch) -> None:
        """Refuse an open batch where files are for one image.

        Raises:
            InputError: If the batch is to be left open.
        """
        if batch != "static":
            raise InputError(
                f"runtime '{self.name}' writes files for one image at a time: leave --dynamic-batch out, or give "
                "--runtime onnxruntime"
            )

    def expect_suppression(self, batch: Batch) -> None:
        """Refuse suppression where files cannot hold it, or are for several images.

        Raises:
            InputError: If they cannot.
        """
        if not self.suppresses:
            raise InputError(
                f"runtime '{self.name}' holds no suppression in its files: leave --nms out and suppress in the app, or "
                "give --runtime onnxruntime"
            )
        if batch != "static":
            raise InputError("--nms and --dynamic-batch are both given. Suppression is of one image: give one of them")

    def expect_precision(self, precision: str) -> str:
        """The precision, if the runtime writes it.

        Raises:
            InputError: If it does not.
        """
        if precision not in self.precisions:
            raise InputError(
                f"runtime '{self.name}' writes no {precision} files; {nearest(precision, self.precisions)}"
            )
        return precision


def lacking(packages: Iterable[str], extra: str | None) -> str | None:
    """What is to be done about the first package that is not installed; None if all are."""
    for package in packages:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            wanted = f"'ridgepoint[{extra}]'" if extra else package
            return f"needs {package}, which is not installed. Install it with: pip install {wanted}"
    return None


def part_name(path: Path, file: Path) -> str:
    """A file of an artefact by its path from the artefact's own folder; where that is a link, from its target's."""
    folder = path.parent if file.is_relative_to(path.parent) else path.resolve().parent
    return file.relative_to(folder).as_posix()
