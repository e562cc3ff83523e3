"""The public surface of `import ridgepoint as rp`: thin functions that load the heavy parts only when called."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ridgepoint.deploy.runtimes import DEFAULT
from ridgepoint.errors import InputError, NotMetError
from ridgepoint.run.process import as_found

if TYPE_CHECKING:
    from torch import nn

    from ridgepoint.arch.network import Network
    from ridgepoint.arch.space import Space
    from ridgepoint.cost.count import NetworkCost
    from ridgepoint.cost.latency import Latency, MeasuredLatency
    from ridgepoint.data.preprocess import Preprocessing
    from ridgepoint.display import Display
    from ridgepoint.search.method import Method
    from ridgepoint.search.methods.entry import Entry


def list_models(pattern: str = "*") -> list[str]:
    """The zoo's names that match a glob such as ``mobilenetv4*``, sorted."""
    from ridgepoint.arch import zoo

    return zoo.list_models(pattern)


def load(name_or_path: str | Path) -> Network:
    """A network by zoo name or from a YAML or JSON file.

    Raises:
        ArchitectureError: If the name is unknown (the nearest is suggested), or the file is wrong or impossible.
    """
    from ridgepoint.arch import zoo

    return zoo.load(name_or_path)


def load_space(name_or_path: str | Path) -> Space:
    """A search space by name or from a YAML or JSON file.

    Raises:
        ArchitectureError: If the name is unknown, or the file is wrong or holds an impossible network.
    """
    from ridgepoint.arch import space

    return space.load_space(name_or_path)


def cost(network: Network | str, *, form: str = "train", fused: bool = False) -> NetworkCost:
    """MACs, parameters and bytes of a network at its own input: `.macs`, `.params`, `.layers`.

    Args:
        network: A network or a zoo name.
        form: `train` counts norms and branches; `deploy` what ships.
        fused: Whether element-wise layers are part of the pass before them.
    """
    from ridgepoint.cost import count

    return count.cost(_network(network), form=form, fused=fused)  # type: ignore[arg-type]


@as_found()
def predict_latency(
    network: Network | str,
    *,
    device: str = "host",
    runtime: str = DEFAULT,
    threads: int = 1,
    precision: str = "float32",
) -> Latency:
    """A latency without running the network; `.ms` is milliseconds for one image, `.kind` says how it came about.

    `host` sums what the network's blocks take on this machine, learned by `ridgepoint calibrate` (with `.low_ms` and
    `.high_ms`) or else measured as needed and kept: kind `tabled`. Any other device is computed from its roofline:
    kind `predicted`.

    Args:
        network: A network or a zoo name.
        device: `host`, a name of `ridgepoint devices`, or the path of a device file.
        runtime: Of `host`.
        threads: Of `host`: threads inside one inference.
        precision: Of `host`: `float32`, or `int8` once `ridgepoint calibrate --precision int8` was run.

    Raises:
        InputError: If the device is unknown; the nearest is suggested.
    """
    if device == "host":
        from ridgepoint.deploy.calibrate import HostTable

        return HostTable(runtime=runtime, threads=threads, tabled=precision).latency(_network(network))
    from ridgepoint.cost.roofline import predict_latency as predict

    return predict(_network(network), device=device)


def create_model(
    network: str | Path | Network,
    *,
    pretrained: bool | str | Path = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> nn.Module:
    """A module by zoo name, YAML file or `Network`; see `ridgepoint.nn.create.create_model`."""
    from ridgepoint.nn.create import create_model as create

    return create(
        network,
        pretrained=pretrained,
        num_classes=num_classes,
        in_channels=in_channels,
        features_only=features_only,
        out_indices=out_indices,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )


def build(network: Network, *, num_classes: int | None = None, in_channels: int | None = None) -> nn.Module:
    """A module with fresh weights for a network."""
    from ridgepoint.nn.build import build as build_network

    return build_network(network, num_classes=num_classes, in_channels=in_channels)


def fuse(model: nn.Module) -> nn.Module:
    """A checked copy of a model in deploy form: batch norms and parallel branches folded.

    Raises:
        InputError: If the model is in train mode.
    """
    from ridgepoint.nn.fuse import fuse as fold

    return fold(model)


@as_found()
def fit(
    data: str | Path,
    *,
    latency_ms: float,
    out: str | Path | None = None,
    resume: bool = False,
    display: Display | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """What `ridgepoint fit` does: find, train, export, check and measure; the content of `result.json`.

    Args:
        data: A folder of class folders, or of images with boxes or masks; a built-in name or a torchvision name.
        latency_ms: The budget for one image.
        out: The run folder.
        resume: Go on with the run in `out`.
        display: Whoever watches; `ridgepoint.cli.live.Live()` shows what the command shows.
        settings: Fields of `ridgepoint.fit.settings.FitSettings`, such as `threads=2` or `time_s=300`; a `method` may
            be a name or, as for `search`, a function.

    Raises:
        InputError: If the request or the data are wrong.
        NotMetError: If no network meets the budget.
    """
    from ridgepoint.fit.pipeline import fit as run_fit
    from ridgepoint.fit.settings import make_settings
    from ridgepoint.report.page import build_report
    from ridgepoint.search.methods.entry import entry_of, reference

    method, entry = settings.get("method", "auto"), None
    if not isinstance(method, str):
        entry = entry_of(method, takes=_takes(settings.get("space")))
        settings["method"] = reference(method)
    given = make_settings(data=str(data), latency_ms=latency_ms, **settings)
    place = None if out is None else Path(out)
    return run_fit(given, method=entry, out=place, resume=resume, display=display, written=build_report)


def search(
    space: str | Path,
    data: str | Path,
    *,
    latency_ms: float,
    method: str | Method | Entry = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    display: Display | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """What `ridgepoint search` does: one method on one space, up to a trained, measured file; as `fit` returns it.

    Args:
        space: A search space by name or YAML file; a network, for methods that change one.
        data: A folder of class folders, or of images with boxes or masks; a built-in name or a torchvision name.
        latency_ms: The budget for one image.
        method: A name of `ridgepoint search --help`; or a function of your own that takes a `Problem` and yields
            `Proposal`s (see `ridgepoint.methods`), which a resume must be given again.
        out: The run folder.
        resume: Go on with the run in `out`.
        display: Whoever watches.
        settings: Fields of `ridgepoint.fit.settings.FitSettings`, such as `evaluations=50` or `seed=1`.

    Raises:
        InputError: If the request or the data are wrong.
        NotMetError: If no network meets the budget.
    """
    from ridgepoint.fit.settings import OF_SEARCH

    given: dict[str, Any] = {"verb": "search", "space": str(space), "method": method, **OF_SEARCH, **settings}
    return fit(data, latency_ms=latency_ms, out=out, resume=resume, display=display, **given)


@as_found()
def export(
    model: nn.Module,
    path: str | Path,
    *,
    network: Network,
    preprocessing: Preprocessing,
    labels: Sequence[str],
    dynamic_batch: bool = False,
    precision: Literal["float32", "float16", "int8"] | None = None,
    calibration: str | Path | None = None,
    max_drop: float = 1.0,
    seed: int = 0,
    busy: bool = False,
) -> Path:
    """Write a model as a file for the runtime that its name's ending tells, labels and preprocessing beside it.

    They are in `ridgepoint.json` and, where the format can hold them, as ONNX does, in the file too.

    Args:
        model: In eval mode.
        path: The file; `.onnx` for ONNX Runtime, `.pt2` for PyTorch.
        network: The model's architecture.
        preprocessing: How an image becomes the model's input.
        labels: One name a class.
        dynamic_batch: Leave the batch size open.
        precision: Left out, the runtime's usual one. `int8` writes the file in 8-bit integers, if it is as good, faster
            and smaller than in float.
        calibration: Of int8, the data that the model was trained on, as for `fit`: the training part calibrates, val
            and test judge.
        max_drop: Of int8, points of accuracy that it may lose.
        seed: Of the parts of `calibration`, as the training drew them.
        busy: Of int8, accept times taken while other processes keep this machine busy.

    Raises:
        InputError: If the model is in train mode.
        RunError: If the file cannot be written.
        NotMetError: If int8 is refused; the message says why.
    """
    if precision == "int8":
        if dynamic_batch:
            raise InputError("precision and dynamic_batch are both given, and int8 is clocked for one image. Give one")
        _export_int8(
            model,
            Path(path),
            network=network,
            preprocessing=preprocessing,
            labels=labels,
            calibration=calibration,
            max_drop=max_drop,
            seed=seed,
            busy=busy,
        )
        return Path(path)
    from ridgepoint.deploy.export import export_artefact
    from ridgepoint.deploy.runtimes import runtimes_for
    from ridgepoint.files import check_destination

    check_destination(Path(path))
    export_artefact(
        model,
        Path(path),
        network=network,
        preprocessing=preprocessing,
        labels=labels,
        runtime=next(iter(runtimes_for(Path(path))), DEFAULT),
        precision=precision,
        batch="dynamic" if dynamic_batch else "static",
    )
    return Path(path)


def _export_int8(
    model: nn.Module,
    path: Path,
    *,
    network: Network,
    preprocessing: Preprocessing,
    labels: Sequence[str],
    calibration: str | Path | None,
    max_drop: float,
    seed: int,
    busy: bool,
) -> None:
    from ridgepoint.files import check_destination
    from ridgepoint.tasks.int8 import quantise_for
    from ridgepoint.tasks.reading import read

    if calibration is None:
        raise InputError("precision is 'int8': give the data of the training as calibration, for example a folder")
    from ridgepoint.deploy.runtimes import find_runtime, runtimes_for

    check_destination(path)
    task, dataset = read(calibration, seed=seed)
    runtime = find_runtime(next(iter(runtimes_for(path)), DEFAULT))
    with tempfile.TemporaryDirectory() as folder:
        source = export(model, Path(folder) / path.name, network=network, preprocessing=preprocessing, labels=labels)
        found = quantise_for(
            task,
            dataset,
            preprocessing,
            source,
            path,
            runtime=runtime,
            most_drop=max_drop / 100,
            busy=busy,
            module=model,
        )
    if not found.accepted:
        raise NotMetError(f"{path}: not written. {found.reason}. {found.advice}")


@as_found()
def measure(
    model: Network | str | Path, *, runtime: str | None = None, threads: int = 1, device: str = "host"
) -> MeasuredLatency:
    """Clock an exported file, or a network with fresh weights.

    Args:
        model: A path to an exported file, a zoo name, or a network.
        runtime: The runtime that loads the file: onnxruntime, torch, openvino or another; by default the file's own.
        threads: Threads inside one inference.
        device: Where it runs: `host`, this machine, or an address such as `ssh://pi@board` or `adb://SERIAL`.

    Raises:
        InputError: If the file, the runtime or the device is not there.
    """
    from ridgepoint.deploy.export import export_for_timing
    from ridgepoint.deploy.find import find_artefact
    from ridgepoint.deploy.measure import measure as clock
    from ridgepoint.deploy.places.find import find_place
    from ridgepoint.deploy.runtimes import model_file, runtimes_for
    from ridgepoint.nn.build import build as build_network

    if isinstance(model, str | Path) and runtimes_for(Path(model)):
        place = find_place(device)
        found, loading = find_artefact(Path(model), runtime, here=not place.bare)
        return clock({"model": found}, runtime=loading.name, threads=threads, place=place)["model"]
    with tempfile.TemporaryDirectory() as folder:
        network = _network(model)
        path = Path(folder) / model_file(runtime or DEFAULT)
        export_for_timing(build_network(network), network.input_shape, path, runtime or DEFAULT)
        return clock({"model": path}, runtime=runtime or DEFAULT, threads=threads, place=find_place(device))["model"]


def _takes(subject: str | None) -> Literal["space", "network"]:
    """What a method of which nothing else is known searches: whatever it is given."""
    from ridgepoint.arch.space import kind_of

    return "space" if subject is None else kind_of(subject) or "space"


def _network(network: Network | str | Path) -> Network:
    return load(network) if isinstance(network, str | Path) else network
