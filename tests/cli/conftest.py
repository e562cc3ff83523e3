from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cli_helpers import FIT, mounted, run
from shared import made_once


@pytest.fixture(scope="session", autouse=True)
def terminal() -> Iterator[None]:
    """A wide one; and one thread, for others work here too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("COLUMNS", "200")
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one tiny finished run on digits, what it printed beside it. Read it; change copies only."""

    def make(folder: Path) -> None:
        done = run(*FIT, "--out", folder / "run", "--json")
        assert done.returncode == 0, done.stderr
        (folder / "stdout.txt").write_text(done.stdout)
        (folder / "stderr.txt").write_text(done.stderr)

    return made_once(tmp_path_factory, "finished", make) / "run"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Gives a disk of so many kB."""
    with ExitStack() as stack:

        def make(size_kb: int) -> Path:
            try:
                return stack.enter_context(mounted(tmp_path / f"disk{size_kb}", size_kb))
            except OSError as error:
                pytest.skip(f"cannot mount a small disk here: {error}")

        yield make
