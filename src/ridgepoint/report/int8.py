"""What `export --int8` found of a folder's network, runtime by runtime: of what was refused too."""

from pathlib import Path

from ridgepoint.deploy.quantize import QUANTIZERS
from ridgepoint.deploy.quantize.gate import verdict_file
from ridgepoint.run.quantised import Quantised
from ridgepoint.run.records import read_record


def read_verdicts(folder: Path) -> dict[str, Quantised]:
    """The last verdict of every runtime, by its name.

    Raises:
        RunError: If one is damaged.
    """
    files = {name: verdict_file(folder, name) for name in QUANTIZERS}
    otherwise = "Remove it, or run the export with --int8 again"
    return {name: read_record(file, Quantised, otherwise=otherwise) for name, file in files.items() if file.exists()}
