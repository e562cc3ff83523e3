"""`ridgepoint` where some packages cannot be imported, as if they had not been installed."""

import os
import sys
from collections.abc import Collection, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


class Lacking(PathFinder):
    """Finds modules on the path, but none of some packages."""

    absent: Collection[str] = ()

    @classmethod
    def find_spec(cls, name, path=None, target=None) -> ModuleSpec | None:
        return None if name.partition(".")[0] in cls.absent else super().find_spec(name, path, target)


def run_without(absent: Collection[str], commands: Sequence[Sequence[str]], said: Path) -> None:
    """Run commands in this process, a fork, where ridgepoint is imported anew; what they say goes to a file."""
    for number in (1, 2):
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    Lacking.absent = absent
    sys.meta_path[:] = [Lacking if each is PathFinder else each for each in sys.meta_path]
    for name in [name for name in sys.modules if name.partition(".")[0] in {"ridgepoint", *absent}]:
        del sys.modules[name]
    from ridgepoint.cli.main import main

    for words in commands:
        sys.argv = ["ridgepoint", *words]
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise
