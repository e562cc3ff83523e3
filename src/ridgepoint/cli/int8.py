"""`ridgepoint export --int8`: a float file, and an int8 file made of it if that is one to ship."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from ridgepoint.cli.export import float_document, write_float
from ridgepoint.cli.output import MODEL, console, destination, emit_json
from ridgepoint.errors import InputError

if TYPE_CHECKING:
    from ridgepoint.deploy.runtimes.runtime import Runtime
    from ridgepoint.deploy.verify import Parity


class _Asked(msgspec.Struct):
    """What a run's settings tell of its data."""

    data: str | None = None
    data_root: str | None = None


def export_int8(
    run: Path,
    writer: "Runtime",
    *,
    most_drop: float,
    data: str | None,
    data_root: Path | None,
    busy: bool,
    out: Path | None,
    force: bool,
    json_output: bool,
) -> None:
    """Write both, tell how they compare, and end with exit code 3 where int8 is refused."""
    from ridgepoint.cli.live import Live
    from ridgepoint.deploy.companion import is_told
    from ridgepoint.deploy.quantize import find_quantizer
    from ridgepoint.deploy.quantize.gate import INT8, verdict_file
    from ridgepoint.deploy.runtimes import model_file
    from ridgepoint.run.folder import writing_into
    from ridgepoint.run.records import write_record
    from ridgepoint.tasks.int8 import expect_same_data, quantise_for
    from ridgepoint.tasks.reading import find_task
    from ridgepoint.train.folder import load_training, training_of

    find_quantizer(writer.name)
    model, about = load_training(run)
    data, data_root = data_of(run, data, data_root)
    task = find_task(about.task)
    dataset = task.read(data, seed=about.data.seed if about.data else 0, root=data_root)
    if dataset is None:
        raise InputError(f"--data {data}: is nothing that {task.name} reads. Give the images of the training")
    expect_same_data(data, dataset, about.data)
    source = run / model_file(writer.name)
    target = out or run / INT8 / source.name
    if target.absolute() == source.absolute():
        raise InputError(f"--out is '{target}', where the float file is. Give another place, or leave --out out")
    target.parent.mkdir(parents=True, exist_ok=True)
    target = destination(target, option="--out", mark=MODEL, force=force or is_told(target, writer))
    precision = writer.precisions[0]
    parity: Parity | None = None
    if not (training_of(run) != run and is_float(source, writer)):
        source, precision, parity = write_float(run, writer, source, force=force)
    display = Live()
    with display.phase("int8"), writing_into(target):
        found = quantise_for(
            task,
            dataset,
            about.preprocessing,
            source,
            target,
            runtime=writer,
            most_drop=most_drop,
            busy=busy,
            module=model,
            progress=display.progress,
        )
    verdict = verdict_file(run, writer.name)
    with writing_into(verdict):
        verdict.parent.mkdir(exist_ok=True)
        write_record(verdict, found)
    document = float_document(source, writer, precision, parity)
    document["int8"] = {"file": str(target) if found.accepted else None, **msgspec.to_builtins(found)}
    if json_output:
        emit_json(document)
    _tell(source, target, found.accepted, found.reason, found.advice, json_output=json_output)
    if not found.accepted:
        raise typer.Exit(3)


def _tell(source: Path, target: Path, accepted: bool, reason: str, advice: str, *, json_output: bool) -> None:
    out = console(json_output=json_output)
    if accepted:
        out.print(f"{target}: int8, {reason}")
        out.print(f"{source}: the same in float")
    else:
        out.print(f"{source}: in float. Not in int8: {reason}. {advice}")


def data_of(run: Path, data: str | None, data_root: Path | None) -> tuple[str, Path | None]:
    """The training's images: as given, or where the run's settings say that they lay."""
    from ridgepoint.run.folder import SETTINGS
    from ridgepoint.run.records import read_record

    if data is not None:
        return data, data_root
    for folder in (run, *list(run.absolute().parents)[:2]):
        if (folder / SETTINGS).is_file():
            asked = read_record(folder / SETTINGS, _Asked, otherwise="Say where the images lie: --data FOLDER")
            if asked.data is not None:
                root = Path(asked.data_root) if asked.data_root else None
                return asked.data, data_root or root
    raise InputError(f"{run}: does not tell where the images of its training lie. Say it: --data FOLDER")


def is_float(path: Path, writer: "Runtime") -> bool:
    """Whether a checked float file lies there already.

    Raises:
        InputError: If what lies there is int8.
    """
    from ridgepoint.deploy.companion import is_told, read_entry

    if not is_told(path, writer):
        return False
    entry = read_entry(path)
    if entry is not None and entry.precision == "int8":
        raise InputError(f"{path}: is int8 already. Nothing is left to do")
    return True
