from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cli_helpers import FIT, mounted, run


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The latency table of these tests: measured once, not the user's; one thread, for others work here too."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("cache")
    patch.setenv("XDG_CACHE_HOME", str(folder))
    patch.setenv("OMP_NUM_THREADS", "1")
    patch.setenv("COLUMNS", "200")
    yield folder
    patch.undo()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one tiny finished run on digits, what it printed beside it. Read it; change copies only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    done = run(*FIT, "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    (folder.parent / "stdout.txt").write_text(done.stdout)
    (folder.parent / "stderr.txt").write_text(done.stderr)
    return folder


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
