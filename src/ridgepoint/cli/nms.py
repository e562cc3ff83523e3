"""`ridgepoint export --nms`: a detector's file that makes final boxes itself, beside the one that gives rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ridgepoint.cli.export import float_document, write_float
from ridgepoint.cli.int8 import data_of, is_float
from ridgepoint.cli.output import MODEL, console, destination, emit_json
from ridgepoint.errors import InputError

if TYPE_CHECKING:
    from ridgepoint.deploy.runtimes.runtime import Runtime
    from ridgepoint.nn.published import Published

NMS = "nms"
"""The folder, in that of the file without suppression, of the file with it."""


def export_nms(
    run: Path,
    writer: "Runtime",
    *,
    data: str | None,
    data_root: Path | None,
    out: Path | None,
    force: bool,
    json_output: bool,
    published: "Published | None",
) -> None:
    """Write both; the first is compared element by element, the other by final boxes, and where it can be, by score."""
    from ridgepoint.arch.suppression import Suppression
    from ridgepoint.deploy.artefact import load_artefact
    from ridgepoint.deploy.companion import is_told, write_entry
    from ridgepoint.deploy.export import export_artefact
    from ridgepoint.deploy.runtimes import model_file
    from ridgepoint.run.folder import writing_into
    from ridgepoint.tasks.reading import find_task
    from ridgepoint.tasks.suppression import expect_suppression, verify_suppressed
    from ridgepoint.train.folder import load_training, training_of
    from ridgepoint.train.whole import load_whole

    writer.expect_suppression("static")
    writer.expect_running()
    model, about = load_whole(published) if published else load_training(run)
    task = find_task(about.task)
    expect_suppression(task)
    source = run / model_file(writer.name)
    target = out or run / NMS / source.name
    if target.absolute() == source.absolute():
        raise InputError(f"--out is '{target}', where the file without suppression goes. Give another place")
    precision, parity = writer.precisions[0], None
    if published is not None or training_of(run) == run or not is_float(source, writer):
        source, precision, parity = write_float(run, writer, source, force=force, published=published)
    target.parent.mkdir(parents=True, exist_ok=True)
    target = destination(target, option="--out", mark=MODEL, force=force or is_told(target, writer))
    images, seen = _images(run, about, task, data, data_root, training=published is None)
    with writing_into(target):
        told = export_artefact(
            model,
            target,
            runtime=writer.name,
            network=model.network,
            preprocessing=about.preprocessing,
            labels=about.labels,
            trained_on=about.data,
            task=task.name,
            suppression=Suppression(),
        )
        found = verify_suppressed(model, load_artefact(target, runtime=writer.name), images, task)
        write_entry(target, told, writer, parity=found.parity.document())
    document = float_document(source, writer, precision, parity)
    scores = None if found.score is None else {"outside": found.score, "in_file": found.in_file}
    document["nms"] = {"file": str(target), "parity": found.parity.document(), "compared_on": seen, task.metric: scores}
    if json_output:
        emit_json(document)
        return
    by_score = "" if found.score is None else f"; {task.metric} {found.in_file:.4f}, and {found.score:.4f} outside"
    out_to = console()
    out_to.print(f"{target}: final boxes, the same as its source's on {found.parity.count} {seen}{by_score}")
    out_to.print(f"{source}: the same without suppression")


def _images(
    run: Path, about: Any, task: Any, data: str | None, data_root: Path | None, *, training: bool
) -> tuple[Any, str]:
    """What two files are compared on, and what that is in words: images with truth where they can be found."""
    from ridgepoint.data import decode
    from ridgepoint.data.images import joined
    from ridgepoint.errors import DataError

    if not training and data is None:
        return _noise(about.preprocessing), "random images (--data compares on others)"
    try:
        spec, root = data_of(run, data, data_root) if training else (str(data), data_root)
        dataset = task.read(spec, seed=about.data.seed if about.data else 0, root=root) if training else None
        split = joined([dataset.val, dataset.test]) if dataset else task.whole(spec, about.labels, root=root)
    except (DataError, InputError):
        if data is not None:
            raise
        return _noise(about.preprocessing), "random images (those of the training were not found; --data names them)"
    return decode(split, about.preprocessing, train=False), "images"


def _noise(preprocessing: Any) -> Any:
    import torch

    shape = (32, preprocessing.channels, preprocessing.height, preprocessing.width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
