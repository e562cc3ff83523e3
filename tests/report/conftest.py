import shutil
from pathlib import Path

import pytest
from report_helpers import make_run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run's folder that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("report") / "finished")
