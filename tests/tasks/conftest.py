from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from brightness_task import TABLE
from PIL import Image

from ridgepoint.report.parts.find import find_part
from ridgepoint.tasks.reading import installed as installed_tasks

HELPERS = Path(__file__).parents[1] / "helpers"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with a task is installed, as far as Python can tell."""
    about = tmp_path / "site" / "brightness-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brightness\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ridgepoint.tasks]\nbrightness = brightness_task:TASK\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for known in (installed_tasks, find_part):
        known.cache_clear()
    yield
    for known in (installed_tasks, find_part):
        known.cache_clear()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty grey images and the table of how bright they are."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    rows = []
    for index, share in enumerate(np.linspace(0.1, 0.9, 80)):
        pixels = np.clip(255 * share + rng.normal(0, 20, (16, 16)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
        rows.append(f"{index:02}.png,{pixels.mean() / 255:.4f}\n")
    (folder / TABLE).write_text("".join(rows))
    return folder
