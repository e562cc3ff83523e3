import os
from collections.abc import Callable
from pathlib import Path

import pytest
from data_helpers import noise


@pytest.fixture
def make_tree(tmp_path: Path) -> Callable[..., Path]:
    """Writes images into class folders: ``make_tree({"cat": 5, "train/dog": 3})``."""

    def make(counts: dict[str, int], *, root: str = "photos", suffix: str = ".png", **image: object) -> Path:
        base = tmp_path / root
        base.mkdir(exist_ok=True)
        for number, (folder, count) in enumerate(counts.items()):
            (base / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                noise(1000 * number + i, **image).save(base / folder / f"{i:03}{suffix}")
        return base

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("RIDGEPOINT_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}; set RIDGEPOINT_TEST_DATA")
    return folder
