"""What every runtime must do; `check` tries all of it, `CHECKS` one by one.

    from ridgepoint.testing.runtimes import CHECKS, check

    @pytest.mark.parametrize("law", CHECKS)
    def test_my_runtime(law, tmp_path):
        CHECKS[law](find_runtime("mine"), tmp_path)

The runtime must be registered, by an entry point of the group `ridgepoint.runtimes` or in `RUNTIMES`: that it is found
by its name and by its files' names is a part of the contract.
"""

import copy
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ridgepoint.arch.document import parse_network
from ridgepoint.arch.network import Network
from ridgepoint.arch.shape import Shape
from ridgepoint.cost.precision import PRECISIONS
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.data.trained_on import TrainedOn
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.companion import NAME
from ridgepoint.deploy.export import copy_artefact, export_artefact, export_for_timing
from ridgepoint.deploy.measure import measure
from ridgepoint.deploy.runtimes import find_runtime, runtimes_for
from ridgepoint.deploy.runtimes.runtime import Runtime
from ridgepoint.deploy.verify import MAX_RELATIVE_DIFF
from ridgepoint.errors import InputError
from ridgepoint.nn.build import ACTIVATIONS, build
from ridgepoint.system import allowed_cpus
from ridgepoint.testing.laws import hold

LABELS = ("Küche", "猫", 'quo"te', "")
TRAINED_ON = TrainedOn(name="kit", fingerprint="0" * 64, seed=7, counts={"train": 8, "val": 2, "test": 2})


def check(runtime: Runtime) -> None:
    """Try everything that a runtime must do.

    Raises:
        AssertionError: Naming what it does not do.
    """
    hold(runtime, CHECKS, called=f"runtime '{runtime.name}'")


def is_found_and_tells_its_conditions(runtime: Runtime, folder: Path) -> None:
    """By its name, by a file's name, with its version and words for precision that all use."""
    assert find_runtime(runtime.name) is runtime, "find_runtime gives another one: register it"
    assert runtime.suffix.startswith(".") and runtime.name in runtimes_for(Path(f"model{runtime.suffix}"))
    assert runtime.precisions and set(runtime.precisions) <= PRECISIONS.keys(), "words: those of cost.precision"
    assert runtime.missing() is None and runtime.version == runtime.versions()[runtime.packages[0]]
    found = runtime.conditions(2, runtime.precisions[0])
    told = (found.place, found.runtime, found.runtime_version, found.threads, found.precision)
    assert told == ("host", runtime.name, runtime.version, 2, runtime.precisions[0])


def computes_what_the_module_computes(runtime: Runtime, folder: Path) -> None:
    """Any number of images on a file of batch 1, with one thread and with two, and the module stays as it was."""
    model, x = _model(), torch.randn(3, *_network().input, generator=torch.Generator().manual_seed(1))
    before = copy.deepcopy(model.state_dict())
    path = folder / f"timed{runtime.suffix}"
    export_for_timing(model, _network().input_shape, path, runtime.name)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items()), "it changed the module"
    with torch.no_grad():
        expected = model(x).numpy()
    for threads in (1, 2):
        session = runtime.open(path, threads=threads)
        assert (session.runtime, session.version, session.threads) == (runtime.name, runtime.version, threads)
        assert tuple(session.input_shape) == tuple(_network().input) and session.precision in runtime.precisions
        for count in (3, 1):
            found = session.run(x[:count].numpy())
            assert found.dtype == np.float32
            _close(found, expected[:count])


def runs_blocks_that_take_tokens(runtime: Runtime, folder: Path) -> None:
    """Latency tables time blocks alone, those between tokens too."""
    block = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 4), nn.GELU()).eval()
    path = folder / f"block{runtime.suffix}"
    export_for_timing(block, Shape(8, 3, 3, layout="tokens"), path, runtime.name)
    session, x = runtime.open(path), torch.randn(1, 9, 8, generator=torch.Generator().manual_seed(1))
    assert tuple(session.input_shape) == (9, 8)
    with torch.no_grad():
        _close(session.run(x.numpy()), block(x).numpy())


def computes_every_activation(runtime: Runtime, folder: Path) -> None:
    """Each as it is meant: what only comes near it, such as one GELU for the other, is not it."""
    block, path = _Activations().eval(), folder / f"activations{runtime.suffix}"
    export_for_timing(block, Shape(3, 8, 16), path, runtime.name)
    x = torch.linspace(-6, 6, 3 * 8 * 16).reshape(1, 3, 8, 16)
    differences = np.abs(runtime.open(path).run(x.numpy()) - block(x).detach().numpy())
    for name, difference in zip(ACTIVATIONS, np.split(differences, len(ACTIVATIONS), 1), strict=True):
        worst = float(difference.max())
        assert worst <= 1e-4, f"{name} differs by up to {worst:.1e} between -6 and 6"


def computes_every_kind_of_attention(runtime: Runtime, folder: Path) -> None:
    """And of norms of single images: `form` says how they are written down for it."""
    network = attention_network()
    model, path = _built(network), folder / f"attention{runtime.suffix}"
    x = torch.randn(2, *network.input, generator=torch.Generator().manual_seed(1))
    export_for_timing(model, network.input_shape, path, runtime.name)
    with torch.no_grad():
        expected = model(x).numpy()
    found = runtime.open(path).run(x.numpy())
    worst = float(np.abs(found - expected).max() / np.abs(expected).max())
    assert worst <= MAX_RELATIVE_DIFF, f"differs by {worst:.1e} of the largest answer"


def finds_the_boxes_of_every_map(runtime: Runtime, folder: Path) -> None:
    """Maps that share convolutions, each with norms of its own behind them, and anchors that become boxes."""
    network = boxes_network()
    model, path = _built(network), folder / f"boxes{runtime.suffix}"
    x = torch.randn(2, *network.input, generator=torch.Generator().manual_seed(1))
    export_for_timing(model, network.input_shape, path, runtime.name)
    with torch.no_grad():
        expected = model(x).numpy()
    _close(runtime.open(path).run(x.numpy()), expected)


def tells_what_was_told_at_export(runtime: Runtime, folder: Path) -> None:
    """Labels of any script, preprocessing, network and data come back, and the answers are the module's."""
    path = _exported(runtime, folder)
    artefact = load_artefact(path, runtime=runtime.name)
    assert artefact.session.runtime == runtime.name and artefact.labels == LABELS
    told = (artefact.preprocessing, artefact.network, artefact.trained_on)
    assert told == (_preprocessing(), _network(), TRAINED_ON)
    images = np.random.default_rng(0).integers(0, 256, (5, *_network().input), dtype=np.uint8)
    with torch.no_grad():
        expected = _model()(torch.from_numpy(_preprocessing().normalize(images))).numpy()
    _close(artefact.logits(images), expected)


def counts_all_of_its_files(runtime: Runtime, folder: Path) -> None:
    """What lies in the folder is the artefact and what is told of it; the digest is of the content alone."""
    path = _exported(runtime, folder)
    lying = {each for each in folder.rglob("*") if each.is_file() and each.name != NAME}
    assert set(runtime.files(path)) == lying, "files() leaves some out, or export leaves some behind"
    assert runtime.size_bytes(path) == sum(each.stat().st_size for each in lying)
    there = folder / "there"
    there.mkdir()
    copy_artefact(path, there / path.name, runtime)
    assert runtime.digest(there / path.name) == runtime.digest(path)
    assert load_artefact(there / path.name, runtime=runtime.name).labels == LABELS, "it cannot be copied"
    for file in runtime.files(there / path.name):
        before = file.read_bytes()
        file.write_bytes(before + b"\0")
        assert runtime.digest(there / path.name) != runtime.digest(path), f"the digest leaves out {file.name}"
        file.write_bytes(before)


def refuses_what_is_lost_or_changed(runtime: Runtime, folder: Path) -> None:
    """A file that is not what was written is refused in one message, and so is one that nothing is known about."""
    path = _exported(runtime, folder)
    for file in runtime.files(path):
        before = file.read_bytes()
        file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        _refused(lambda: load_artefact(path, runtime=runtime.name), f"{file.name} with one bit changed")
        file.unlink()
        _refused(lambda: load_artefact(path, runtime=runtime.name), f"an artefact without {file.name}")
        file.write_bytes(before)
    (folder / NAME).unlink()
    if runtime.about(path) is None:
        _refused(lambda: load_artefact(path, runtime=runtime.name), f"an artefact without {NAME}")
    else:
        assert load_artefact(path, runtime=runtime.name).labels == LABELS, "what is inside is not what was told"


def refuses_what_is_no_such_file(runtime: Runtime, folder: Path) -> None:
    """Empty, cut off, or something else: an InputError that names the file, never another exception."""
    path = folder / f"timed{runtime.suffix}"
    export_for_timing(_model(), _network().input_shape, path, runtime.name)
    _refused(lambda: runtime.open(folder / f"absent{runtime.suffix}"), "a file that is not there")
    for file in runtime.files(path):
        before = file.read_bytes()
        for content in (b"", b"nonsense", before[: len(before) // 2]):
            file.write_bytes(content)
            _refused(lambda: _run(runtime, path), f"{file.name} with {len(content)} of its {len(before)} bytes")
        file.write_bytes(before)
    _run(runtime, path)


def answers_alike_every_time(runtime: Runtime, folder: Path) -> None:
    """Two loads of one file give the same bits."""
    path = folder / f"timed{runtime.suffix}"
    export_for_timing(_model(), _network().input_shape, path, runtime.name)
    first, second = (_run(runtime, path) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def leaves_the_process_as_it_is(runtime: Runtime, folder: Path) -> None:
    """Torch's threads and modes, and the processors that the caller may use."""

    def state() -> tuple[object, ...]:
        return torch.get_num_threads(), torch.is_grad_enabled(), torch.is_inference_mode_enabled(), allowed_cpus()

    path, before = folder / f"timed{runtime.suffix}", state()
    export_for_timing(_model(), _network().input_shape, path, runtime.name)
    session = runtime.open(path, threads=torch.get_num_threads() + 1)
    session.run(np.zeros((1, *_network().input), np.float32))
    assert state() == before


def can_be_clocked(runtime: Runtime, folder: Path) -> None:
    """The time says of which place, runtime, precision and size."""
    path = folder / f"timed{runtime.suffix}"
    export_for_timing(_model(), _network().input_shape, path, runtime.name)
    found = measure({"model": path}, runtime=runtime.name, rounds=3, round_s=0.001, patience_s=0.0)["model"]
    assert (found.place, found.runtime, found.runtime_version) == ("host", runtime.name, runtime.version)
    assert 0 < found.ms <= found.p90_ms and found.file_bytes == runtime.size_bytes(path)
    assert found.precision in runtime.precisions


def writes_no_other_precision_than_it_says(runtime: Runtime, folder: Path) -> None:
    """A precision that it does not know is refused, and nothing is written."""
    example = torch.zeros(1, *_network().input)
    for precision in ("int3", *(PRECISIONS.keys() - set(runtime.precisions))):
        path = folder / f"model{runtime.suffix}"
        _refused(
            lambda path=path, precision=precision: runtime.export(  # type: ignore[misc]
                _model(), example, path, about=None, precision=precision
            ),
            f"precision {precision}",
        )
        assert not path.exists()


Law = Callable[[Runtime, Path], None]
CHECKS: dict[str, Law] = {
    law.__name__: law
    for law in (
        is_found_and_tells_its_conditions,
        computes_what_the_module_computes,
        runs_blocks_that_take_tokens,
        computes_every_activation,
        computes_every_kind_of_attention,
        finds_the_boxes_of_every_map,
        tells_what_was_told_at_export,
        counts_all_of_its_files,
        refuses_what_is_lost_or_changed,
        refuses_what_is_no_such_file,
        answers_alike_every_time,
        leaves_the_process_as_it_is,
        can_be_clocked,
        writes_no_other_precision_than_it_says,
    )
}
"""Each takes a runtime and an empty folder."""


class _Activations(nn.Module):
    """(B, 3, H, W) to three channels for each activation, one after the other.

    A convolution that changes nothing comes first: by convolutions ncnn's converter knows which axis is the batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.same.weight)
        self.kinds = nn.ModuleList(make() for make in ACTIVATIONS.values())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.same(x)
        return torch.cat([kind(x) for kind in self.kinds], 1)


def _network() -> Network:
    """Convolutions dense and by channel, squeeze-and-excitation, a residual and a classifier; small, to be quick."""
    blocks = [
        {"block": "ib", "kernel": 3, "expand_channels": 16, "out_channels": 16, "stride": 2, "se_channels": 8},
        {"block": "uib", "start_kernel": 3, "middle_kernel": 3, "expand_ratio": 2, "out_channels": 16},
    ]
    return parse_network(
        {
            "name": "kit",
            "input": [3, 16, 16],
            "num_classes": len(LABELS),
            "conventions": {"activation": "hard_swish"},
            "stem": [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": 8}],
            "stages": [{"blocks": blocks}],
            "head": {"head": "pooled", "conv_channels": 24},
        },
        source="kit",
    )


def attention_network() -> Network:
    """All that attends, and all that norms a single image, one after the other; small, to be quick."""
    heads = {"heads": 2, "key_dim": 8}
    blocks = [
        {"block": "mobilevit", "inner_channels": 16, "expand_channels": 32, **heads},
        {"block": "mobilevitv2", "inner_channels": 16, "expand_channels": 32},
        {"block": "linear_attention", **heads},
        {"block": "mqa", "value_dim": 8, "kv_stride": 2, **heads},
        {"block": "single_head", "expand_channels": 32},
        {"block": "convnext", "expand_channels": 32, "response_norm": True},
        {"block": "talking_mixer", "expand_channels": 32, "value_dim": 8, **heads},
        {"block": "attention_down", "out_channels": 16, "value_dim": 8, **heads},
        {"block": "attention_mixer", "expand_channels": 32, "value_dim": 8, **heads},
    ]
    return parse_network(
        {
            "name": "attention",
            "input": [3, 16, 16],
            "num_classes": len(LABELS),
            "stem": [{"block": "conv", "kernel": 3, "stride": 2, "out_channels": 16}],
            "stages": [{"blocks": blocks}],
            "head": {"head": "tokens"},
        },
        source="kit",
    )


def boxes_network() -> Network:
    """A detector whose maps share the convolutions of its towers; small, to be quick."""
    row = {"block": "conv", "kernel": 3, "stride": 2, "out_channels": 8}
    return parse_network(
        {
            "name": "boxes",
            "input": [3, 64, 64],
            "num_classes": len(LABELS),
            "stem": [row],
            "stages": [{"blocks": [row, row]}, {"blocks": [row]}],
            "head": {"head": "retinanet", "finer": 4, "fine": 8, "channels": 8, "depth": 2},
        },
        source="kit",
    )


def _model() -> nn.Module:
    return _built(_network())


def _built(network: Network) -> nn.Module:
    """With weights and statistics of norms that are not their beginnings, the same every time."""
    return copy.deepcopy(_learnt(network))


@lru_cache(maxsize=3)
def _learnt(network: Network) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(network).train()
        with torch.no_grad():
            for _ in range(3):
                model(torch.randn(16, *network.input))
            for name, parameter in model.named_parameters():
                if parameter.dim() == 1 or name.endswith(".bias"):  # gains, offsets, biases by position
                    parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def _preprocessing() -> Preprocessing:
    return Preprocessing(height=16, width=16, channels=3, resize=18, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


def _exported(runtime: Runtime, folder: Path) -> Path:
    path = folder / f"model{runtime.suffix}"
    export_artefact(
        _model(),
        path,
        runtime=runtime.name,
        network=_network(),
        preprocessing=_preprocessing(),
        labels=LABELS,
        trained_on=TRAINED_ON,
    )
    return path


def _run(runtime: Runtime, path: Path) -> np.ndarray:
    return runtime.open(path).run(np.ones((1, *_network().input), np.float32))


def _close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def _refused(action: Callable[[], object], what: str) -> None:
    try:
        action()
    except InputError as error:
        assert str(error), f"{what} is refused without a word"
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__} ({error}) in place of an InputError") from error
    else:
        raise AssertionError(f"{what} is taken")
