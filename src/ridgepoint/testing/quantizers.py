"""What every quantiser must do; `check` tries all of it, `CHECKS` one by one.

    from ridgepoint.testing.quantizers import CHECKS

    @pytest.mark.parametrize("law", CHECKS)
    def test_my_quantiser(law, tmp_path):
        CHECKS[law]("my-runtime", tmp_path)

It must be registered in `ridgepoint.deploy.quantize.QUANTIZERS`, under the runtime whose files it quantises.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ridgepoint.arch.document import parse_network
from ridgepoint.arch.network import Network
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.quantize import find_quantizer
from ridgepoint.deploy.quantize.quantizer import Quantizer, Recipe
from ridgepoint.deploy.quantize.timing import quantise_for_timing
from ridgepoint.deploy.runtimes import find_runtime, open_session
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.testing.laws import hold, laws_of

IMAGES, SIZE, CLASSES = 24, 32, 10
MOST_NOISE = 0.1  # of the answers' own size, in the median over images
LESS = 0.7  # bytes than in float


def check(runtime: str) -> None:
    """Try everything that the quantiser of a runtime's files must do.

    Raises:
        AssertionError: Naming what it does not do.
    """
    hold(runtime, CHECKS, called=f"the quantiser of runtime '{runtime}'")


def answers_nearly_as_float_does(runtime: str, folder: Path) -> None:
    """By every method, in a smaller file."""
    source, tool = _begun(runtime, folder)
    expected = open_session(source, runtime=runtime).run(_images(1))
    kind = find_runtime(runtime)
    for number, method in enumerate(tool.methods):
        path = _written(tool, Recipe(method=method), folder / str(number), kind.suffix)
        assert kind.size_bytes(path) < LESS * kind.size_bytes(source), f"{method}: no smaller"
        found = open_session(path, runtime=runtime).run(_images(1))
        noise = float(np.median(np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)))
        assert noise < MOST_NOISE, f"{method}: noise of {noise:.2f} of the answers"
        assert noise > 0, f"{method}: answers as float does to the bit: nothing is quantised"


def writes_the_same_again(runtime: str, folder: Path) -> None:
    """Another file by the same recipe answers alike to the bit, and the float file stays as it was."""
    source, tool = _begun(runtime, folder)
    before = find_runtime(runtime).hashes(source)
    recipe, suffix = Recipe(method=tool.methods[0]), find_runtime(runtime).suffix
    first, second = (
        open_session(_written(tool, recipe, folder / name, suffix), runtime=runtime).run(_images(2))
        for name in ("first", "second")
    )
    assert np.array_equal(first, second), "it answers otherwise when it is written again"
    assert find_runtime(runtime).hashes(source) == before, "it changed the float file"


def leaves_layers_in_float(runtime: str, folder: Path) -> None:
    """Where it tells which layers suffer: shares that sum to one, the noisiest first, and without them less noise."""
    source, tool = _begun(runtime, folder)
    layers = tool.sensitivity(_images(3)[:8])
    if not layers:
        return
    shares = [each.share for each in layers]
    assert shares == sorted(shares, reverse=True) and abs(sum(shares) - 1) < 1e-6, "shares of the noise"
    expected = open_session(source, runtime=runtime).run(_images(1))
    noise = []
    for count in (0, len(layers) - 1):
        recipe = Recipe(method=tool.methods[0], left_float=tuple(each.layer for each in layers[:count]))
        path = _written(tool, recipe, folder / f"{count} in float", find_runtime(runtime).suffix)
        noise.append(float(np.linalg.norm(open_session(path, runtime=runtime).run(_images(1)) - expected)))
    assert noise[1] < 0.7 * noise[0], f"all layers but one in float: noise of {noise[1]:.3g} instead of {noise[0]:.3g}"


def writes_for_the_clock(runtime: str, folder: Path) -> None:
    """A file with noise for calibration, that runs; what is in float there can be told."""
    source, _ = _begun(runtime, folder)
    suffix = find_runtime(runtime).suffix
    path = quantise_for_timing(source, folder / f"clocked{suffix}", _network().input_shape, runtime, _model())
    assert np.isfinite(open_session(path, runtime=runtime).run(_images(1)[:1])).all()
    kind = find_quantizer(runtime)
    told = kind(source, _images(0), _new(folder / "told"), module=_model()).in_float(path)
    assert all(name and count > 0 for name, count in told.items())


CHECKS = laws_of(answers_nearly_as_float_does, writes_the_same_again, leaves_layers_in_float, writes_for_the_clock)
"""By names that say what they ask for."""


def _network() -> Network:
    depthwise = {"block": "separable", "kernel": 3, "out_channels": 32}
    stem = {"block": "conv", "kernel": 3, "stride": 2, "out_channels": 32}
    raw = {
        "name": "kit",
        "input": [3, SIZE, SIZE],
        "num_classes": CLASSES,
        "stem": [stem],
        "stages": [{"blocks": [depthwise, {**depthwise, "out_channels": 128}]}],
        "head": {"head": "pooled", "conv_channels": 256},
    }
    return parse_network(raw, source="kit")


@lru_cache(maxsize=1)
def _model() -> BuiltNetwork:
    """Of random weights, its norms measured on images."""
    generator = torch.random.get_rng_state()
    torch.manual_seed(0)
    model = build(_network())
    torch.random.set_rng_state(generator)
    with torch.no_grad():
        for _ in range(30):
            model.train()(torch.from_numpy(_images(4)))
    return model.eval()


def _images(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((IMAGES, 3, SIZE, SIZE)).astype(np.float32)


def _begun(runtime: str, folder: Path) -> tuple[Path, Quantizer]:
    source = folder / f"float{find_runtime(runtime).suffix}"
    export_for_timing(_model(), _network().input_shape, source, runtime)
    return source, find_quantizer(runtime)(source, _images(0), _new(folder / "between"), module=_model())


def _written(tool: Quantizer, recipe: Recipe, folder: Path, suffix: str) -> Path:
    path = _new(folder) / f"int8{suffix}"
    tool.write(recipe, path, about=None)
    return path


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
